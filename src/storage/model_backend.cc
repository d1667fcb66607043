#include "storage/model_backend.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "storage/internal/held_ops.h"
#include "storage/internal/options.h"
#include "storage/internal/wrapper_backend.h"

namespace stoker::storage {

namespace {

struct Model {
  core::Nanos latency{};
  std::uint64_t bandwidth = 0;  // bytes per second of all servers; 0: unlimited
  std::uint64_t servers = 1;
};

core::Nanos ServiceTime(const Model& model, std::uint64_t bytes) {
  if (model.bandwidth == 0) {
    return model.latency;
  }
  const double per_server =
      static_cast<double>(model.bandwidth) / static_cast<double>(model.servers);
  return model.latency +
         core::FromSeconds(static_cast<double>(bytes) / per_server);
}

class ModelQueue final : public ReadQueue {
 public:
  ModelQueue(const Model& model, std::unique_ptr<ReadQueue> inner,
             core::Clock& clock)
      : ReadQueue(inner->limits(), clock),
        model_(model),
        inner_(std::move(inner)),
        free_at_(model.servers),
        answers_(limits().capacity),
        by_tag_(limits().capacity),
        held_(limits().capacity) {}

  void Wake() override { waker_.Wake(clock()); }
  void RegisterMemory(std::span<std::byte> memory) override {
    inner_->RegisterMemory(memory);
  }
  std::string_view engine() const override { return inner_->engine(); }

 private:
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;
  core::Status ReadInner(std::span<const ReadOp> ops);
  core::TimePoint Serve(core::TimePoint now, const ReadDone& answer,
                        ReadOp::Kind kind);

  Model model_;
  std::unique_ptr<ReadQueue> inner_;
  std::vector<core::TimePoint> free_at_;  // heap, earliest in front
  std::vector<ReadDone> answers_;         // of the inner queue, as they come
  std::vector<ReadDone> by_tag_;
  internal::HeldOps held_;
  internal::ClockWaker waker_;
};

core::Status ModelQueue::ReadInner(std::span<const ReadOp> ops) {
  std::size_t submitted = 0;
  while (submitted < ops.size() || inner_->in_flight() > 0) {
    STOKER_ASSIGN(const std::size_t taken,
                  inner_->Submit(ops.subspan(submitted)));
    submitted += taken;
    STOKER_ASSIGN(const std::size_t count,
                  inner_->Reap(answers_, 1, core::kNever));
    for (ReadDone& answer : std::span(answers_).first(count)) {
      by_tag_[answer.tag] = std::move(answer);
    }
  }
  return {};
}

// When the server that is free first will have served the op.
core::TimePoint ModelQueue::Serve(core::TimePoint now, const ReadDone& answer,
                                  ReadOp::Kind kind) {
  const bool has_bytes = answer.status.ok() && kind == ReadOp::Kind::kRead;
  std::ranges::pop_heap(free_at_, std::greater<>());
  core::TimePoint& free_at = free_at_.back();
  free_at = std::max(now, free_at) +
            ServiceTime(model_, has_bytes ? answer.bytes : 0);
  const core::TimePoint finish = free_at;
  std::ranges::push_heap(free_at_, std::greater<>());
  return finish;
}

core::Result<std::size_t> ModelQueue::DoSubmit(std::span<const ReadOp> ops) {
  STOKER_TRY(ReadInner(ops));
  const core::TimePoint now = clock().Now();
  for (const ReadOp& op : ops) {
    ReadDone& answer = by_tag_[op.tag];
    const core::TimePoint finish = Serve(now, answer, op.kind);
    held_.Push(finish, std::move(answer));
  }
  return ops.size();
}

core::Result<std::size_t> ModelQueue::DoReap(std::span<ReadDone> done,
                                             std::size_t at_least,
                                             core::TimePoint deadline) {
  std::size_t count = 0;
  while (true) {
    const core::TimePoint now = clock().Now();
    count += held_.Pop(now, done.subspan(count));
    if (waker_.TakeWoken() || count >= at_least || deadline <= now) {
      return count;
    }
    waker_.WaitUntil(clock(), std::min(held_.next_due(), deadline));
  }
}

class ModelBackend final : public internal::WrapperBackend {
 public:
  ModelBackend(Uri uri, const Model& model, std::unique_ptr<Backend> inner)
      : WrapperBackend(std::move(inner)), uri_(std::move(uri)), model_(model) {}

  std::string_view scheme() const override { return "model"; }
  std::string uri() const override {
    Uri text = uri_;
    text.inner = inner().uri();
    return FormatUri(text);
  }
  core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) override {
    STOKER_ASSIGN(std::unique_ptr<ReadQueue> queue,
                  inner().NewReadQueue(options, clock));
    return std::unique_ptr<ReadQueue>(
        std::make_unique<ModelQueue>(model_, std::move(queue), clock));
  }

 private:
  Uri uri_;
  Model model_;
};

}  // namespace

core::Result<std::unique_ptr<Backend>> OpenModelBackend(
    const Uri& uri, const OpenSettings& /*settings*/,
    std::unique_ptr<Backend> inner) {
  STOKER_TRY(internal::CheckNoPlace(uri));
  Model model;
  STOKER_ASSIGN(model.latency,
                internal::DurationOption(uri, "latency", core::Nanos{0}));
  STOKER_ASSIGN(model.bandwidth, internal::BytesOption(uri, "bandwidth", 0));
  STOKER_ASSIGN(model.servers,
                internal::CountOption(uri, "servers", 1,
                                      {.lowest = 1, .highest = 65536}));
  if (uri.options.contains("bandwidth") && model.bandwidth == 0) {
    return internal::BadOption(uri, "bandwidth",
                               "nothing would ever arrive; leave it out for "
                               "an unlimited one");
  }
  return std::unique_ptr<Backend>(
      std::make_unique<ModelBackend>(uri, model, std::move(inner)));
}

}  // namespace stoker::storage
