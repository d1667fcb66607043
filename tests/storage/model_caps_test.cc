// What a simulated store delivers at most, to several queues in several threads
// that opened it separately, in virtual time.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "core/random.h"
#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One read as its queue saw it.
struct Delivery {
  core::TimePoint submitted, first_byte, finished;
  std::uint64_t bytes = 0;
};

struct Load {
  std::string uri;
  int threads = 4;
  std::size_t depth = 16;      // reads in flight in each
  std::uint64_t smallest = 1;  // bytes of a read
  std::uint64_t largest = 1;   // bytes of a read
  core::Nanos lasts = seconds(10);
  double host_share = 1.0;
};

// A name of shared limits that nothing else uses.
std::string OwnSharedName() {
  static std::atomic<int> next{0};
  return fmt::format("caps-{}-{}", ::getpid(), next.fetch_add(1));
}

// Keeps `depth` reads of random sizes going until the time is over.
class Reader {
 public:
  Reader(const Load& load, std::uint64_t number, const OpenSettings& settings,
         core::Clock& clock)
      : load_(load),
        clock_(clock),
        sizes_(core::StreamKey(7, number)),
        memory_(load.largest) {
    auto backend = OpenBackend(load.uri, settings);
    STOKER_CHECK(backend.ok());
    backend_ = std::move(backend).value();
    queue_ = testing::NewQueue(*backend_, clock, load.depth);
    object_ = backend_->Resolve(fmt::format("object-{}", number));
  }

  std::vector<Delivery> Run() {
    const core::TimePoint end = clock_.Now() + load_.lasts;
    for (std::size_t i = 0; i < load_.depth; ++i) {
      Submit();
    }
    std::vector<Delivery> seen;
    std::array<ReadDone, 1> done;
    while (queue_->in_flight() > 0) {
      if (queue_->Reap(done, 1, core::kNever).value() == 0) {
        continue;
      }
      EXPECT_TRUE(done[0].status.ok()) << done[0].status.ToString();
      seen.push_back({.submitted = done[0].submitted,
                      .first_byte = done[0].first_byte,
                      .finished = done[0].finished,
                      .bytes = done[0].bytes});
      if (clock_.Now() < end) {
        Submit();
      }
    }
    return seen;
  }

 private:
  void Submit() {
    const std::uint64_t bytes =
        load_.smallest + sizes_.Below(load_.largest - load_.smallest + 1);
    const ReadOp op{.object = object_,
                    .offset = offset_,
                    .buffer = std::span(memory_).first(bytes)};
    offset_ += bytes;
    ASSERT_EQ(queue_->Submit(std::span(&op, 1)).value(), 1U);
  }

  const Load& load_;
  core::Clock& clock_;
  core::CounterRandom sizes_;
  std::vector<std::byte> memory_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ReadQueue> queue_;
  ObjectId object_{};
  std::uint64_t offset_ = 0;
};

// All that was delivered, by the end of each. Every thread opens the store for
// itself, as a rank does.
std::vector<Delivery> Deliveries(const Load& load) {
  core::VirtualClock clock;
  clock.Attach();
  const OpenSettings settings{.shared_name = OwnSharedName(),
                              .host_share = load.host_share};
  std::mutex mutex;
  std::vector<Delivery> all;
  std::deque<Reader> readers;
  for (int i = 0; i < load.threads; ++i) {
    readers.emplace_back(load, static_cast<std::uint64_t>(i), settings, clock);
  }
  {
    std::deque<core::ClockedThread> threads;
    for (Reader& reader : readers) {
      threads.emplace_back(clock, [&] {
        const std::vector<Delivery> seen = reader.Run();
        const std::scoped_lock lock(mutex);
        all.insert(all.end(), seen.begin(), seen.end());
      });
    }
  }
  clock.Detach();
  std::ranges::sort(all, {}, &Delivery::finished);
  return all;
}

// The most bytes whose reads finished within any `width`.
std::uint64_t MostWithin(const std::vector<Delivery>& all, core::Nanos width) {
  std::uint64_t most = 0;
  std::uint64_t sum = 0;
  std::size_t first = 0;
  for (const Delivery& delivery : all) {
    sum += delivery.bytes;
    while (all[first].finished <= delivery.finished - width) {
      sum -= all[first++].bytes;
    }
    most = std::max(most, sum);
  }
  return most;
}

std::uint64_t BytesUntil(const std::vector<Delivery>& all, core::Nanos end) {
  std::uint64_t sum = 0;
  for (const Delivery& delivery : all) {
    sum += delivery.finished <= core::TimePoint(end) ? delivery.bytes : 0;
  }
  return sum;
}

class ModelBandwidthCap : public ::testing::TestWithParam<const char*> {};

TEST_P(ModelBandwidthCap, HoldsInEvery100MillisecondsAndIsReachedIn10Seconds) {
  // 1 GB/s: 100 ms are 100 MB, of which a read is up to 1 MB.
  const std::vector<Delivery> all =
      Deliveries({.uri = fmt::format("model:?bandwidth=1GB&{}", GetParam()),
                  .smallest = 1,
                  .largest = 1'000'000});

  EXPECT_LE(MostWithin(all, milliseconds(100)), 102'000'000U);
  const auto total = static_cast<double>(BytesUntil(all, seconds(10)));
  EXPECT_NEAR(total, 10e9, 0.1e9);
}

INSTANTIATE_TEST_SUITE_P(
    , ModelBandwidthCap,
    ::testing::Values("latency=1ms", "latency_p50=2ms&latency_p99=20ms",
                      "latency=1ms&concurrency=32",
                      "latency_p50=1ms&latency_p99=5ms&concurrency=48",
                      "latency=1ms&stall_rate=0.01&stall=30ms"),
    [](const auto& test) { return fmt::format("Case{}", test.index); });

TEST(ModelBandwidth, LargeReadsTakeTheirBytesShareOneAfterTheOther) {
  // 20 to 60 MB at 1 GB/s are 20 to 60 ms each, whoever asks.
  const std::vector<Delivery> all = Deliveries(
      {.uri = "model:?bandwidth=1GB&latency_p50=2ms&latency_p99=20ms",
       .depth = 4,
       .smallest = 20'000'000,
       .largest = 60'000'000,
       .lasts = seconds(4)});

  ASSERT_GT(all.size(), 60U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    // A byte takes a nanosecond; the ends are rounded up to whole ones.
    EXPECT_NEAR(
        static_cast<double>((all[i].finished - all[i].first_byte).count()),
        static_cast<double>(all[i].bytes), 1);
    if (i > 0) {
      EXPECT_GE(all[i].first_byte, all[i - 1].finished);
    }
  }
}

TEST(ModelBandwidth, OfServersIsNeverMoreThanThatOfAllTogether) {
  // Reads of 1 MB at 1 GB/s / 8 take 8 ms on one of 8 servers. Spread over them
  // no instant sees more than 1 GB/s, so that 100 ms hold 100 MB and what
  // began before them: up to 8 reads.
  const std::vector<Delivery> all =
      Deliveries({.uri = "model:?bandwidth=1GB&servers=8",
                  .smallest = 1'000'000,
                  .largest = 1'000'000});

  EXPECT_LE(MostWithin(all, milliseconds(100)), 108'000'000U);
  EXPECT_NEAR(static_cast<double>(BytesUntil(all, seconds(10))), 10e9, 0.1e9);
}

TEST(ModelBandwidth, OfAHostIsItsShare) {
  // A quarter of 1 GB/s, for all the host's ranks.
  const std::vector<Delivery> all = Deliveries({.uri = "model:?bandwidth=1GB",
                                                .threads = 2,
                                                .largest = 500'000,
                                                .lasts = seconds(2),
                                                .host_share = 0.25});

  EXPECT_LE(MostWithin(all, milliseconds(100)), 25'500'000U);
  EXPECT_NEAR(static_cast<double>(BytesUntil(all, seconds(2))), 0.5e9, 0.005e9);
}

TEST(ModelRequests, AreLetInOneAfterTheOther) {
  // 2000/s: every 500 us, by 4 threads together; 20,000 in 10 s.
  const std::vector<Delivery> all =
      Deliveries({.uri = "model:?requests=2000&latency=3ms"});

  for (std::size_t i = 1; i < all.size(); ++i) {
    EXPECT_GE(all[i].finished - all[i - 1].finished,
              std::chrono::microseconds(500));
  }
  // The first is let in at 0 and done at 3 ms, the last counted at 9.997 s.
  const auto until = static_cast<std::size_t>(
      std::ranges::upper_bound(all, core::TimePoint(seconds(10)), {},
                               &Delivery::finished) -
      all.begin());
  EXPECT_EQ(until, 19'995U);
}

class ModelConcurrencyCap : public ::testing::TestWithParam<const char*> {};

TEST_P(ModelConcurrencyCap, HoldsAtEveryInstantAndIsUsedUp) {
  // 6 at a time, 10 ms each: 600 a second.
  const std::vector<Delivery> all =
      Deliveries({.uri = fmt::format("model:?latency=10ms&{}=6", GetParam()),
                  .threads = 3,
                  .depth = 8,
                  .lasts = seconds(5)});

  // In service from 10 ms before the end on: the seventh before cannot have
  // ended later than that.
  for (std::size_t i = 6; i < all.size(); ++i) {
    EXPECT_LE(all[i - 6].finished, all[i].finished - milliseconds(10));
  }
  const auto until = static_cast<std::size_t>(
      std::ranges::upper_bound(all, core::TimePoint(seconds(5)), {},
                               &Delivery::finished) -
      all.begin());
  EXPECT_EQ(until, 3000U);
}

INSTANTIATE_TEST_SUITE_P(, ModelConcurrencyCap,
                         ::testing::Values("concurrency", "servers"),
                         [](const auto& test) {
                           return std::string(test.param);
                         });

TEST(ModelConcurrency, CoversTheTimeInWhichBytesFlow) {
  // Two at a time, 1 ms and then 2 ms of the bandwidth for each: the pair of 2
  // answered at 1 ms ends at 3 and 5 ms, the next begins at 3 ms, is answered
  // at 4 ms and flows from 5 to 7 ms, and so on: one every 2 ms.
  const std::vector<Delivery> all =
      Deliveries({.uri = "model:?latency=1ms&bandwidth=500MB&concurrency=2",
                  .threads = 2,
                  .depth = 3,
                  .smallest = 1'000'000,
                  .largest = 1'000'000,
                  .lasts = seconds(1)});

  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].finished,
              testing::AtMillis(3 + 2 * static_cast<std::int64_t>(i)));
  }
}

}  // namespace
}  // namespace stoker::storage
