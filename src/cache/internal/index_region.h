#pragma once

// The memory of an index: header, buckets, ghosts, entries; each begins a page.

#include <cstddef>
#include <memory>
#include <utility>

#include "cache/index.h"
#include "cache/internal/index_header.h"
#include "cache/internal/shared_region.h"

namespace stoker::cache {

class Index::Region {
 public:
  explicit Region(std::unique_ptr<internal::SharedRegion> memory)
      : memory_(std::move(memory)) {}

  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t Pages(std::size_t bytes) {
    return (bytes + kPage - 1) / kPage * kPage;
  }
  // For any policy, so that it can be changed.
  static std::size_t GhostsOf(const IndexOptions& options) {
    return options.geometry.slots();
  }
  static std::size_t BytesFor(const IndexOptions& options) {
    const std::size_t slots = options.geometry.slots();
    return Pages(sizeof(Header)) + Pages(slots * sizeof(std::uint32_t)) +
           Pages(GhostsOf(options) * sizeof(std::uint32_t)) +
           Pages(slots * sizeof(SlotEntry));
  }

  internal::SharedRegion& memory() { return *memory_; }
  std::byte* at(std::size_t offset) { return memory_->memory() + offset; }

 private:
  std::unique_ptr<internal::SharedRegion> memory_;
};

}  // namespace stoker::cache
