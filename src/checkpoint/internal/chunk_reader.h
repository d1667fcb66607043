#pragma once

// Ranges of objects read in large aligned requests, several under way; what
// arrives is handed on at once, in the order of arrival.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/archive.h"
#include "checkpoint/save.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/backend.h"

namespace stoker::checkpoint::internal {

struct ReadShape {
  std::uint64_t request_bytes = 0;  // a multiple of 4096
  std::size_t depth = 1;            // requests under way
};
// Fits into context.pool_bytes. `preferred_unit`: ReadLimits.
ReadShape ShapeOfReads(const ShardContext& context, FileFormat format,
                       std::uint64_t preferred_unit);

class ChunkSink {
 public:
  virtual ~ChunkSink() = default;
  // Bytes from `offset` of the object on; gone after the call.
  virtual core::Status OnChunk(std::uint64_t offset,
                               std::span<const std::byte> data) = 0;
};

// Belongs to one thread. After an error only its destructor may be called.
class ChunkReader {
 public:
  static core::Result<std::unique_ptr<ChunkReader>> Make(
      const ShardContext& context, FileFormat format);
  ~ChunkReader();
  ChunkReader(const ChunkReader&) = delete;
  ChunkReader& operator=(const ChunkReader&) = delete;

  // What is read from now on; the one before is let go.
  void Open(std::string_view object);
  core::Result<std::uint64_t> Size();
  // Bytes [begin, end) in requests of at most `request_bytes`, 0: of the shape.
  // kCorruption: the object ends before `end`. kCancelled, kTimedOut.
  core::Status Read(std::uint64_t begin, std::uint64_t end, ChunkSink& sink,
                    std::uint64_t request_bytes = 0);

  // Counts and times begin anew.
  void StartOver();

  bool real_data() const { return queue_->limits().real_data; }
  std::uint64_t preferred_unit() const {
    return queue_->limits().preferred_unit;
  }
  std::string_view engine() const { return queue_->engine(); }
  std::uint64_t pool_bytes() const { return memory_.size(); }
  // Of the first and the last request that was done; kNever: none was.
  core::TimePoint first_done() const { return first_done_; }
  core::TimePoint last_done() const { return last_done_; }
  // All requests were done while nobody asked for more.
  core::Nanos idle() const { return idle_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Slot {
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    std::uint64_t wanted = 0;
    core::TimePoint submitted{};
    bool busy = false;
  };
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t next = 0;  // to be asked for
    std::uint64_t request = 0;
  };

  ChunkReader(const ShardContext& context, ReadShape shape);
  core::Status Ask(Range& range);
  core::Status Take(const Range& range, std::size_t at_least, ChunkSink& sink);
  core::Status Hand(const Range& range, const storage::ReadDone& done,
                    ChunkSink& sink);
  core::Status CheckPatience(core::TimePoint now) const;
  void Close();

  const ShardContext& context_;
  ReadShape shape_;
  core::AlignedBuffer memory_;
  // A slot's buffer each, instead of those that a device holds.
  std::vector<core::AlignedBuffer> more_memory_;
  bool any_held_ = false;  // storage may still write to a buffer given up
  std::unique_ptr<storage::ReadQueue> queue_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;  // the last used first: its memory is near
  std::vector<storage::ReadDone> done_;
  std::string object_;
  storage::ObjectId id_{};
  bool open_ = false;
  bool broken_ = false;
  core::TimePoint first_done_ = core::kNever;
  core::TimePoint last_done_ = core::kNever;
  core::TimePoint idle_since_ = core::kNever;
  core::Nanos idle_{};
  std::uint64_t bytes_ = 0;
};

// The open object of a reader as a ByteSource, by blocks of `unit` bytes of
// which the last is kept.
class BlockSource final : public ByteSource {
 public:
  // `reader` outlives this.
  BlockSource(ChunkReader& reader, std::uint64_t file_bytes, std::uint64_t unit)
      : reader_(reader), file_bytes_(file_bytes), unit_(unit) {}
  core::Status Read(std::uint64_t offset, std::span<std::byte> out) override;

 private:
  ChunkReader& reader_;
  std::uint64_t file_bytes_;
  std::uint64_t unit_;
  std::uint64_t block_start_ = 0;
  std::vector<std::byte> block_;
};

}  // namespace stoker::checkpoint::internal
