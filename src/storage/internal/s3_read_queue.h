#pragma once

// Reads objects of an S3 server with ranged GETs, many at once in one thread.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "storage/internal/done_ring.h"
#include "storage/internal/s3_engine.h"
#include "storage/internal/s3_objects.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// Takes real time, whatever the clock. Answers arrive while the owner is in
// Submit or Reap. A read of more than S3Settings::range_bytes is asked for in
// parts of that size, which are under way at once.
class S3ReadQueue final : public ReadQueue {
 public:
  // `shared` and `objects` outlive the queue.
  static core::Result<std::unique_ptr<ReadQueue>> Make(S3Shared& shared,
                                                       S3Objects& objects,
                                                       const ReadLimits& limits,
                                                       core::Clock& clock);
  void Wake() override { engine_->Wake(); }
  std::string_view engine() const override { return "http"; }

 private:
  struct Op {
    ReadOp asked;
    std::uint64_t begun = 0;  // bytes of it that were asked for
    std::uint64_t got = 0;    // bytes
    std::uint32_t parts = 0;  // under way
    core::Status status;      // the first error
    core::TimePoint first_byte{};
    std::uint64_t version = 0;  // of a question for the size
  };
  struct Part {
    std::uint32_t op = 0;
    std::uint64_t offset = 0;  // in the object
    std::uint64_t bytes = 0;   // 0: a question for the size
  };

  S3ReadQueue(S3Shared& shared, S3Objects& objects, const ReadLimits& limits,
              core::Clock& clock, std::unique_ptr<S3Engine> engine,
              std::size_t connections);
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;
  void Begin();
  void BeginPart(std::uint32_t slot, std::uint32_t number);
  void TakeEnded();
  void EndPart(std::uint32_t slot);
  core::Result<std::uint64_t> SizeOf(const HttpAnswer& answer, S3Object& object,
                                     std::string_view key) const;
  core::Result<std::uint64_t> BytesOf(const Part& part,
                                      const HttpAnswer& answer,
                                      S3Object& object) const;
  static bool AllBegun(const Op& op);

  S3Shared& shared_;
  S3Objects& objects_;
  std::vector<Op> ops_;                  // by tag
  std::vector<std::uint32_t> to_begin_;  // ring of tags with parts to ask for
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::vector<Part> parts_;  // by the engine's slot
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> ended_;
  DoneRing done_;
  core::Status broken_;
  std::unique_ptr<S3Engine> engine_;
};

}  // namespace stoker::storage::internal
