#pragma once

// Checkpoint files in memory, or only what stands around their tensors.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/archive.h"
#include "core/crc.h"
#include "core/status.h"

namespace stoker::testing {

using File = std::vector<std::byte>;

inline void Append(File& file, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  file.insert(file.end(), bytes.begin(), bytes.end());
}

// Bits 13 to 20 of a linear function of tensor and offset.
inline File PatternOf(std::size_t tensor, std::uint64_t bytes) {
  File data(bytes);
  for (std::uint64_t i = 0; i < bytes; ++i) {
    data[i] = static_cast<std::byte>((i * 2654435761 + tensor * 40503) >> 13);
  }
  return data;
}

// The whole file, tensors filled with their pattern.
inline File Encode(const checkpoint::ShardFile& shard,
                   checkpoint::FileFormat format) {
  const checkpoint::FileLayout layout(shard, format);
  std::vector<std::uint32_t> crcs;
  File file;
  for (std::size_t i = 0; i < layout.tensors(); ++i) {
    Append(file, layout.Between(i, crcs));
    const std::size_t index = layout.index(i);
    const File data = PatternOf(index, shard.tensors[index].bytes());
    file.insert(file.end(), data.begin(), data.end());
    crcs.push_back(core::Crc32(data));
  }
  Append(file, layout.Between(layout.tensors(), crcs));
  return file;
}

class MemorySource final : public checkpoint::ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> file) : file_(file) {}
  core::Status Read(std::uint64_t offset, std::span<std::byte> out) override {
    ++reads;
    if (offset > file_.size() || out.size() > file_.size() - offset) {
      outside = true;
      return {core::Code::kIoError, "read outside of the file"};
    }
    std::ranges::copy(file_.subspan(offset, out.size()), out.begin());
    return {};
  }

  int reads = 0;
  bool outside = false;

 private:
  std::span<const std::byte> file_;
};

inline core::Result<checkpoint::StoredFile> ReadBack(
    std::span<const std::byte> file) {
  MemorySource source(file);
  return checkpoint::ReadArchive(source, file.size(), "file.pt");
}

// A file without its tensors' bytes, which read as zeros; each tensor has the
// CRC-32 `position` + 1.
class SparseSource final : public checkpoint::ByteSource {
 public:
  SparseSource(const checkpoint::ShardFile& shard,
               checkpoint::FileFormat format)
      : layout_(shard, format) {
    std::vector<std::uint32_t> crcs;
    std::uint64_t at = 0;
    for (std::size_t i = 0; i <= layout_.tensors(); ++i) {
      const std::string text = layout_.Between(i, crcs);
      pieces_[at] = text;
      at += text.size();
      if (i < layout_.tensors()) {
        at += shard.tensors[layout_.index(i)].bytes();
        crcs.push_back(static_cast<std::uint32_t>(i) + 1);
      }
    }
    bytes = at;
  }

  core::Status Read(std::uint64_t offset, std::span<std::byte> out) override {
    std::ranges::fill(out, std::byte{0});
    for (const auto& [at, text] : pieces_) {
      const std::uint64_t first = std::max(at, offset);
      const std::uint64_t last =
          std::min(at + text.size(), offset + out.size());
      if (first < last) {
        std::ranges::copy(
            std::as_bytes(std::span(text)).subspan(first - at, last - first),
            out.begin() + static_cast<std::ptrdiff_t>(first - offset));
      }
    }
    return {};
  }

  const checkpoint::FileLayout& layout() const { return layout_; }
  std::uint64_t bytes = 0;  // where the last piece ends

 private:
  checkpoint::FileLayout layout_;
  std::map<std::uint64_t, std::string> pieces_;
};

// Six tensors of one dict each, in as many groups as given.
inline checkpoint::ShardFile Shard(
    const std::vector<std::string>& groups,
    const std::vector<std::uint64_t>& elements,
    checkpoint::DataType type = checkpoint::DataType::kFp16) {
  checkpoint::ShardFile shard;
  for (const std::string& group : groups) {
    for (std::size_t i = 0; i < elements.size(); ++i) {
      shard.tensors.push_back({.group = group,
                               .key = std::to_string(i),
                               .type = type,
                               .elements = elements[i]});
    }
  }
  return shard;
}

inline constexpr checkpoint::FileFormat kArchives[] = {
    checkpoint::FileFormat::kTorchZip1_13, checkpoint::FileFormat::kTorchZip2_1,
    checkpoint::FileFormat::kTorchZip};

}  // namespace stoker::testing
