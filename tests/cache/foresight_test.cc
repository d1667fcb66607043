// A cache that is told the order of the reads.

#include "cache/internal/foresight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/theory.h"
#include "core/aligned_buffer.h"
#include "core/random.h"
#include "core/text.h"
#include "storage/registry.h"
#include "storage/wrapper_backend.h"
#include "tests/cache/support.h"

namespace stoker::cache {
namespace {

using storage::ReadDone;
using storage::ReadOp;
using storage::ReadOrder;
using storage::ReadPoint;

constexpr std::uint64_t kSlot = 64U << 10U;

// Objects "o0", "o1", ... of one process, as listed for each epoch.
class ListedOrder final : public ReadOrder {
 public:
  using Epochs = std::vector<std::vector<std::uint64_t>>;
  explicit ListedOrder(Epochs order) : order_(std::move(order)) {}

  std::uint32_t epochs() const override {
    return static_cast<std::uint32_t>(order_.size());
  }
  std::uint64_t positions() const override { return order_[0].size(); }
  void BeginEpoch(std::uint32_t epoch) override { begun = epoch; }
  std::uint64_t NumberOf(std::string_view name) const override {
    const auto number = core::ParseInt(name.substr(1));
    return name[0] == 'o' && number.ok()
               ? static_cast<std::uint64_t>(number.value())
               : kNone;
  }
  void NameOf(std::uint64_t number, std::string& name) const override {
    name = "o" + std::to_string(number);
  }
  std::uint64_t At(ReadPoint point) const override {
    EXPECT_LE(point.epoch, begun + 1);
    return order_[point.epoch - 1][point.position];
  }
  std::optional<std::uint64_t> PositionOf(
      std::uint64_t number, std::uint32_t epoch,
      std::uint64_t position) const override {
    const auto& order = order_[epoch - 1];
    const auto found =
        std::find(order.begin() + static_cast<std::ptrdiff_t>(position),
                  order.end(), number);
    return found == order.end()
               ? std::nullopt
               : std::optional<std::uint64_t>(found - order.begin());
  }
  std::optional<ReadPoint> NextUse(std::uint64_t number,
                                   ReadPoint now) const override {
    for (std::uint32_t epoch = std::max(1U, now.epoch); epoch <= order_.size();
         ++epoch) {
      const auto position =
          PositionOf(number, epoch, epoch == now.epoch ? now.position + 1 : 0);
      if (position.has_value()) {
        return ReadPoint{.epoch = epoch, .position = *position};
      }
    }
    return std::nullopt;
  }

  std::atomic<std::uint32_t> begun = 0;

 private:
  Epochs order_;
};

ListedOrder::Epochs Permutations(std::uint64_t items, std::uint32_t epochs) {
  ListedOrder::Epochs order(epochs, std::vector<std::uint64_t>(items));
  for (std::uint32_t epoch = 0; epoch < epochs; ++epoch) {
    std::iota(order[epoch].begin(), order[epoch].end(), 0U);
    core::NumpyRandom(100 + epoch).Shuffle(std::span(order[epoch]));
  }
  return order;
}

// Writes down what the store is asked for.
class LoggedStore final : public storage::WrapperBackend {
 public:
  using WrapperBackend::WrapperBackend;

  std::string_view scheme() const override { return inner().scheme(); }
  std::string uri() const override { return inner().uri(); }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    return inner().NewReadQueue(options, clock);
  }
  storage::ObjectId Resolve(std::string_view name) override {
    const std::scoped_lock lock(mutex_);
    ++open_;
    most_open_ = std::max(most_open_, open_);
    return inner().Resolve(name);
  }
  void Release(storage::ObjectId id) override {
    const std::scoped_lock lock(mutex_);
    --open_;
    inner().Release(id);
  }
  int open() const {
    const std::scoped_lock lock(mutex_);
    return open_;
  }
  int most_open() const {
    const std::scoped_lock lock(mutex_);
    return most_open_;
  }

 private:
  mutable std::mutex mutex_;  // guards the two below
  int open_ = 0;
  int most_open_ = 0;
};

// In virtual time. A read of the store takes 10 ms unless told otherwise.
class ForesightTest : public ::testing::Test {
 protected:
  void SetUp() override { clock_.Attach(); }
  void TearDown() override {
    Close();
    clock_.Detach();
  }
  void Close() {
    queue_.reset();
    backend_.reset();
  }

  void Open(std::uint32_t slots, std::uint64_t objects, CacheOptions options,
            std::string_view store_uri = "model:?latency=10ms,mem:") {
    Close();
    options.directories = {"memory"};
    options.buffer_bytes = 8 * kSlot;
    auto store = std::make_unique<LoggedStore>(
        storage::OpenBackend(store_uri, {.clock = &clock_}).value());
    store_ = store.get();
    backend_ = MakeCacheBackend(
        testing::MemoryTier(testing::Options(slots, options.policy, kSlot),
                            clock_),
        options, std::move(store));
    for (std::uint64_t i = 0; i < objects; ++i) {
      Put("o" + std::to_string(i));
    }
  }
  static CacheOptions Belady(std::uint64_t prefetch_blocks = 0) {
    CacheOptions options;
    options.policy = Policy::kBelady;
    options.prefetch_bytes = prefetch_blocks * kSlot;
    return options;
  }
  void Put(const std::string& name) {
    ASSERT_TRUE(
        storage::WriteObject(*backend_, name, Content(name), clock_).ok());
  }
  static std::string Content(std::string_view name) {
    std::string content(kSlot, '\0');
    core::FillCounterStream(std::hash<std::string_view>()(name), 0,
                            std::as_writable_bytes(std::span(content)));
    return content;
  }
  // Reads `objects` at once, by requests of `request` bytes, and compares them.
  // Returns what did not come from the store.
  std::uint64_t FromCache(const std::vector<std::string>& objects,
                          std::uint64_t request = kSlot) {
    if (queue_ == nullptr) {
      queue_ = backend_->NewReadQueue({.depth = 8}, clock_).value();
    }
    auto memory =
        core::AlignedBuffer::Make(objects.size() * kSlot, false).value();
    std::vector<storage::ObjectId> ids;
    std::uint64_t from_cache = 0;
    for (const std::string& object : objects) {
      ids.push_back(backend_->Resolve(object));
    }
    for (std::uint64_t at = 0; at < kSlot; at += request) {
      std::vector<ReadOp> ops;
      for (std::size_t i = 0; i < objects.size(); ++i) {
        ops.push_back(
            {.object = ids[i],
             .offset = at,
             .buffer = memory.bytes().subspan(i * kSlot + at, request)});
      }
      STOKER_CHECK(queue_->Submit(ops).ok());
      std::vector<ReadDone> done(ops.size());
      for (std::size_t got = 0; got < ops.size();) {
        const auto reaped = queue_->Reap(done, 1, core::kNever);
        STOKER_CHECK(reaped.ok());
        for (std::size_t i = 0; i < reaped.value(); ++i) {
          EXPECT_EQ(done[i].status.ToString(), "ok");
          from_cache += done[i].from_cache + done[i].from_memory;
        }
        got += reaped.value();
      }
    }
    for (std::size_t i = 0; i < objects.size(); ++i) {
      backend_->Release(ids[i]);
      const std::string content = Content(objects[i]);
      EXPECT_TRUE(std::ranges::equal(memory.bytes().subspan(i * kSlot, kSlot),
                                     std::as_bytes(std::span(content))))
          << objects[i];
    }
    return from_cache;
  }
  std::uint64_t FromCache(std::uint64_t number, std::uint64_t request = kSlot) {
    return FromCache({"o" + std::to_string(number)}, request);
  }
  void Rest(core::Nanos time = std::chrono::seconds(1)) {
    clock_.SleepUntil(clock_.Now() + time);
  }
  // Blocks not from the store in each epoch, read one after the other.
  std::vector<std::uint64_t> HitsByEpoch(ListedOrder::Epochs epochs,
                                         std::uint64_t request = kSlot) {
    ListedOrder order(epochs);
    backend_->HintOrder(order);
    std::vector<std::uint64_t> hits;
    for (std::uint32_t epoch = 1; epoch <= epochs.size(); ++epoch) {
      backend_->NoteEpoch(epoch, order.epochs());
      std::uint64_t bytes = 0;
      for (const std::uint64_t number : epochs[epoch - 1]) {
        bytes += FromCache(number, request);
        Rest(std::chrono::milliseconds(20));  // until it is kept
      }
      hits.push_back(bytes / kSlot);
    }
    Close();  // before the order
    return hits;
  }
  storage::CacheCounts counts() { return *backend_->CacheActivity(); }

  core::VirtualClock clock_;
  LoggedStore* store_ = nullptr;
  std::unique_ptr<storage::Backend> backend_;
  std::unique_ptr<storage::ReadQueue> queue_;
};

TEST_F(ForesightTest, OnPermutationsBeladyHitsTheShareThatFits) {
  constexpr std::uint64_t kItems = 100;
  const ReadPattern pattern{.order = OrderClass::kPermutation, .nodes = 1};
  for (const std::uint32_t slots : {10U, 25U, 50U, 75U}) {
    const double f = slots / double{kItems};
    Open(slots, kItems, Belady());
    const auto belady = HitsByEpoch(Permutations(kItems, 4));
    Open(slots, kItems, {});
    const auto never = HitsByEpoch(Permutations(kItems, 4));
    const double rate = *SteadyHitRate(Policy::kBelady, pattern, f);
    EXPECT_EQ(rate, f);
    for (std::size_t epoch = 1; epoch < 4; ++epoch) {
      EXPECT_NEAR(static_cast<double>(belady[epoch]) / kItems, rate,
                  HitRateTolerance(Policy::kBelady, rate, kItems, 1));
      EXPECT_GE(belady[epoch], never[epoch]) << slots << ", epoch " << epoch;
    }
  }
}

TEST_F(ForesightTest, ReadingABlockInPartsHitsAsMuch) {
  Open(25, 100, Belady());
  const auto hits = HitsByEpoch(Permutations(100, 3), kSlot / 8);
  for (const std::size_t epoch : {1U, 2U}) {
    EXPECT_GE(hits[epoch], 24U);
    EXPECT_LE(hits[epoch], 25U + 8);  // some may lie in a buffer
  }
}

TEST_F(ForesightTest, InCyclicOrderNothingGivesWay) {
  Open(5, 20, Belady());
  const std::vector<std::uint64_t> once = Permutations(20, 1)[0];
  ListedOrder order({once, once, once});
  backend_->HintOrder(order);
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
    backend_->NoteEpoch(epoch, 3);
    for (const std::uint64_t number : once) {
      FromCache(number);
    }
  }
  EXPECT_EQ(counts().evictions, 0U);
  EXPECT_EQ(counts().fills, 5U);
  Close();
}

TEST_F(ForesightTest, WithoutAnOrderNothingGivesWayAndAllIsRight) {
  Open(5, 20, Belady(4));
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
    backend_->NoteEpoch(epoch, 3);
    std::uint64_t hits = 0;
    for (std::uint64_t number = 0; number < 20; ++number) {
      hits += FromCache(number) / kSlot;
    }
    EXPECT_EQ(hits, epoch == 1 ? 0U : 5U);
  }
  EXPECT_EQ(counts().evictions, 0U);
  EXPECT_EQ(counts().prefetched, 0U);
}

TEST_F(ForesightTest, BetweenEpochsComesWhatTheNextOneBeginsWith) {
  // The second epoch begins with four objects that nobody has read, and goes
  // on with those of the first.
  ListedOrder order({{0, 1, 2, 3, 4, 5}, {6, 7, 8, 9, 0, 1}});
  Open(6, 10, Belady(4));
  backend_->HintOrder(order);
  backend_->NoteEpoch(1, 2);
  for (std::uint64_t number = 0; number < 6; ++number) {
    FromCache(number);
  }
  Rest();
  EXPECT_GE(counts().prefetched, 4U);
  EXPECT_EQ(counts().prefetched_bytes, counts().prefetched * kSlot);
  backend_->NoteEpoch(2, 2);
  for (std::uint64_t number = 6; number < 10; ++number) {
    EXPECT_EQ(FromCache(number), kSlot) << number;
  }
  Close();
}

TEST_F(ForesightTest, TheWindowAndTheEndOfTheRunBoundWhatIsPrefetched) {
  ListedOrder::Epochs epochs{{}};
  for (std::uint64_t number = 0; number < 40; ++number) {
    epochs[0].push_back(number);
  }
  ListedOrder order(epochs);
  Open(100, 40, Belady(10));
  backend_->HintOrder(order);
  FromCache(39);
  backend_->NoteEpoch(1, 1);
  Rest();
  EXPECT_EQ(counts().prefetched, 0U);  // the first read is the reader's
  FromCache(0);
  Rest();
  EXPECT_EQ(counts().prefetched, 10U);
  FromCache(20);
  Rest();
  EXPECT_EQ(counts().prefetched, 20U);  // 21 ... 30
  FromCache(38);
  Rest();
  EXPECT_EQ(counts().prefetched, 20U);  // 39 is there
  EXPECT_EQ(store_->open(), 0);
  EXPECT_LE(store_->most_open(), 20);
  Close();
}

TEST_F(ForesightTest, DemandDoesNotWaitForWhatIsPrefetched) {
  ListedOrder::Epochs epochs{{}};
  for (std::uint64_t number = 0; number < 200; ++number) {
    epochs[0].push_back(number);
  }
  ListedOrder order(epochs);
  Open(300, 200, Belady(150));
  for (const char* const name : {"a", "b", "c"}) {
    Put(name);
  }
  backend_->HintOrder(order);
  backend_->NoteEpoch(1, 1);
  FromCache(0);
  Rest(std::chrono::milliseconds(55));
  const std::uint64_t before = counts().prefetched;
  EXPECT_GT(before, 0U);
  const core::TimePoint asked = clock_.Now();
  FromCache({"a", "b", "c"});
  // The size of each and its block, 10 ms each, and no wait for a slot of the
  // store or a buffer, although there is much to prefetch.
  EXPECT_LE(clock_.Now() - asked, std::chrono::milliseconds(21));
  Rest();
  EXPECT_GT(counts().prefetched, before + 50);
  Close();
}

TEST_F(ForesightTest, AFailedPrefetchIsNobodysError) {
  ListedOrder order({{0, 1, 2, 3}});
  Open(8, 2, Belady(8));  // o2 and o3 are not there
  backend_->HintOrder(order);
  backend_->NoteEpoch(1, 1);
  FromCache(0);
  Rest();
  EXPECT_EQ(FromCache(1), kSlot);
  EXPECT_EQ(store_->open(), 0);
  Close();
}

TEST(Foresight, UsesOfLongJobsFitIntoTheirBits) {
  // 5 epochs of 2^31 positions: beyond 32 bits by a factor of 3.
  class LongOrder final : public ReadOrder {
   public:
    std::uint32_t epochs() const override { return 5; }
    std::uint64_t positions() const override { return 1ULL << 31U; }
    void BeginEpoch(std::uint32_t /*epoch*/) override {}
    std::uint64_t NumberOf(std::string_view /*name*/) const override {
      return 0;
    }
    void NameOf(std::uint64_t /*number*/,
                std::string& /*name*/) const override {}
    std::uint64_t At(ReadPoint /*point*/) const override { return 0; }
    std::optional<std::uint64_t> PositionOf(
        std::uint64_t /*number*/, std::uint32_t /*epoch*/,
        std::uint64_t /*position*/) const override {
      return 0;
    }
    std::optional<ReadPoint> NextUse(std::uint64_t /*number*/,
                                     ReadPoint /*now*/) const override {
      return std::nullopt;
    }
  };
  LongOrder order;
  internal::Foresight foresight;
  EXPECT_EQ(foresight.OnRead(0).next, kNeverAgain);
  foresight.SetOrder(order);
  const std::uint32_t early = foresight.UseAt({1, 0});
  const std::uint32_t late = foresight.UseAt({5, (1ULL << 31U) - 1});
  EXPECT_LT(foresight.UseAt({0, 0}), early);
  EXPECT_LT(early, foresight.UseAt({1, 1000}));
  EXPECT_LT(early, late);
  EXPECT_LT(late, kNeverAgain);
}

TEST_F(ForesightTest, IsToldByTheBackEnd) {
  Open(2, 0, Belady());
  EXPECT_TRUE(backend_->capabilities().foresees);
  EXPECT_NE(storage::NotesOn(backend_->capabilities()).find("what-if"),
            std::string::npos);
  Open(2, 0, {});
  EXPECT_FALSE(backend_->capabilities().foresees);
}

}  // namespace
}  // namespace stoker::cache
