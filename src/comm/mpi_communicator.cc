#include "comm/mpi_communicator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#ifdef STOKER_HAVE_MPI
#include <mpi.h>
#endif

#include "comm/internal/node_barrier.h"
#include "core/check.h"

namespace stoker::comm {

#ifdef STOKER_HAVE_MPI

namespace {

using internal::NodeBarrier;
using internal::WaitLimits;

// Between looks at a request sleeps a sixteenth of the time waited so far, so
// that the last sleep adds little to a short wait and a long one costs nothing.
constexpr core::Nanos kFirstPause = std::chrono::microseconds(20);
constexpr core::Nanos kLongestPause = std::chrono::milliseconds(1);
constexpr core::Nanos kAliveCheckEvery =
    std::chrono::milliseconds(core::kCancelPollMillis);
// MPI counts are ints: longer messages go in rounds of so many bytes in all.
constexpr std::size_t kRoundBytes = std::size_t{64} << 20;
// The window is mapped at a whole page or, by some MPIs, behind their own data.
constexpr std::size_t kAlignment = 64;

core::Status FromMpi(int code, std::string_view what) {
  if (code == MPI_SUCCESS) {
    return {};
  }
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  return {core::Code::kIoError,
          fmt::format(
              "{}: {}", what,
              std::string_view(text.data(), static_cast<std::size_t>(length)))};
}

// As MPI_LONG_INT has it in memory; MPI_MAXLOC takes the lowest of equal ranks.
struct LongInt {
  long value;  // NOLINT(google-runtime-int): MPI's
  int rank;
};
static_assert(sizeof(LongInt::value) == sizeof(RankedValue::value));

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(const core::CancelFlag* cancel) : cancel_(cancel) {}
  ~MpiCommunicator() override { Finalise(); }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  // Called once, after MPI_Init_thread. Waits as MPI itself does.
  core::Status SetUp() {
    STOKER_TRY(
        FromMpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
                "set MPI's error handler"));
    STOKER_TRY(FromMpi(MPI_Comm_dup(MPI_COMM_WORLD, &world_), "MPI_Comm_dup"));
    MPI_Comm_rank(world_, &rank_);
    MPI_Comm_size(world_, &size_);
    STOKER_TRY(FromMpi(MPI_Comm_split_type(world_, MPI_COMM_TYPE_SHARED, rank_,
                                           MPI_INFO_NULL, &host_),
                       "group the ranks by host"));
    MPI_Comm_rank(host_, &local_rank_);
    MPI_Comm_size(host_, &local_size_);
    STOKER_TRY(NumberNodes());
    STOKER_TRY(
        FromMpi(MPI_Comm_split(world_, local_rank_ == 0 ? 0 : MPI_UNDEFINED,
                               rank_, &leaders_),
                "group the first ranks of each host"));
    return MapWindow();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int node() const override { return node_; }
  int node_count() const override { return node_count_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }

  core::Result<RankedValue> BarrierMax(core::Nanos timeout,
                                       std::int64_t value) override {
    STOKER_TRY(Remember(Meet(LimitsOf("barrier", timeout), value)));
    return largest_;
  }

  core::Status Broadcast(Bytes& data, int root) override {
    STOKER_CHECK(root >= 0 && root < size_);
    return Remember(SendToAll(data, root));
  }

  core::Result<std::vector<Bytes>> Gather(std::span<const std::byte> mine,
                                          int root) override {
    STOKER_CHECK(root >= 0 && root < size_);
    std::vector<Bytes> all;
    STOKER_TRY(Remember(Collect(mine, root, all)));
    return all;
  }

  void Abort(const core::Status& cause) override {
    STOKER_CHECK(!cause.ok());
    barrier_->Abort(fmt::format("rank {}: {}", rank_, cause.message()));
  }

 private:
  core::Status NumberNodes() {
    int first = rank_;
    STOKER_TRY(FromMpi(MPI_Bcast(&first, 1, MPI_INT, 0, host_), "MPI_Bcast"));
    std::vector<int> firsts(static_cast<std::size_t>(size_));
    STOKER_TRY(FromMpi(
        MPI_Allgather(&first, 1, MPI_INT, firsts.data(), 1, MPI_INT, world_),
        "MPI_Allgather"));
    std::sort(firsts.begin(), firsts.end());
    firsts.erase(std::unique(firsts.begin(), firsts.end()), firsts.end());
    const auto mine = std::lower_bound(firsts.begin(), firsts.end(), first);
    node_ = static_cast<int>(mine - firsts.begin());
    node_count_ = static_cast<int>(firsts.size());
    return {};
  }

  core::Status MapWindow() {
    const std::size_t bytes = NodeBarrier::Bytes(local_size_);
    const auto mapped = static_cast<MPI_Aint>(bytes + kAlignment);
    void* mine = nullptr;
    STOKER_TRY(FromMpi(
        MPI_Win_allocate_shared(local_rank_ == 0 ? mapped : 0, 1, MPI_INFO_NULL,
                                host_, static_cast<void*>(&mine), &window_),
        "share memory among the ranks of this host"));
    MPI_Win_set_errhandler(window_, MPI_ERRORS_RETURN);
    MPI_Aint size = 0;
    int unit = 0;
    void* shared = nullptr;
    STOKER_TRY(FromMpi(MPI_Win_shared_query(window_, 0, &size, &unit,
                                            static_cast<void*>(&shared)),
                       "find the memory shared by the ranks of this host"));
    // Pages are mapped whole, so all ranks align to the same byte.
    std::size_t space = bytes + kAlignment;
    STOKER_CHECK(std::align(kAlignment, bytes, shared, space) != nullptr);
    const std::span memory(static_cast<std::byte*>(shared), bytes);
    if (local_rank_ == 0) {
      std::ranges::fill(memory, std::byte{0});
      NodeBarrier::Format(memory, local_size_);
    }
    STOKER_TRY(FromMpi(MPI_Barrier(host_), "MPI_Barrier"));
    auto barrier = std::make_unique<NodeBarrier>(memory, local_size_,
                                                 local_rank_, node_count_ > 1);
    barrier->Publish(rank_, ::getpid());
    STOKER_TRY(FromMpi(MPI_Barrier(host_), "MPI_Barrier"));
    barrier_ = std::move(barrier);
    return {};
  }

  void Finalise() {
    if (barrier_ == nullptr) {
      return;
    }
    // A request to stop is of no use any more to a run that went well.
    WaitLimits limits = LimitsOf("end of the run", kCollectiveTimeout);
    limits.cancel = nullptr;
    if (!Meet(limits).ok()) {
      return;
    }
    MPI_Win_free(&window_);
    if (leaders_ != MPI_COMM_NULL) {
      MPI_Comm_free(&leaders_);
    }
    MPI_Comm_free(&host_);
    MPI_Comm_free(&world_);
    MPI_Finalize();
  }

  WaitLimits LimitsOf(std::string_view what, core::Nanos timeout) const {
    const core::TimePoint now = clock_.Now();
    return {.what = what,
            .deadline =
                timeout >= core::kNever - now ? core::kNever : now + timeout,
            .cancel = cancel_};
  }

  // After a failure this rank is out of step: nothing may follow.
  core::Status Remember(core::Status outcome) {
    if (failed_.ok()) {
      failed_ = std::move(outcome);
    }
    return failed_;
  }

  // All ranks, without using the CPU while any of this host is missing. Leaves
  // the largest value brought in largest_.
  core::Status Meet(const WaitLimits& limits, std::int64_t value = 0) {
    STOKER_TRY(failed_);
    STOKER_TRY(barrier_->Interrupted(limits));
    barrier_->Arrive(value);
    if (node_count_ == 1 || local_rank_ != 0) {
      STOKER_ASSIGN(largest_, barrier_->AwaitRelease(limits));
      return {};
    }
    STOKER_ASSIGN(const RankedValue mine, barrier_->AwaitAll(limits));
    // Nobody has the result before all have brought theirs: a barrier as well.
    sent_ = {.value = mine.value, .rank = mine.rank};
    STOKER_TRY(FromMpi(MPI_Iallreduce(&sent_, &received_, 1, MPI_LONG_INT,
                                      MPI_MAXLOC, leaders_, &request_),
                       limits.what));
    STOKER_TRY(Complete(limits));
    largest_ = {.value = received_.value, .rank = received_.rank};
    barrier_->Release(largest_);
    return {};
  }

  // Polls request_ until it is done.
  core::Status Complete(const WaitLimits& limits) {
    const core::TimePoint start = clock_.Now();
    core::TimePoint next_alive_check = start + kAliveCheckEvery;
    while (true) {
      int done = 0;
      STOKER_TRY(
          FromMpi(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), limits.what));
      if (done != 0) {
        return {};
      }
      STOKER_TRY(barrier_->Interrupted(limits));
      const core::TimePoint now = clock_.Now();
      if (now >= next_alive_check) {
        STOKER_TRY(barrier_->CheckAlive().WithContext(limits.what));
        next_alive_check = now + kAliveCheckEvery;
      }
      clock_.SleepUntil(
          now + std::clamp((now - start) / 16, kFirstPause, kLongestPause));
    }
  }

  core::Status SendToAll(Bytes& data, int root) {
    const WaitLimits limits = LimitsOf("broadcast", kCollectiveTimeout);
    STOKER_TRY(Meet(limits));
    length_ = data.size();
    STOKER_TRY(
        // NOLINTNEXTLINE(clang-analyzer-optin.mpi.MPI-Checker): it is complete
        FromMpi(MPI_Ibcast(&length_, 1, MPI_UINT64_T, root, world_, &request_),
                limits.what));
    STOKER_TRY(Complete(limits));
    if (rank_ != root) {
      incoming_.resize(length_);
    }
    std::byte* const start = rank_ == root ? data.data() : incoming_.data();
    for (std::size_t sent = 0; sent < length_; sent += kRoundBytes) {
      const std::size_t bytes = std::min(kRoundBytes, length_ - sent);
      // NOLINTNEXTLINE(clang-analyzer-optin.mpi.MPI-Checker): it is complete
      STOKER_TRY(FromMpi(MPI_Ibcast(start + sent, static_cast<int>(bytes),
                                    MPI_BYTE, root, world_, &request_),
                         limits.what));
      STOKER_TRY(Complete(limits));
    }
    if (rank_ != root) {
      data = std::exchange(incoming_, {});
    }
    return {};
  }

  core::Status Collect(std::span<const std::byte> mine, int root,
                       std::vector<Bytes>& all) {
    const WaitLimits limits = LimitsOf("gather", kCollectiveTimeout);
    STOKER_TRY(Meet(limits));
    const auto ranks = static_cast<std::size_t>(size_);
    length_ = mine.size();
    lengths_.resize(ranks);
    STOKER_TRY(
        // NOLINTNEXTLINE(clang-analyzer-optin.mpi.MPI-Checker): it is complete
        FromMpi(MPI_Iallgather(&length_, 1, MPI_UINT64_T, lengths_.data(), 1,
                               MPI_UINT64_T, world_, &request_),
                limits.what));
    STOKER_TRY(Complete(limits));
    if (rank_ == root) {
      all.resize(ranks);
    }
    const std::uint64_t longest = *std::ranges::max_element(lengths_);
    const std::size_t share = std::max<std::size_t>(1, kRoundBytes / ranks);
    for (std::size_t sent = 0; sent < longest; sent += share) {
      STOKER_TRY(CollectRound(mine, root, sent, share, limits));
      for (std::size_t rank = 0; rank < all.size(); ++rank) {
        const auto first = incoming_.begin() + displacements_[rank];
        all[rank].insert(all[rank].end(), first, first + counts_[rank]);
      }
    }
    incoming_ = {};
    return {};
  }

  // Bytes [from, from + share) of every rank into root's incoming_.
  core::Status CollectRound(std::span<const std::byte> mine, int root,
                            std::size_t from, std::size_t share,
                            const WaitLimits& limits) {
    counts_.clear();
    displacements_.clear();
    int total = 0;
    for (const std::uint64_t length : lengths_) {
      const std::uint64_t left = length > from ? length - from : 0;
      counts_.push_back(static_cast<int>(std::min(left, share)));
      displacements_.push_back(total);
      total += counts_.back();
    }
    if (rank_ == root) {
      incoming_.resize(static_cast<std::size_t>(total));
    }
    const std::byte* const start = mine.data() + std::min(from, mine.size());
    STOKER_TRY(FromMpi(
        MPI_Igatherv(start, counts_[static_cast<std::size_t>(rank_)], MPI_BYTE,
                     incoming_.data(), counts_.data(), displacements_.data(),
                     MPI_BYTE, root, world_, &request_),
        limits.what));
    return Complete(limits);
  }

  const core::CancelFlag* cancel_;
  core::SystemClock clock_;
  int rank_ = 0;
  int size_ = 1;
  int node_ = 0;
  int node_count_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  MPI_Comm world_ = MPI_COMM_NULL;
  MPI_Comm host_ = MPI_COMM_NULL;
  MPI_Comm leaders_ = MPI_COMM_NULL;  // null but on local rank 0
  MPI_Win window_ = MPI_WIN_NULL;
  std::unique_ptr<NodeBarrier> barrier_;  // null until SetUp is done
  core::Status failed_;  // of this rank's first call that failed
  RankedValue largest_;  // of the last barrier
  // The collective under way and its buffers, here because MPI may still use
  // them after it failed.
  MPI_Request request_ = MPI_REQUEST_NULL;
  LongInt sent_{};
  LongInt received_{};
  std::uint64_t length_ = 0;
  std::vector<std::uint64_t> lengths_;
  std::vector<int> counts_;
  std::vector<int> displacements_;
  Bytes incoming_;
};

bool MpiIsUp() {
  int begun = 0;
  int ended = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&ended);
  return begun != 0 && ended == 0;
}

}  // namespace

core::Result<std::unique_ptr<Communicator>> MakeMpi(
    const core::CancelFlag* cancel) {
  int provided = MPI_THREAD_SINGLE;
  STOKER_TRY(
      FromMpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided),
              "initialise MPI"));
  if (provided < MPI_THREAD_FUNNELED) {
    return core::Status(core::Code::kUnsupported,
                        "this MPI does not allow threads beside it "
                        "(MPI_THREAD_FUNNELED); use one that does");
  }
  auto comm = std::make_unique<MpiCommunicator>(cancel);
  STOKER_TRY(comm->SetUp());
  return std::unique_ptr<Communicator>(std::move(comm));
}

#else

core::Result<std::unique_ptr<Communicator>> MakeMpi(
    const core::CancelFlag* /*cancel*/) {
  return core::Status(core::Code::kUnsupported,
                      "this program was built without MPI; build it with "
                      "-DSTOKER_MPI=ON to run several ranks");
}

#endif

bool StartedByMpi() {
  // Not SLURM_PROCID: batch scripts have it too.
  return std::ranges::any_of(
      std::array{"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"},
      [](const char* name) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing sets variables
        return std::getenv(name) != nullptr;
      });
}

void ExitMpiJob(int exit_code, core::Nanos grace) {
  std::cout.flush();
  std::fflush(nullptr);
#ifdef STOKER_HAVE_MPI
  if (MpiIsUp()) {
    std::this_thread::sleep_for(grace);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
  }
#else
  static_cast<void>(grace);
#endif
  ::_exit(exit_code);
}

}  // namespace stoker::comm
