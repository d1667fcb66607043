#include "storage/internal/model_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>

#include "tests/storage/support.h"

namespace stoker::storage::internal {
namespace {

using std::chrono::milliseconds;
using testing::AtMillis;
using ::testing::HasSubstr;

// A name that no other test uses, also in another process.
std::string OwnSegmentName() {
  static std::atomic<int> next{0};
  return fmt::format("test-{}-{}", ::getpid(), next.fetch_add(1));
}

std::filesystem::path PathOf(const std::string& name) {
  return fmt::format("/dev/shm/{}{}", kSegmentPrefix, name);
}

std::unique_ptr<ModelSegment> OpenSegment(const std::string& name,
                                          const ModelCaps& caps) {
  auto segment = ModelSegment::Open(name, caps);
  STOKER_CHECK(segment.ok());
  return std::move(segment).value();
}

TEST(ModelSegment, WhatOneReservesIsTakenForTheOther) {
  const std::string name = OwnSegmentName();
  const ModelCaps caps{.bytes_per_second = 1e9, .concurrency = 2};
  const auto one = OpenSegment(name, caps);
  const auto two = OpenSegment(name, caps);
  ModelLimits first(caps, one->times(), one->slots());
  ModelLimits second(caps, two->times(), two->slots());

  // 5 MB at 1 GB/s take 5 ms; the next begin after them.
  EXPECT_EQ(first.Transfer(Direction::kRead, AtMillis(0), 5'000'000).end,
            AtMillis(5));
  EXPECT_EQ(second.Transfer(Direction::kRead, AtMillis(1), 2'000'000).end,
            AtMillis(7));
  EXPECT_EQ(second.Transfer(Direction::kWrite, AtMillis(1), 1'000'000).end,
            AtMillis(2));
  EXPECT_TRUE(first.TryEnter(AtMillis(0), AtMillis(0), milliseconds(9)));
  EXPECT_TRUE(second.TryEnter(AtMillis(0), AtMillis(0), milliseconds(4)));
  EXPECT_FALSE(first.TryEnter(AtMillis(3), AtMillis(3), milliseconds(1)));
  EXPECT_EQ(first.NextFree(), AtMillis(4));
}

TEST(ModelSegment, IsThereUntilTheLastOneClosesIt) {
  const std::string name = OwnSegmentName();
  auto one = OpenSegment(name, {});
  auto two = OpenSegment(name, {});
  one.reset();
  EXPECT_TRUE(std::filesystem::exists(PathOf(name)));
  two.reset();
  EXPECT_FALSE(std::filesystem::exists(PathOf(name)));
}

TEST(ModelSegment, RefusesOtherCaps) {
  const std::string name = OwnSegmentName();
  const auto one = OpenSegment(name, {.requests_per_second = 10});
  for (const ModelCaps& other :
       {ModelCaps{.requests_per_second = 11},
        ModelCaps{.requests_per_second = 10, .concurrency = 3}}) {
    const auto refused = ModelSegment::Open(name, other);
    EXPECT_EQ(refused.status().code(), core::Code::kInvalidArgument);
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr("other limits"));
  }
  EXPECT_TRUE(ModelSegment::Open(name, {.requests_per_second = 10}).ok());
}

TEST(ModelSegment, OneThatNobodyHoldsIsSweptAndOneInUseIsNot) {
  // What a killed process leaves: the file, without a lock.
  const std::string dead = OwnSegmentName();
  const int fd = ::open(PathOf(dead).c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  ::close(fd);
  const std::string used = OwnSegmentName();
  const auto held = OpenSegment(used, {});

  const auto another = OpenSegment(OwnSegmentName(), {});

  EXPECT_FALSE(std::filesystem::exists(PathOf(dead)));
  EXPECT_TRUE(std::filesystem::exists(PathOf(used)));
}

TEST(ModelSegment, AnUnfinishedOneIsSetUpAgain) {
  // Its maker was killed before it had written the header.
  const std::string name = OwnSegmentName();
  const int fd = ::open(PathOf(name).c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::ftruncate(fd, 100), 0);
  ASSERT_EQ(::flock(fd, LOCK_SH), 0);  // so that it is not swept
  const auto segment = OpenSegment(name, {.concurrency = 4});
  EXPECT_EQ(segment->slots().size(), 4U);
  EXPECT_EQ(segment->slots()[3].load(), 0);
  ::close(fd);
}

TEST(ModelLimits, WhatADeadProcessHeldIsFreeOnceItsTimeIsOver) {
  const std::string name = OwnSegmentName();
  const ModelCaps caps{.concurrency = 1};
  const auto alive = OpenSegment(name, caps);
  {
    const auto dead = OpenSegment(name, caps);
    ModelLimits limits(caps, dead->times(), dead->slots());
    ASSERT_TRUE(limits.TryEnter(AtMillis(0), AtMillis(0), milliseconds(30)));
  }
  ModelLimits limits(caps, alive->times(), alive->slots());
  EXPECT_FALSE(limits.TryEnter(AtMillis(10), AtMillis(10), milliseconds(1)));
  const auto lease =
      limits.TryEnter(AtMillis(10), AtMillis(31), milliseconds(1));
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(lease->begin, AtMillis(30));
}

TEST(ModelLimits, AnExtendedPlaceIsTakenForLonger) {
  const ModelCaps caps{.concurrency = 1};
  OwnModelMemory memory(1);
  ModelLimits limits(caps, memory.times(), memory.slots());
  auto lease = limits.TryEnter(AtMillis(0), AtMillis(0), milliseconds(10));
  ASSERT_TRUE(lease.has_value());
  limits.Extend(*lease, AtMillis(25));
  EXPECT_EQ(limits.NextFree(), AtMillis(25));
  // Too late: another has the place.
  auto next = limits.TryEnter(AtMillis(25), AtMillis(25), milliseconds(5));
  ASSERT_TRUE(next.has_value());
  limits.Extend(*lease, AtMillis(99));
  EXPECT_EQ(limits.NextFree(), AtMillis(30));
}

TEST(ModelLimits, TinyBytesAddUp) {
  // 1000 times 100 bytes at 3 GB/s: 100 * 1000 / 3 ns = 33,333.3 ns, where
  // nanoseconds alone would make it 33,000 or 34,000.
  const ModelCaps caps{.bytes_per_second = 3e9};
  OwnModelMemory memory(0);
  ModelLimits limits(caps, memory.times(), memory.slots());
  core::TimePoint end{};
  for (int i = 0; i < 1000; ++i) {
    end = limits.Transfer(Direction::kRead, AtMillis(0), 100).end;
  }
  EXPECT_NEAR(static_cast<double>(end.time_since_epoch().count()), 33'333.3,
              33);  // 0.1 %
}

}  // namespace
}  // namespace stoker::storage::internal
