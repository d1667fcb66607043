#include "storage/internal/part_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

namespace stoker::storage::internal {
namespace {

using std::chrono::microseconds;
using ::testing::ElementsAre;

constexpr std::size_t kPart = 4096;

// In virtual time; sending a part takes 10 us.
class PartSenderTest : public ::testing::Test {
 protected:
  PartSenderTest() { clock_.Attach(); }
  ~PartSenderTest() override {
    sender_.reset();
    clock_.Detach();
  }

  void Use(std::size_t parts, std::size_t threads) {
    sender_ = std::make_unique<PartSender>(
        PartSender::Setup{
            .parts = parts, .part_size = kPart, .threads = threads},
        std::make_shared<PartPool>(), clock_,
        [this](std::uint64_t offset, std::span<const std::byte> part) {
          clock_.SleepUntil(clock_.Now() + microseconds(10));
          return Arrive(offset, part);
        });
  }
  // Takes a part, fills it for so long, and hands it over.
  core::Status Fill(int micros, std::uint64_t offset) {
    STOKER_ASSIGN(const std::span<std::byte> part, sender_->Take());
    clock_.SleepUntil(clock_.Now() + microseconds(micros));
    return sender_->Send(offset, part);
  }
  std::int64_t Now() const {
    return clock_.Now().time_since_epoch() / microseconds(1);
  }

  core::VirtualClock clock_;
  std::mutex mutex_;  // guards the two
  std::vector<std::uint64_t> arrived_;
  std::uint64_t fails_ = UINT64_MAX;  // the part at this offset does not arrive
  std::unique_ptr<PartSender> sender_;

 private:
  core::Status Arrive(std::uint64_t offset, std::span<const std::byte> part) {
    const std::scoped_lock lock(mutex_);
    if (offset == fails_) {
      return {core::Code::kIoError, "disk gone"};
    }
    EXPECT_EQ(part.size(), kPart);
    arrived_.push_back(offset);
    return {};
  }
};

TEST_F(PartSenderTest, AQuickOwnerWaitsForAFreePart) {
  Use(2, 1);
  // Filled and handed over at 4 and 8; sent 4-14 and 14-24. The first part is
  // free at 14, is filled by 18 and sent 24-34.
  ASSERT_TRUE(Fill(4, 0).ok());
  ASSERT_TRUE(Fill(4, 1).ok());
  EXPECT_EQ(Now(), 8);
  ASSERT_TRUE(Fill(4, 2).ok());
  EXPECT_EQ(Now(), 18);
  ASSERT_TRUE(sender_->Drain().ok());
  EXPECT_EQ(Now(), 34);
  EXPECT_THAT(arrived_, ElementsAre(0, 1, 2));
  EXPECT_EQ(sender_->waited(), microseconds(14 - 8 + 34 - 18));
  EXPECT_EQ(sender_->idle(), microseconds(0));
  EXPECT_EQ(sender_->last_end(), core::TimePoint(microseconds(34)));
}

TEST_F(PartSenderTest, ASlowOwnerLeavesTheStorageIdle) {
  Use(2, 1);
  // Handed over at 15, 30 and 45; sent by 25, 40 and 55.
  for (std::uint64_t part = 0; part < 3; ++part) {
    ASSERT_TRUE(Fill(15, part).ok());
  }
  ASSERT_TRUE(sender_->Drain().ok());
  EXPECT_EQ(sender_->idle(), microseconds(30 - 25 + 45 - 40));
  EXPECT_EQ(sender_->waited(), microseconds(55 - 45));
}

TEST_F(PartSenderTest, PartsAreSentAtTheSameTimeByManyThreads) {
  Use(4, 2);
  for (std::uint64_t part = 0; part < 4; ++part) {
    ASSERT_TRUE(Fill(0, part).ok());
  }
  ASSERT_TRUE(sender_->Drain().ok());
  EXPECT_EQ(Now(), 20);
  EXPECT_EQ(arrived_.size(), 4U);
}

TEST_F(PartSenderTest, MemoryIsNeverGivenOutWhileItIsOnItsWay) {
  Use(3, 1);
  const std::byte* const first = sender_->Take().value().data();
  ASSERT_TRUE(sender_->Send(0, {first, kPart}).ok());
  const std::byte* const second = sender_->Take().value().data();
  EXPECT_NE(first, second);
  ASSERT_TRUE(sender_->Send(1, {second, kPart}).ok());
  ASSERT_TRUE(sender_->Drain().ok());
  // What came back last is the warmest.
  EXPECT_EQ(sender_->Take().value().data(), second);
}

TEST_F(PartSenderTest, TheCallersMemoryIsNotTakenForAPartOfItsOwn) {
  Use(2, 1);
  const std::vector<std::byte> own(kPart);
  ASSERT_TRUE(sender_->Send(0, own).ok());
  ASSERT_TRUE(sender_->Drain().ok());
  EXPECT_NE(sender_->Take().value().data(), own.data());
  EXPECT_THAT(arrived_, ElementsAre(0));
}

TEST_F(PartSenderTest, TheFirstErrorStaysAndNothingFollows) {
  Use(4, 1);
  fails_ = 1;
  for (std::uint64_t part = 0; part < 4; ++part) {
    ASSERT_TRUE(Fill(0, part).ok());
  }
  EXPECT_EQ(sender_->Drain().message(), "disk gone");
  EXPECT_EQ(Now(), 20);
  EXPECT_EQ(sender_->Take().status().message(), "disk gone");
  EXPECT_EQ(sender_->Send(4, {}).message(), "disk gone");
  EXPECT_THAT(arrived_, ElementsAre(0));
}

TEST_F(PartSenderTest, ADropWaitsForWhatHasBegunAndForNothingElse) {
  Use(4, 1);
  for (std::uint64_t part = 0; part < 3; ++part) {
    ASSERT_TRUE(Fill(0, part).ok());
  }
  clock_.SleepUntil(clock_.Now() + microseconds(1));
  sender_.reset();
  EXPECT_EQ(Now(), 10);
  EXPECT_THAT(arrived_, ElementsAre(0));
}

TEST_F(PartSenderTest, StartsNoThreadBeforeThereIsSomethingToSend) {
  Use(2, 1);
  ASSERT_TRUE(sender_->Take().ok());
  EXPECT_FALSE(sender_->started());
  EXPECT_TRUE(sender_->Drain().ok());
}

}  // namespace
}  // namespace stoker::storage::internal
