#pragma once

// Ops on their way through a simulated store.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "storage/internal/model_limits.h"
#include "storage/internal/model_schedule.h"
#include "storage/request_counters.h"

namespace stoker::storage::internal {

// RequestCounters of many threads.
struct ModelCounters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> repetitions{0};
  std::atomic<std::uint64_t> throttled{0};
  std::atomic<std::uint64_t> errors{0};
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
};

// What the queues and streams of a back end have in common.
struct ModelStore {
  ModelSchedule schedule;
  ModelLimits limits;
  core::Nanos patience{};  // for an op with its repetitions
  ModelCounters counters{};
};

// The ops of one queue or stream. Each attempt is let in (requests), waits for
// a place (concurrency), is answered after its latency and then gets its bytes
// (bandwidth); a throttled one comes again after a back-off. Ops wait for
// places in the order they came, those of other queues in between as it
// happens. What can be known when an op starts is reserved then; the rest is
// done by Advance, which accepts being late by 10 ms: what was due before that
// gets its bytes as if due then. Allocates at construction only. Belongs to one
// thread.
class ModelService {
 public:
  struct Op {
    OpPlace place{};
    std::uint64_t bytes = 0;  // that flow once it is answered
    Direction direction = Direction::kRead;
  };
  struct Ended {
    std::size_t tag = 0;
    core::TimePoint at{};          // never in the future
    core::TimePoint first_byte{};  // `at` where none flowed
    // kServed: the store has done it. Else it failed; kThrottled: every time.
    ModelSchedule::Outcome outcome = ModelSchedule::Outcome::kServed;
    std::uint64_t attempts = 1;
  };

  // The store outlives this; tags are below `capacity`.
  ModelService(ModelStore& store, std::size_t capacity);

  // `tag` is not in use.
  void Start(std::size_t tag, const Op& op, core::TimePoint now);
  void Advance(core::TimePoint now);
  // The next op that ended, in the order of their ends; false if there is none.
  bool TakeEnded(core::TimePoint now, Ended& ended);
  // When Advance or TakeEnded have something to do; kNever if nothing is on its
  // way.
  core::TimePoint next_due() const;
  std::size_t on_their_way() const { return on_their_way_; }

 private:
  enum class Stage : std::uint8_t { kArrives, kAnswered, kComesAgain, kEnds };
  struct State {
    Op op{};
    core::TimePoint started{};
    core::TimePoint arrived{};
    core::TimePoint first_byte{};
    ModelSchedule::Attempt attempt{};
    ModelLimits::Lease lease{};
    Stage next = Stage::kArrives;
  };
  struct Event {
    core::TimePoint due{};
    std::uint64_t number = 0;
    std::size_t tag = 0;
  };
  static bool After(const Event& a, const Event& b);

  void Plan(std::size_t tag, Stage next, core::TimePoint due);
  void Request(std::size_t tag, core::TimePoint at);
  void Arrive(std::size_t tag, core::TimePoint now);
  bool TryServe(std::size_t tag, core::TimePoint now);
  void Serve(std::size_t tag, core::TimePoint begin);
  void Answer(std::size_t tag, core::TimePoint due, core::TimePoint now);
  void Flow(std::size_t tag, core::TimePoint earliest);
  core::Nanos Hold(const State& state) const;

  ModelStore& store_;
  const bool queues_ahead_;    // places are reserved before they are free
  std::vector<State> states_;  // by tag
  std::vector<Event> events_;  // heap, earliest in front
  std::vector<Event> ends_;    // heap, of Stage::kEnds
  std::vector<std::size_t> waiting_;  // ring of tags that wait for a place
  std::size_t first_waiting_ = 0;
  std::size_t waiting_count_ = 0;
  std::uint64_t next_number_ = 0;
  std::size_t on_their_way_ = 0;
};

// Ok, kIoError or kUnavailable: what became of an op on `name`.
core::Status OutcomeOf(const ModelService::Ended& ended, OpPlace::Kind kind,
                       std::string_view name);
// One op by itself: returns when the store has done it.
core::Status DoAlone(ModelStore& store, const ModelService::Op& op,
                     std::string_view name, core::Clock& clock);

}  // namespace stoker::storage::internal
