#include "cache/internal/write_streams.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/aligned_buffer.h"
#include "storage/forwarding_stream.h"

namespace stoker::cache::internal {

namespace {

// The store of any stream keeps this much of the beginning for patches.
constexpr std::uint64_t kLeastFirstPart = 65536;

class BackStream final : public storage::WriteStream {
 public:
  BackStream(std::unique_ptr<StagedObject> staged,
             const storage::WriteOptions& options, core::Clock& clock,
             EndObject end)
      : WriteStream(options, clock),
        staged_(std::move(staged)),
        end_(std::move(end)) {}

  core::Status TakeMemory(std::uint64_t block_bytes) {
    const std::uint64_t part = options().part_size > 0
                                   ? options().part_size
                                   : std::max(kLeastFirstPart, block_bytes);
    STOKER_ASSIGN(part_, core::AlignedBuffer::Make(part, false));
    if (options().patch) {
      STOKER_ASSIGN(first_, core::AlignedBuffer::Make(part, false));
    }
    return {};
  }

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    return IsKeptBack(offset) ? first_.bytes() : part_.bytes();
  }
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    return staged_->Put(offset, part);
  }
  core::Status DoCommit(std::uint64_t size,
                        storage::WriteTimes& times) override {
    STOKER_TRY(staged_->Finish(size));
    times.last = clock().Now();
    return end_(staged_.get(), size, times);
  }

  std::unique_ptr<StagedObject> staged_;
  EndObject end_;
  core::AlignedBuffer part_;
  core::AlignedBuffer first_;
};

class ThroughStream final : public storage::ForwardingStream {
 public:
  ThroughStream(std::unique_ptr<storage::WriteStream> inner,
                std::unique_ptr<StagedObject> staged,
                const storage::WriteOptions& options, core::Clock& clock,
                EndObject end)
      : ForwardingStream(std::move(inner), options, clock),
        staged_(std::move(staged)),
        end_(std::move(end)) {}

 private:
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    // A cache that does not take it costs the object nothing but that.
    if (staged_ != nullptr && !staged_->Put(offset, part).ok()) {
      staged_.reset();
    }
    return SendInner(offset, part.size());
  }
  core::Status DoCommit(std::uint64_t size,
                        storage::WriteTimes& times) override {
    if (staged_ != nullptr && !staged_->Finish(size).ok()) {
      staged_.reset();
    }
    STOKER_TRY(CommitInner(size, times));
    return end_(staged_.get(), size, times);
  }

  std::unique_ptr<StagedObject> staged_;
  EndObject end_;
};

}  // namespace

core::Result<std::unique_ptr<storage::WriteStream>> MakeBackStream(
    std::unique_ptr<StagedObject> staged, std::uint64_t block_bytes,
    const storage::WriteOptions& options, core::Clock& clock, EndObject end) {
  auto stream = std::make_unique<BackStream>(std::move(staged), options, clock,
                                             std::move(end));
  STOKER_TRY(stream->TakeMemory(block_bytes));
  return std::unique_ptr<storage::WriteStream>(std::move(stream));
}

std::unique_ptr<storage::WriteStream> MakeThroughStream(
    std::unique_ptr<storage::WriteStream> inner,
    std::unique_ptr<StagedObject> staged, const storage::WriteOptions& options,
    core::Clock& clock, EndObject end) {
  return std::make_unique<ThroughStream>(std::move(inner), std::move(staged),
                                         options, clock, std::move(end));
}

}  // namespace stoker::cache::internal
