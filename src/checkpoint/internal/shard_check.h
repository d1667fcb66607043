#pragma once

// Looks at the bytes of one checkpoint file as they arrive, in any order.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/archive.h"
#include "checkpoint/content.h"
#include "checkpoint/internal/chunk_reader.h"
#include "checkpoint/manifest.h"
#include "checkpoint/restore.h"
#include "core/clock.h"
#include "core/status.h"

namespace stoker::checkpoint::internal {

// A tensor's place in the file, and what tells whether it is right.
struct Region {
  std::size_t tensor = 0;  // of the ShardFile
  DataType type = DataType::kFp16;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;  // foreign files
};

struct CheckPlan {
  Verify verify = Verify::kNone;
  std::uint64_t file_bytes = 0;
  std::vector<Region> regions{};  // ascending, not overlapping
  // Files of ours: what the tensors hold, and the sum of all between them.
  // Null: a foreign file, tensors have CRC-32s.
  const FileContent* content = nullptr;
  std::uint32_t frame_crc = 0;
  bool whole_file = true;  // every byte will arrive, once
  // kFull of a whole file of ours: bytes are summed, not compared, which is
  // several times as fast; the sum stands for them.
  bool by_sum = false;
  std::uint32_t crc = 0;  // CRC-32 of the whole file
};

// Used by one thread.
class ShardCheck final : public ChunkSink {
 public:
  ShardCheck(CheckPlan plan, core::Clock& clock);

  // kCorruption: a byte differs; offset and kind are told.
  core::Status OnChunk(std::uint64_t offset,
                       std::span<const std::byte> data) override;
  // Everything has arrived. kCorruption: a sum differs.
  core::Status Finish();

  std::uint64_t verified_bytes() const { return verified_; }
  core::Nanos content_time() const { return content_time_; }
  core::Nanos checksum_time() const { return checksum_time_; }

 private:
  // Sums of parts, put together at the end.
  struct Piece {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint32_t crc = 0;
  };

  core::Status Tensor(std::size_t region, std::uint64_t begin,
                      std::span<const std::byte> data);
  core::Status Compare(const Region& region, std::uint64_t begin,
                       std::span<const std::byte> data);
  void Frame(std::uint64_t offset, std::span<const std::byte> data);
  static std::uint32_t Join(std::vector<Piece>& pieces);

  CheckPlan plan_;
  core::Clock& clock_;
  std::vector<Piece> frame_;
  std::vector<Piece> whole_;
  std::vector<std::vector<Piece>> tensors_;  // foreign files, by region
  std::uint64_t verified_ = 0;
  core::Nanos content_time_{};
  core::Nanos checksum_time_{};
};

// The parts of [begin, end) of a tensor of `bytes` that Verify::kSample looks
// at, in ascending order.
void ForEachSampled(
    std::uint64_t begin, std::uint64_t end, std::uint64_t bytes,
    const std::function<void(std::uint64_t, std::uint64_t)>& visit);

}  // namespace stoker::checkpoint::internal
