#pragma once

// The bytes of tensors: made at memory speed from counters, any range again and
// again the same, so that nobody has to keep them and a restore can tell
// whether it got what was saved.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "checkpoint/model.h"

namespace stoker::checkpoint {

// Which bytes a file holds. Distinct per save, checkpoint, file, tensor and
// offset: nothing deduplicates by accident, and what an earlier run left under
// the same name is not taken for this one's.
struct ContentKey {
  std::uint64_t save_id = 0;  // of the run that wrote it
  std::uint64_t step = 0;     // of the step folder
  bool random = true;         // false: every element is 1
};

class FileContent {
 public:
  FileContent(const ContentKey& key, std::string_view file_name);

  // Bytes [offset, offset + out.size()) of tensor `tensor` of the ShardFile.
  void Fill(std::size_t tensor, DataType type, std::uint64_t offset,
            std::span<std::byte> out) const;
  // Offset within `data` of the first byte that differs from what Fill would
  // give; none if all are right.
  std::optional<std::uint64_t> FirstDifference(
      std::size_t tensor, DataType type, std::uint64_t offset,
      std::span<const std::byte> data) const;

 private:
  std::uint64_t TensorKey(std::size_t tensor) const;

  std::uint64_t key_ = 0;
  bool random_ = true;
};

}  // namespace stoker::checkpoint
