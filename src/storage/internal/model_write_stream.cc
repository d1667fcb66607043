#include "storage/internal/model_write_stream.h"

#include <algorithm>
#include <utility>

namespace stoker::storage::internal {

ModelWriteStream::ModelWriteStream(ModelStore& store, std::string name,
                                   std::unique_ptr<WriteStream> inner,
                                   const WriteOptions& options,
                                   core::Clock& clock)
    : ForwardingStream(std::move(inner), options, clock),
      store_(store),
      name_(std::move(name)),
      service_(store, options.in_flight + 1) {
  for (std::size_t tag = 0; tag <= options.in_flight; ++tag) {
    free_tags_.push_back(tag);
  }
}

core::Status ModelWriteStream::WaitFor(std::size_t parts) {
  const core::TimePoint begun = clock().Now();
  core::TimePoint now = begun;
  while (true) {
    service_.Advance(now);
    ModelService::Ended ended;
    while (service_.TakeEnded(now, ended)) {
      free_tags_.push_back(ended.tag);
      last_end_ = std::max(last_end_, ended.at);
      any_ended_ = true;
      if (failed_.ok()) {
        failed_ = OutcomeOf(ended, OpPlace::Kind::kWrite, name_);
      }
    }
    if (service_.on_their_way() <= parts) {
      break;
    }
    clock().SleepUntil(service_.next_due());
    now = clock().Now();
  }
  waited_ += now - begun;
  return failed_;
}

core::Status ModelWriteStream::DoSend(std::uint64_t offset,
                                      std::span<const std::byte> part) {
  STOKER_TRY(failed_);
  const core::TimePoint now = clock().Now();
  if (any_ended_ && service_.on_their_way() == 0) {
    idle_ += now - last_end_;
  }
  const std::size_t tag = free_tags_.back();
  free_tags_.pop_back();
  service_.Start(tag,
                 {.place = {.kind = OpPlace::Kind::kWrite,
                            .object = HashOfName(name_),
                            .offset = offset},
                  .bytes = part.size(),
                  .direction = Direction::kWrite},
                 now);
  STOKER_TRY(SendInner(offset, part.size()));
  return WaitFor(options().in_flight);
}

core::Status ModelWriteStream::DoCommit(std::uint64_t size, WriteTimes& times) {
  STOKER_TRY(WaitFor(0));
  STOKER_TRY(DoAlone(
      store_,
      {.place = {.kind = OpPlace::Kind::kCommit, .object = HashOfName(name_)}},
      name_, clock()));
  const core::TimePoint last = any_ended_ ? last_end_ : times.last;
  STOKER_TRY(CommitInner(size, times));
  times.last = last;
  times.synced = options().durable ? clock().Now() : last;
  CountFlight(options().in_flight > 0 ? idle_ : core::Nanos{},
              options().in_flight > 0 ? waited_ : core::Nanos{});
  return {};
}

}  // namespace stoker::storage::internal
