#pragma once

// The tensors that the pickle of a torch archive speaks of.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/model.h"
#include "core/status.h"

namespace stoker::checkpoint {

struct PickledTensor {
  // The way to it: keys of dicts, positions in lists and tuples, joined by
  // '.', all but the last in `group`.
  TensorSpec spec;
  std::string storage;                 // key of its storage
  std::uint64_t storage_elements = 0;  // of the whole storage
  std::uint64_t first_element = 0;     // within the storage
};

// In the order of the pickle. Each lies within its storage. kCorruption: not a
// pickle of torch.save; kUnsupported: what we do not read, such as tensors that
// are not contiguous, keys but text and integers, or a nesting above 32.
core::Result<std::vector<PickledTensor>> ReadPickle(
    std::span<const std::byte> pickle);

}  // namespace stoker::checkpoint
