// What a simulated store does by chance, and to writers.

#include "storage/internal/model_schedule.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using internal::ModelSchedule;
using internal::OpPlace;
using std::chrono::milliseconds;
using testing::AtMillis;
using ::testing::HasSubstr;
using testing::Open;

ModelSchedule ScheduleOf(std::string_view uri) {
  auto schedule = ModelSchedule::Of(ParseUri(uri).value());
  STOKER_CHECK(schedule.ok());
  return schedule.value();
}

class ModelFailures : public ::testing::Test {
 protected:
  ModelFailures() { clock_.Attach(); }
  ~ModelFailures() override { clock_.Detach(); }

  // By offset, of one-byte reads of "a" at 0, 1, … or backwards.
  std::map<std::uint64_t, core::Code> Outcomes(std::string_view uri,
                                               std::uint64_t count,
                                               bool backwards = false) {
    const auto backend = Open(uri);
    const auto queue = testing::NewQueue(*backend, clock_);
    const ObjectId object = backend->Resolve("a");
    std::map<std::uint64_t, core::Code> outcomes;
    std::string text;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t offset = backwards ? count - 1 - i : i;
      outcomes[offset] =
          testing::ReadInto(text, *queue, object, offset, 1).status.code();
    }
    counters_ = backend->Requests().value();
    return outcomes;
  }

  core::VirtualClock clock_;
  RequestCounters counters_;
};

TEST_F(ModelFailures, AreTheSameForEqualSeedsInWhateverOrder) {
  const auto first = Outcomes("model:?error_rate=0.1&seed=5", 1000);
  EXPECT_EQ(Outcomes("model:?error_rate=0.1&seed=5", 1000, true), first);
  EXPECT_NE(Outcomes("model:?error_rate=0.1&seed=6", 1000), first);
  // Binomial: 100 with a deviation of 9.5; four of them either way.
  const auto failed = std::ranges::count_if(first, [](const auto& outcome) {
    return outcome.second == core::Code::kIoError;
  });
  EXPECT_GT(failed, 62);
  EXPECT_LT(failed, 138);
}

TEST_F(ModelFailures, AThrottledReadComesAgainAndSucceeds) {
  const auto outcomes = Outcomes("model:?throttle_rate=0.2&retries=20", 500);
  for (const auto& [offset, code] : outcomes) {
    EXPECT_EQ(code, core::Code::kOk) << offset;
  }
  // 500 * 0.2 / 0.8 = 125 repetitions are expected, with a deviation of 12.5.
  EXPECT_GT(counters_.throttled, 75U);
  EXPECT_LT(counters_.throttled, 175U);
  EXPECT_EQ(counters_.repetitions, counters_.throttled);
  EXPECT_EQ(counters_.requests, 500 + counters_.repetitions);
}

TEST_F(ModelFailures, ARequestThatIsAlwaysTurnedAwayEndsAfterItsRetries) {
  const auto outcomes =
      Outcomes("model:?latency=1ms&throttle_rate=1&retries=2", 1);
  EXPECT_EQ(outcomes.at(0), core::Code::kUnavailable);
  EXPECT_EQ(counters_.throttled, 3U);
  EXPECT_EQ(counters_.requests, 3U);
  // Three times 1 ms, and back-offs of 5 to 10 and 10 to 20 ms.
  EXPECT_GE(clock_.Now(), AtMillis(18));
  EXPECT_LE(clock_.Now(), AtMillis(33));
}

TEST_F(ModelFailures, RepetitionsEndWithTheTimeLimit) {
  auto backend = OpenBackend("model:?throttle_rate=1&retries=100",
                             {.io_timeout = milliseconds(100)});
  ASSERT_TRUE(backend.ok());
  const auto queue = testing::NewQueue(*backend.value(), clock_);
  std::string text;
  const ReadDone done =
      testing::ReadInto(text, *queue, backend.value()->Resolve("a"), 0, 1);
  EXPECT_TRUE(done.status.Retryable());
  EXPECT_LT(clock_.Now(), AtMillis(100));
}

TEST_F(ModelFailures, AStalledRequestTakesThatMuchLonger) {
  Outcomes("model:?latency=1ms&stall_rate=1&stall=2s", 1);
  EXPECT_EQ(clock_.Now(), AtMillis(2001));
}

TEST_F(ModelFailures, AThrottledReadHasNoBytesUntilItIsServed) {
  Outcomes("model:?bandwidth=1kB&throttle_rate=0.5&retries=100,null:", 20);
  EXPECT_GT(counters_.throttled, 0U);
  EXPECT_EQ(counters_.bytes_received, 20U);
}

TEST(ModelSchedule, LogNormalLatenciesHaveTheirMedianAndTheir99thPercentile) {
  const ModelSchedule schedule =
      ScheduleOf("model:?latency_p50=2ms&latency_p99=20ms&seed=3");
  constexpr std::uint64_t kDraws = 40'000;
  int below_median = 0;
  int above_p99 = 0;
  int below_p01 = 0;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const core::Nanos latency =
        schedule.Draw({.object = 1, .offset = i}).latency;
    below_median += latency < milliseconds(2) ? 1 : 0;
    above_p99 += latency > milliseconds(20) ? 1 : 0;
    below_p01 += latency < std::chrono::microseconds(200) ? 1 : 0;
  }
  // Binomial deviations are 100, 20 and 20; five of them either way. Symmetric
  // in the logarithm: 2 ms / 10 is the 1st percentile.
  EXPECT_NEAR(below_median, 20'000, 500);
  EXPECT_NEAR(above_p99, 400, 100);
  EXPECT_NEAR(below_p01, 400, 100);
}

TEST(ModelSchedule, DrawsDependOnEveryPartOfThePlace) {
  const ModelSchedule schedule =
      ScheduleOf("model:?latency_p50=2ms&latency_p99=20ms");
  const OpPlace place{.object = 1, .offset = 10};
  const core::Nanos latency = schedule.Draw(place).latency;
  EXPECT_EQ(schedule.Draw(place).latency, latency);
  for (const OpPlace& other :
       {OpPlace{.kind = OpPlace::Kind::kWrite, .object = 1, .offset = 10},
        OpPlace{.object = 2, .offset = 10}, OpPlace{.object = 1, .offset = 11},
        OpPlace{.object = 1, .offset = 10, .attempt = 1}}) {
    EXPECT_NE(schedule.Draw(other).latency, latency);
  }
}

TEST(OpenModelBackend, RefusesOptionsThatMeanNothingTogether) {
  const auto error = [](std::string_view options) {
    const auto backend = OpenBackend(fmt::format("model:?{},mem:", options));
    EXPECT_EQ(backend.status().code(), core::Code::kInvalidArgument) << options;
    return std::string(backend.status().message());
  };
  EXPECT_THAT(error("servers=2&concurrency=2"), HasSubstr("not both"));
  EXPECT_THAT(error("latency=1ms&latency_p50=1ms&latency_p99=2ms"),
              HasSubstr("it is constant"));
  EXPECT_THAT(error("latency_p50=1ms"), HasSubstr("go together"));
  EXPECT_THAT(error("latency_p50=2ms&latency_p99=1ms"), HasSubstr("no less"));
  EXPECT_THAT(error("stall=1s"), HasSubstr("go together"));
  EXPECT_THAT(error("retries=3"), HasSubstr("only with throttle_rate"));
  EXPECT_THAT(error("seed=3"), HasSubstr("left to chance"));
  EXPECT_THAT(error("error_rate=1.5"), HasSubstr("0 to 1"));
  EXPECT_THAT(error("error_rate=0.6&throttle_rate=0.6"), HasSubstr("above 1"));
  EXPECT_THAT(error("requests=0"), HasSubstr("allowed are 1"));
}

class ModelWrites : public ::testing::Test {
 protected:
  ModelWrites() { clock_.Attach(); }
  ~ModelWrites() override { clock_.Detach(); }

  core::VirtualClock clock_;
};

TEST_F(ModelWrites, CreateEachPartAndCommitAreRequests) {
  const auto backend = Open("model:?latency=10ms&bandwidth=1MB,mem:");
  auto stream =
      backend->Create("a", {.part_size = 4096, .patch = false}, clock_).value();
  EXPECT_EQ(clock_.Now(), AtMillis(10));
  // 4000 B at 1 MB/s are 4 ms. Parts of 4096, 4096 and 1808 B: 10 ms each, and
  // 10 ms for their bytes.
  ASSERT_TRUE(stream->Write(testing::AsBytes(testing::Letters(10'000))).ok());
  const WriteTimes times = stream->Commit().value();
  EXPECT_EQ(clock_.Now(), AtMillis(10 + 30 + 10 + 10));
  EXPECT_EQ(times.last, AtMillis(50));
  EXPECT_EQ(times.committed, AtMillis(60));
  EXPECT_EQ(backend->Requests()->requests, 5U);
  EXPECT_EQ(backend->Requests()->bytes_sent, 10'000U);
  EXPECT_EQ(ReadObject(*backend, "a", clock_).value(),
            testing::Letters(10'000));
}

TEST_F(ModelWrites, PartsInFlightOverlap) {
  const auto backend = Open("model:?latency=10ms,mem:");
  // Create ends at 10 ms. Three parts are on their way and a fourth is sent,
  // all done at 20 ms; so the other four, at 30 ms; Commit.
  auto stream =
      backend
          ->Create("a", {.part_size = 4096, .in_flight = 3, .patch = false},
                   clock_)
          .value();
  ASSERT_TRUE(stream->Write(testing::AsBytes(testing::Letters(8 * 4096))).ok());
  ASSERT_TRUE(stream->Commit().ok());
  EXPECT_EQ(clock_.Now(), AtMillis(40));
  EXPECT_EQ(stream->counters().waited, milliseconds(20));
  EXPECT_EQ(stream->counters().idle, core::Nanos{0});
}

TEST_F(ModelWrites, AFailedPartIsTheStreamsError) {
  const auto backend = Open("model:?error_rate=1,mem:failing");
  EXPECT_EQ(backend->Create("a", {}, clock_).status().code(),
            core::Code::kIoError);
  // The seed is one of those whose Create is served.
  for (int seed = 0; seed < 100; ++seed) {
    const auto half =
        Open(fmt::format("model:?error_rate=0.5&seed={},mem:failing", seed));
    auto stream = half->Create("a", {.part_size = 4096}, clock_);
    if (stream.ok() &&
        !stream.value()->Write(testing::AsBytes(testing::Letters(8192))).ok()) {
      EXPECT_EQ(stream.value()->Commit().status().code(), core::Code::kIoError);
      stream.value().reset();
      EXPECT_TRUE(testing::ListAll(*Open("mem:failing"), "").empty());
      return;
    }
    if (stream.ok()) {
      stream.value().reset();
    }
  }
  FAIL() << "no seed of 100 failed a part, where every fourth should";
}

TEST_F(ModelWrites, ListsLinksAndRemovalsWaitOnTheClockOfTheOpening) {
  ASSERT_TRUE(WriteObject(*Open("mem:model-list"), "a", "x", clock_).ok());
  auto opened =
      OpenBackend("model:?latency=7ms,mem:model-list", {.clock = &clock_});
  ASSERT_TRUE(opened.ok());
  Backend& backend = *opened.value();
  EXPECT_EQ(testing::ListAll(backend, "").size(), 1U);
  EXPECT_EQ(clock_.Now(), AtMillis(7));
  EXPECT_TRUE(backend.Link("a", "b").ok());
  EXPECT_TRUE(backend.Remove("b").ok());
  EXPECT_EQ(clock_.Now(), AtMillis(21));
}

TEST(ModelBackend, SaysThatItIsSimulated) {
  EXPECT_TRUE(Open("model:,mem:")->capabilities().simulated);
  EXPECT_FALSE(Open("mem:")->capabilities().simulated);
  EXPECT_TRUE(Open("fault:,model:,mem:")->capabilities().simulated);
}

}  // namespace
}  // namespace stoker::storage
