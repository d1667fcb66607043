#pragma once

// The policies' fields of an entry are ordered by the lock of the class, or
// need no order.

#include <atomic>
#include <cstdint>

namespace stoker::cache::internal {

inline std::uint32_t Load(const std::atomic<std::uint32_t>& field) {
  return field.load(std::memory_order_relaxed);
}

inline void Store(std::atomic<std::uint32_t>& field, std::uint32_t value) {
  field.store(value, std::memory_order_relaxed);
}

}  // namespace stoker::cache::internal
