#pragma once

// A stream over another one that passes on what it is given.

#include <memory>
#include <span>
#include <utility>

#include "storage/write_stream.h"

namespace stoker::storage {

// The parts lie in the inner stream's memory. Both keep the first part back, or
// neither does, so a patch of ours is one of the inner stream's too.
class ForwardingStream : public WriteStream {
 public:
  // `options` are those of the inner stream.
  ForwardingStream(std::unique_ptr<WriteStream> inner,
                   const WriteOptions& options, core::Clock& clock)
      : WriteStream(options, clock), inner_(std::move(inner)) {}

 protected:
  core::Status SendInner(std::uint64_t offset, std::size_t bytes) {
    STOKER_TRY(Forward(offset + bytes));
    return inner_->Cut();
  }
  core::Status CommitInner(std::uint64_t size, WriteTimes& times) {
    STOKER_TRY(Forward(size));
    STOKER_ASSIGN(const WriteTimes inner_times, inner_->Commit());
    times.last = inner_times.last;
    times.synced = inner_times.synced;
    CountFlight(inner_->counters().idle, inner_->counters().waited);
    return {};
  }

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    STOKER_TRY(Forward(offset));
    return inner_->Buffer();
  }
  // Appends to the inner stream what is ours up to `end`.
  core::Status Forward(std::uint64_t end) {
    if (inner_->position() >= end) {
      return {};
    }
    return inner_->Append(end - inner_->position());
  }

  std::unique_ptr<WriteStream> inner_;
};

}  // namespace stoker::storage
