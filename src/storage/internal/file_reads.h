#pragma once

// One read of an open file, from its first byte to its last.

#include <cstdint>

#include "core/status.h"
#include "storage/internal/open_files.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// Whether `op`, of which `got` bytes have arrived, has all that there is of a
// file of `size` bytes. With an alignment above 1 only the file's end leaves a
// length that is no multiple of it.
inline bool IsWhole(const ReadOp& op, std::uint64_t got, std::uint64_t size,
                    std::uint32_t align) {
  return got == op.buffer.size() || op.offset + got >= size ||
         (got & (align - 1)) != 0;
}

// Fills `op.buffer` unless the file ends before, with pread. `got`: bytes read.
// `file` is open that way, which is not kMapped.
core::Status ReadAll(OpenFile& file, Way way, const ReadOp& op,
                     std::uint32_t align, std::uint64_t& got);

// The same out of the file's mapping. Every page of the range is touched, by
// the kernel on our behalf: where a page is gone because the file was made
// shorter, or cannot be read, that is an error and not a SIGBUS.
core::Status CopyMapped(OpenFile& file, const ReadOp& op, std::uint64_t& got);

// kUnsupported with the remedy where the system refuses what CopyMapped needs.
core::Status ProbeMappedReads();

}  // namespace stoker::storage::internal
