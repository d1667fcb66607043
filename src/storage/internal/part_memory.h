#pragma once

// The memory behind a WriteStream whose parts are taken over at once.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/aligned_buffer.h"
#include "core/status.h"

namespace stoker::storage::internal {

// The first part has pages of its own, all later parts share theirs.
class PartMemory {
 public:
  // `part_size` bytes, page-aligned, for the part at `offset`.
  core::Result<std::span<std::byte>> For(std::uint64_t offset,
                                         std::size_t part_size) {
    core::AlignedBuffer& part = offset == 0 ? first_ : later_;
    if (part.size() == 0) {
      STOKER_ASSIGN(part, core::AlignedBuffer::Make(part_size, false));
    }
    return part.bytes();
  }

 private:
  core::AlignedBuffer first_;
  core::AlignedBuffer later_;
};

}  // namespace stoker::storage::internal
