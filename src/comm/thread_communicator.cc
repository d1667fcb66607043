// Ranks as threads of one process.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <utility>

#include "comm/communicator.h"
#include "core/check.h"

namespace stoker::comm {

namespace {

constexpr core::Nanos kSlice =
    std::chrono::milliseconds(core::kCancelPollMillis);

// What a rank asks of a collective call; the same on all ranks.
struct Call {
  const char* name;
  int root;  // 0 for a barrier
};

struct Member {
  // Two, used in turn: a rank can be one call ahead of those which still copy
  // from it, never two.
  std::array<Bytes, 2> deposits;
  std::uint64_t entered = 0;  // collective calls begun
  bool left = false;          // its communicator is destroyed
};

// What the ranks of one MakeThreads share.
struct Group {
  Group(core::Clock& time, const core::CancelFlag* stop, int ranks,
        int ranks_on_a_node)
      : clock(time),
        cancel(stop),
        ranks_per_node(ranks_on_a_node),
        members(static_cast<std::size_t>(ranks)) {}

  core::Clock& clock;
  const core::CancelFlag* cancel;
  int ranks_per_node;
  std::mutex mutex;  // guards everything below
  std::condition_variable changed;
  std::vector<Member> members;
  std::uint64_t completed = 0;  // collective calls all ranks have entered
  std::size_t arrived = 0;      // ranks in the present call
  Call call{};                  // the present call, where arrived > 0
  core::Status aborted;
};

core::TimePoint DeadlineAfter(core::TimePoint now, core::Nanos timeout) {
  return timeout >= core::kNever - now ? core::kNever : now + timeout;
}

class ThreadCommunicator final : public Communicator {
 public:
  // The group is the ranks' together: the last to go destroys it.
  ThreadCommunicator(std::shared_ptr<Group> group, int rank)
      : group_(std::move(group)), rank_(rank) {}

  ~ThreadCommunicator() override {
    const std::scoped_lock lock(group_->mutex);
    Self().left = true;
    group_->clock.NotifyAll(group_->changed);
  }
  ThreadCommunicator(const ThreadCommunicator&) = delete;
  ThreadCommunicator& operator=(const ThreadCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->members.size()); }
  int node() const override { return rank_ / group_->ranks_per_node; }
  int node_count() const override {
    return (size() - 1) / group_->ranks_per_node + 1;
  }
  int local_rank() const override { return rank_ % group_->ranks_per_node; }
  int local_size() const override {
    return std::min(group_->ranks_per_node,
                    size() - node() * group_->ranks_per_node);
  }

  core::Result<RankedValue> BarrierMax(core::Nanos timeout,
                                       std::int64_t value) override {
    STOKER_TRY(Enter({.name = "barrier", .root = 0},
                     std::as_bytes(std::span(&value, 1)), timeout));
    RankedValue largest{.value = value, .rank = rank_};
    for (int rank = 0; rank < size(); ++rank) {
      RankedValue other{.rank = rank};
      std::memcpy(&other.value, DepositOf(rank).data(), sizeof(other.value));
      largest = LargerOf(largest, other);
    }
    return largest;
  }

  core::Status Broadcast(Bytes& data, int root) override {
    const Call call{.name = "broadcast", .root = root};
    if (rank_ == root) {
      return Enter(call, data, kCollectiveTimeout);
    }
    STOKER_TRY(Enter(call, {}, kCollectiveTimeout));
    data = DepositOf(root);
    return {};
  }

  core::Result<std::vector<Bytes>> Gather(std::span<const std::byte> mine,
                                          int root) override {
    STOKER_TRY(
        Enter({.name = "gather", .root = root}, mine, kCollectiveTimeout));
    std::vector<Bytes> all;
    for (int rank = 0; rank_ == root && rank < size(); ++rank) {
      all.push_back(DepositOf(rank));
    }
    return all;
  }

  void Abort(const core::Status& cause) override {
    STOKER_CHECK(!cause.ok());
    const std::scoped_lock lock(group_->mutex);
    if (group_->aborted.ok()) {
      group_->aborted =
          core::Status(core::Code::kUnavailable,
                       fmt::format("rank {}: {}", rank_, cause.message()));
    }
    group_->clock.NotifyAll(group_->changed);
  }

 private:
  Member& Self() { return group_->members[static_cast<std::size_t>(rank_)]; }

  // Rank `rank`'s bytes of the call just completed. Needs no lock: the other
  // rank writes the deposit next after its second next call began, which this
  // rank has entered by then.
  const Bytes& DepositOf(int rank) {
    return group_->members[static_cast<std::size_t>(rank)]
        .deposits[Self().entered % 2];
  }

  // Leaves `mine` for the others and waits until all ranks did.
  core::Status Enter(const Call& call, std::span<const std::byte> mine,
                     core::Nanos timeout) {
    STOKER_CHECK(call.root >= 0 && call.root < size());
    std::unique_lock lock(group_->mutex);
    if (failed_.ok()) {
      failed_ = Interrupted(call);
    }
    if (failed_.ok()) {
      failed_ = Join(lock, call, mine, timeout);
    }
    return failed_;
  }

  core::Status Join(std::unique_lock<std::mutex>& lock, const Call& call,
                    std::span<const std::byte> mine, core::Nanos timeout) {
    Group& group = *group_;
    Member& self = Self();
    const std::uint64_t number = ++self.entered;
    self.deposits[number % 2].assign(mine.begin(), mine.end());
    if (group.arrived == 0) {
      group.call = call;
    }
    STOKER_CHECK(std::string_view(group.call.name) == call.name &&
                 group.call.root == call.root &&
                 "all ranks make the same collective calls");
    if (++group.arrived == group.members.size()) {
      group.arrived = 0;
      group.completed = number;
      group.clock.NotifyAll(group.changed);
      return {};
    }
    const core::TimePoint deadline = DeadlineAfter(group.clock.Now(), timeout);
    while (group.completed < number) {
      STOKER_TRY(Interrupted(call));
      STOKER_TRY(CheckAwaited(call));
      const core::TimePoint now = group.clock.Now();
      if (now >= deadline) {
        return TimedOut(call);
      }
      const core::TimePoint slice =
          group.cancel == nullptr ? core::kNever : now + kSlice;
      group.clock.WaitUntil(group.changed, lock, std::min(deadline, slice));
    }
    return {};
  }

  core::Status Interrupted(const Call& call) const {
    if (!group_->aborted.ok()) {
      return group_->aborted;
    }
    if (group_->cancel != nullptr && group_->cancel->IsSet()) {
      return {core::Code::kCancelled,
              fmt::format("{}: the run was asked to stop", call.name)};
    }
    return {};
  }

  // Whether a rank that has not come yet never will.
  core::Status CheckAwaited(const Call& call) {
    const std::uint64_t number = Self().entered;
    for (std::size_t rank = 0; rank < group_->members.size(); ++rank) {
      const Member& member = group_->members[rank];
      if (member.left && member.entered < number) {
        return {core::Code::kUnavailable,
                fmt::format("{}: rank {} is gone", call.name, rank)};
      }
    }
    return {};
  }

  core::Status TimedOut(const Call& call) {
    std::size_t missing = 0;
    while (group_->members[missing].entered >= Self().entered) {
      ++missing;
    }
    return {core::Code::kTimedOut,
            fmt::format("{}: only {} of {} ranks came in time; the first "
                        "missing is rank {}",
                        call.name, group_->arrived, size(), missing)};
  }

  std::shared_ptr<Group> group_;
  int rank_;
  core::Status failed_;  // of this rank's first call that failed
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> MakeThreads(
    int n, core::Clock& clock, const core::CancelFlag* cancel,
    int ranks_per_node) {
  STOKER_CHECK(n > 0 && ranks_per_node >= 0);
  const auto group = std::make_shared<Group>(
      clock, cancel, n, ranks_per_node == 0 ? n : ranks_per_node);
  std::vector<std::unique_ptr<Communicator>> ranks;
  ranks.reserve(static_cast<std::size_t>(n));
  for (int rank = 0; rank < n; ++rank) {
    ranks.push_back(std::make_unique<ThreadCommunicator>(group, rank));
  }
  return ranks;
}

void RunThreads(int n, core::Clock& clock, const core::CancelFlag* cancel,
                const std::function<void(Communicator&)>& body,
                int ranks_per_node) {
  auto ranks = MakeThreads(n, clock, cancel, ranks_per_node);
  clock.Attach();
  {
    std::vector<std::unique_ptr<core::ClockedThread>> threads;
    threads.reserve(ranks.size());
    for (auto& rank : ranks) {
      threads.push_back(
          std::make_unique<core::ClockedThread>(clock, [&body, &rank] {
            body(*rank);
            rank.reset();  // those who wait for it in vain learn it
          }));
    }
    for (auto& thread : threads) {
      thread->Join();
    }
  }
  clock.Detach();
}

}  // namespace stoker::comm
