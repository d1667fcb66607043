#pragma once

// Writes one object of an S3 server: one PUT, or an upload in parts.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "storage/internal/part_memory.h"
#include "storage/internal/part_sender.h"
#include "storage/internal/s3_engine.h"
#include "storage/write_stream.h"

namespace stoker::storage::internal {

// S3 takes at most 10,000 parts of an object, all but the last of 5 MiB or
// more, so parts of the stream are gathered until they make one of S3's: those
// are the memory of the stream, S3Settings::part_bytes each, more for objects
// that would have too many of them. Up to S3Settings::uploads of them are under
// way at once, in threads of their own, as far as WriteOptions::in_flight parts
// have as many bytes; one at least. The object appears at Commit, durable or
// not.
class S3WriteStream final : public WriteStream {
 public:
  // `shared` outlives the stream. Nothing is sent yet. kInvalidArgument: an
  // expected size beyond what S3 takes.
  static core::Result<std::unique_ptr<WriteStream>> Make(
      S3Shared& shared, std::string key, std::shared_ptr<PartPool> pool,
      const WriteOptions& options, core::Clock& clock);
  // Takes an upload back that was not committed.
  ~S3WriteStream() override;
  S3WriteStream(const S3WriteStream&) = delete;
  S3WriteStream& operator=(const S3WriteStream&) = delete;

 private:
  // A stretch of a gathered part, as it was appended.
  struct Slice {
    std::size_t at = 0;  // in the memory
    std::size_t bytes = 0;
  };
  struct Gathered {
    std::span<std::byte> memory{};
    std::vector<Slice> slices{};
    std::size_t bytes = 0;
    std::size_t used = 0;  // of the memory, rounded up to pages

    void Add(std::size_t size);
    // The bytes one behind the other from the memory's start.
    std::span<const std::byte> Packed();
  };

  S3WriteStream(S3Shared& shared, std::string key,
                std::shared_ptr<PartPool> pool, const WriteOptions& options,
                core::Clock& clock);
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override;
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override;
  core::Status DoCommit(std::uint64_t size, WriteTimes& times) override;

  std::size_t SliceBytes(bool kept_back) const;
  bool KeepsFirst() const;
  core::Status TakeMemory();
  PartSender& Sender();
  core::Status SendGathered();
  core::Status StartUpload();
  core::Status Complete(std::uint64_t size);
  core::Status PutWhole();
  // In any thread.
  core::Status SendPart(std::uint64_t index, std::span<const std::byte> part);
  core::Status Drain(WriteTimes& times);
  void Abort();

  S3Shared& shared_;
  const std::string key_;
  const std::shared_ptr<PartPool> pool_;
  std::size_t gather_bytes_ = 0;  // memory of one of S3's parts
  std::size_t uploads_ = 1;
  core::AlignedBuffer own_memory_;    // without a sender
  core::AlignedBuffer first_memory_;  // of the part that is kept back
  std::optional<Gathered> first_;     // holds what is kept back, sent last
  Gathered current_;
  std::uint64_t index_ = 0;  // of `current_` among S3's parts
  std::string upload_id_;    // "": not begun
  bool committed_ = false;
  std::mutex mutex_;                // guards etags_
  std::vector<std::string> etags_;  // by part
  std::optional<PartSender> sender_;
};

}  // namespace stoker::storage::internal
