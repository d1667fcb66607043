#include "checkpoint/content.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/fnv.h"
#include "core/random.h"

namespace stoker::checkpoint {

namespace {

// Eight bytes of elements that are all 1; little-endian.
std::uint64_t OnesOf(DataType type) {
  switch (type) {
    case DataType::kInt8:
    case DataType::kUint8:
      return 0x0101010101010101ULL;
    case DataType::kFp16:
      return 0x3C003C003C003C00ULL;
    case DataType::kBf16:
      return 0x3F803F803F803F80ULL;
    case DataType::kFp32:
      return 0x3F8000003F800000ULL;
    case DataType::kFp64:
      return 0x3FF0000000000000ULL;
  }
  return 0;
}

constexpr std::size_t kWord = sizeof(std::uint64_t);

void FillOnes(DataType type, std::uint64_t offset, std::span<std::byte> out) {
  // The word as it lies from `offset` on.
  const std::uint64_t word =
      std::rotr(OnesOf(type), static_cast<int>(offset % kWord * 8));
  std::array<std::byte, kWord> bytes;
  std::memcpy(bytes.data(), &word, kWord);
  while (!out.empty()) {
    const std::size_t count = std::min(out.size(), kWord);
    std::memcpy(out.data(), bytes.data(), count);
    out = out.subspan(count);
  }
}

}  // namespace

FileContent::FileContent(const ContentKey& key, std::string_view file_name)
    : key_(core::StreamKey(key.save_id, key.step, core::Fnv1a64(file_name))),
      random_(key.random) {}

std::uint64_t FileContent::TensorKey(std::size_t tensor) const {
  return core::StreamKey(key_, tensor);
}

void FileContent::Fill(std::size_t tensor, DataType type, std::uint64_t offset,
                       std::span<std::byte> out) const {
  if (random_) {
    core::FillCounterStream(TensorKey(tensor), offset, out);
  } else {
    FillOnes(type, offset, out);
  }
}

std::optional<std::uint64_t> FileContent::FirstDifference(
    std::size_t tensor, DataType type, std::uint64_t offset,
    std::span<const std::byte> data) const {
  if (random_ && core::MatchesCounterStream(TensorKey(tensor), offset, data)) {
    return std::nullopt;
  }
  std::array<std::byte, 4096> expected;
  for (std::size_t at = 0; at < data.size();) {
    const std::span<std::byte> block =
        std::span(expected).first(std::min(expected.size(), data.size() - at));
    Fill(tensor, type, offset + at, block);
    const auto different = std::ranges::mismatch(block, data.subspan(at));
    if (different.in1 != block.end()) {
      return at + static_cast<std::uint64_t>(different.in1 - block.begin());
    }
    at += block.size();
  }
  return std::nullopt;
}

}  // namespace stoker::checkpoint
