#include "checkpoint/internal/shard_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/crc.h"
#include "core/random.h"

namespace stoker::checkpoint::internal {

namespace {

using core::Code;
using core::Status;

constexpr std::uint64_t kEdge = 4096;
constexpr std::uint64_t kWindow = 4ULL << 20;
constexpr std::uint64_t kBlock = 64ULL << 10;

}  // namespace

void ForEachSampled(
    std::uint64_t begin, std::uint64_t end, std::uint64_t bytes,
    const std::function<void(std::uint64_t, std::uint64_t)>& visit) {
  std::uint64_t done = begin;  // no byte twice
  const auto part = [&](std::uint64_t first, std::uint64_t last) {
    first = std::max(first, done);
    last = std::min({last, end, bytes});
    if (first < last) {
      visit(first, last);
      done = last;
    }
  };
  part(0, kEdge);
  for (std::uint64_t window = begin / kWindow; window * kWindow < end;
       ++window) {
    const std::uint64_t block =
        window * kWindow + core::Mix64(window) % (kWindow / kBlock) * kBlock;
    part(block, block + kBlock);
  }
  part(bytes - std::min(bytes, kEdge), bytes);
}

ShardCheck::ShardCheck(CheckPlan plan, core::Clock& clock)
    : plan_(std::move(plan)), clock_(clock), tensors_(plan_.regions.size()) {}

Status ShardCheck::OnChunk(std::uint64_t offset,
                           std::span<const std::byte> data) {
  if (plan_.verify == Verify::kNone) {
    return {};
  }
  if (plan_.by_sum) {
    const core::TimePoint start = clock_.Now();
    whole_.push_back(
        {.offset = offset, .bytes = data.size(), .crc = core::Crc32(data)});
    checksum_time_ += clock_.Now() - start;
    return {};
  }
  const std::uint64_t end = offset + data.size();
  // The first region that does not end before the chunk.
  auto at = std::ranges::partition_point(
      plan_.regions, [offset](const Region& region) {
        return region.offset + region.bytes <= offset;
      });
  std::uint64_t position = offset;
  for (; at != plan_.regions.end() && at->offset < end; ++at) {
    const std::uint64_t begin = std::max(at->offset, offset);
    const std::uint64_t stop = std::min(at->offset + at->bytes, end);
    if (begin >= stop) {
      continue;
    }
    Frame(position, data.subspan(position - offset, begin - position));
    STOKER_TRY(Tensor(static_cast<std::size_t>(at - plan_.regions.begin()),
                      begin, data.subspan(begin - offset, stop - begin)));
    position = stop;
  }
  Frame(position, data.subspan(position - offset));
  return {};
}

void ShardCheck::Frame(std::uint64_t offset, std::span<const std::byte> data) {
  if (!data.empty() && plan_.content != nullptr) {
    frame_.push_back(
        {.offset = offset, .bytes = data.size(), .crc = core::Crc32(data)});
  }
}

Status ShardCheck::Tensor(std::size_t index, std::uint64_t begin,
                          std::span<const std::byte> data) {
  const Region& region = plan_.regions[index];
  const core::TimePoint start = clock_.Now();
  if (plan_.content == nullptr) {
    tensors_[index].push_back(
        {.offset = begin, .bytes = data.size(), .crc = core::Crc32(data)});
    verified_ += data.size();
    checksum_time_ += clock_.Now() - start;
    return {};
  }
  const std::uint64_t first = begin - region.offset;
  Status status;
  if (plan_.verify == Verify::kFull) {
    status = Compare(region, first, data);
  } else {
    ForEachSampled(first, first + data.size(), region.bytes,
                   [&](std::uint64_t from, std::uint64_t to) {
                     if (status.ok()) {
                       status = Compare(region, from,
                                        data.subspan(from - first, to - from));
                     }
                   });
  }
  content_time_ += clock_.Now() - start;
  return status;
}

// `begin` within the tensor.
Status ShardCheck::Compare(const Region& region, std::uint64_t begin,
                           std::span<const std::byte> data) {
  verified_ += data.size();
  const auto difference =
      plan_.content->FirstDifference(region.tensor, region.type, begin, data);
  if (!difference.has_value()) {
    return {};
  }
  return {Code::kCorruption,
          fmt::format("byte {} (byte {} of tensor {}) is not what was saved; "
                      "the storage lost or changed it, or another run wrote "
                      "over it",
                      region.offset + begin + *difference, begin + *difference,
                      region.tensor)};
}

std::uint32_t ShardCheck::Join(std::vector<Piece>& pieces) {
  std::ranges::sort(pieces, {}, &Piece::offset);
  std::uint32_t crc = 0;
  for (const Piece& piece : pieces) {
    crc = core::Crc32Combine(crc, piece.crc, piece.bytes);
  }
  return crc;
}

Status ShardCheck::Finish() {
  if (plan_.verify == Verify::kNone) {
    return {};
  }
  if (plan_.by_sum) {
    for (const Region& region : plan_.regions) {
      verified_ += region.bytes;
    }
    return Join(whole_) == plan_.crc
               ? Status()
               : Status(Code::kCorruption,
                        "its CRC-32 is not the one its manifest gives");
  }
  if (plan_.content != nullptr && plan_.whole_file &&
      Join(frame_) != plan_.frame_crc) {
    return {Code::kCorruption,
            "what stands between its tensors is not what was saved"};
  }
  for (std::size_t i = 0; i < plan_.regions.size(); ++i) {
    const Region& region = plan_.regions[i];
    if (plan_.content == nullptr && Join(tensors_[i]) != region.crc) {
      return {Code::kCorruption,
              fmt::format("the {} bytes at offset {} (tensor {}) do not have "
                          "the CRC-32 the archive gives for them",
                          region.bytes, region.offset, region.tensor)};
    }
  }
  return {};
}

}  // namespace stoker::checkpoint::internal
