#include "storage/internal/model_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/check.h"

namespace stoker::storage::internal {

namespace {

using Outcome = ModelSchedule::Outcome;

constexpr core::Nanos kLateness = std::chrono::milliseconds(10);

void Count(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

// By kind.
constexpr std::array<std::string_view, 8> kModelOps{
    "read",   "size query", "create", "write",
    "commit", "list",       "link",   "remove"};

}  // namespace

ModelService::ModelService(ModelStore& store, std::size_t capacity)
    : store_(store),
      queues_ahead_(store.limits.caps().split),
      states_(capacity),
      waiting_(capacity) {
  events_.reserve(capacity);
  ends_.reserve(capacity);
}

bool ModelService::After(const Event& a, const Event& b) {
  return std::pair(a.due, a.number) > std::pair(b.due, b.number);
}

void ModelService::Plan(std::size_t tag, Stage next, core::TimePoint due) {
  states_[tag].next = next;
  std::vector<Event>& heap = next == Stage::kEnds ? ends_ : events_;
  heap.push_back({.due = due, .number = next_number_++, .tag = tag});
  std::ranges::push_heap(heap, After);
}

void ModelService::Start(std::size_t tag, const Op& op, core::TimePoint now) {
  STOKER_CHECK(on_their_way_ < states_.size());
  ++on_their_way_;
  states_[tag] = {.op = op, .started = now};
  Request(tag, now);
}

void ModelService::Request(std::size_t tag, core::TimePoint at) {
  State& state = states_[tag];
  Count(store_.counters.requests);
  if (state.op.place.attempt > 0) {
    Count(store_.counters.repetitions);
  }
  state.attempt = store_.schedule.Draw(state.op.place);
  state.arrived = store_.limits.Admit(at);
  const ModelCaps& caps = store_.limits.caps();
  if (queues_ahead_) {
    state.lease = store_.limits.Enter(state.arrived, Hold(state));
    Serve(tag, state.lease.begin);
  } else if (caps.concurrency == 0) {
    Serve(tag, state.arrived);
  } else if (state.arrived > at) {
    Plan(tag, Stage::kArrives, state.arrived);
  } else {
    Arrive(tag, at);
  }
}

// How long the op is in service if nobody else is.
core::Nanos ModelService::Hold(const State& state) const {
  const bool served = state.attempt.outcome == Outcome::kServed;
  return state.attempt.latency +
         store_.limits.TransferTime(served ? state.op.bytes : 0);
}

void ModelService::Arrive(std::size_t tag, core::TimePoint now) {
  if (waiting_count_ == 0 && TryServe(tag, now)) {
    return;
  }
  waiting_[(first_waiting_ + waiting_count_) % waiting_.size()] = tag;
  ++waiting_count_;
}

bool ModelService::TryServe(std::size_t tag, core::TimePoint now) {
  State& state = states_[tag];
  const auto lease = store_.limits.TryEnter(state.arrived, now, Hold(state));
  if (!lease.has_value()) {
    return false;
  }
  state.lease = *lease;
  Serve(tag, lease->begin);
  return true;
}

// The attempt is in service from `begin` on.
void ModelService::Serve(std::size_t tag, core::TimePoint begin) {
  State& state = states_[tag];
  const core::TimePoint answered = begin + state.attempt.latency;
  const ModelCaps& caps = store_.limits.caps();
  const bool served = state.attempt.outcome == Outcome::kServed;
  // Answers that come in the order of the requests have the bandwidth reserved
  // in that order, and nobody need wait for this thread.
  const bool in_order = caps.concurrency == 0 && !state.attempt.stalled &&
                        store_.schedule.constant_latency();
  if (served &&
      (caps.split || state.op.bytes == 0 || caps.bytes_per_second == 0)) {
    state.first_byte = answered;
    Plan(tag, Stage::kEnds,
         answered + store_.limits.TransferTime(state.op.bytes));
  } else if (served && in_order) {
    Flow(tag, answered);
  } else {
    Plan(tag, Stage::kAnswered, answered);
  }
}

void ModelService::Flow(std::size_t tag, core::TimePoint earliest) {
  State& state = states_[tag];
  const ModelLimits::Flow flow =
      store_.limits.Transfer(state.op.direction, earliest, state.op.bytes);
  state.first_byte = flow.begin;
  if (store_.limits.caps().concurrency > 0) {
    store_.limits.Extend(state.lease, flow.end);
  }
  Plan(tag, Stage::kEnds, flow.end);
}

void ModelService::Answer(std::size_t tag, core::TimePoint due,
                          core::TimePoint now) {
  State& state = states_[tag];
  if (state.attempt.outcome == Outcome::kServed) {
    Flow(tag, std::max(due, now - kLateness));
    return;
  }
  state.first_byte = due;
  if (state.attempt.outcome == Outcome::kThrottled) {
    Count(store_.counters.throttled);
    const std::uint64_t number = state.op.place.attempt + 1;
    const core::TimePoint again =
        due + store_.schedule.BackOff(state.op.place, number);
    if (number <= store_.schedule.retries() &&
        again - state.started < store_.patience) {
      state.op.place.attempt = number;
      Plan(tag, Stage::kComesAgain, again);
      return;
    }
  } else {
    Count(store_.counters.errors);
  }
  Plan(tag, Stage::kEnds, due);
}

void ModelService::Advance(core::TimePoint now) {
  while (!events_.empty() && events_.front().due <= now) {
    std::ranges::pop_heap(events_, After);
    const Event event = events_.back();
    events_.pop_back();
    if (states_[event.tag].next == Stage::kArrives) {
      Arrive(event.tag, now);
    } else if (states_[event.tag].next == Stage::kAnswered) {
      Answer(event.tag, event.due, now);
    } else {
      Request(event.tag, event.due);
    }
  }
  while (waiting_count_ > 0 && TryServe(waiting_[first_waiting_], now)) {
    first_waiting_ = (first_waiting_ + 1) % waiting_.size();
    --waiting_count_;
  }
}

bool ModelService::TakeEnded(core::TimePoint now, Ended& ended) {
  if (ends_.empty() || ends_.front().due > now) {
    return false;
  }
  std::ranges::pop_heap(ends_, After);
  const Event event = ends_.back();
  ends_.pop_back();
  --on_their_way_;
  const State& state = states_[event.tag];
  ended = {.tag = event.tag,
           .at = event.due,
           .first_byte = state.first_byte,
           .outcome = state.attempt.outcome,
           .attempts = state.op.place.attempt + 1};
  if (ended.outcome == Outcome::kServed) {
    Count(state.op.direction == Direction::kRead
              ? store_.counters.bytes_received
              : store_.counters.bytes_sent,
          state.op.bytes);
  }
  return true;
}

core::TimePoint ModelService::next_due() const {
  core::TimePoint due = core::kNever;
  if (!events_.empty()) {
    due = events_.front().due;
  }
  if (!ends_.empty()) {
    due = std::min(due, ends_.front().due);
  }
  return waiting_count_ > 0 ? std::min(due, store_.limits.NextFree()) : due;
}

core::Status OutcomeOf(const ModelService::Ended& ended, OpPlace::Kind kind,
                       std::string_view name) {
  const std::string_view op = kModelOps.at(static_cast<std::size_t>(kind));
  switch (ended.outcome) {
    case Outcome::kServed:
      break;
    case Outcome::kThrottled:
      return {core::Code::kUnavailable,
              fmt::format("{} of {}: the simulated store was busy {} times in "
                          "a row; remedy: a lower throttle_rate or more "
                          "retries in the model: URI",
                          op, name, ended.attempts)};
    case Outcome::kFailed:
      return core::Status::FromErrno(
          EIO, fmt::format("{} of {}: simulated by error_rate of the model: "
                           "URI",
                           op, name));
  }
  return {};
}

core::Status DoAlone(ModelStore& store, const ModelService::Op& op,
                     std::string_view name, core::Clock& clock) {
  ModelService service(store, 1);
  service.Start(0, op, clock.Now());
  ModelService::Ended ended;
  while (!service.TakeEnded(clock.Now(), ended)) {
    clock.SleepUntil(service.next_due());
    service.Advance(clock.Now());
  }
  return OutcomeOf(ended, op.place.kind, name);
}

}  // namespace stoker::storage::internal
