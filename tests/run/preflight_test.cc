#include "run/internal/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "core/clock.h"
#include "storage/registry.h"
#include "tests/support/temp_dir.h"

namespace stoker::run::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(NeedOfResults, GrowsWithStepsAndRanks) {
  RunPlan plan;
  plan.epochs = 5;
  plan.steps = 1000;
  const ResultsNeed one = NeedOfResults(plan, 1);
  const ResultsNeed many = NeedOfResults(plan, 100);

  // A row of steps.csv is some 80 bytes, the arrays of <rank>_output.json have
  // three numbers of some 20 digits a step.
  EXPECT_GT(one.bytes, 5U * 1000 * (80 + 3 * 20));
  EXPECT_GT(many.bytes - one.bytes, 99U * 5 * 1000 * (80 + 3 * 20));
  EXPECT_GE(many.files - one.files, 99U * 2);
}

TEST(CheckResultsRoom, LittleFitsAnywhere) {
  const stoker::testing::TempDir dir;
  EXPECT_TRUE(CheckResultsRoom(dir.str(), {.bytes = 1, .files = 1}).ok());
}

TEST(CheckResultsRoom, TooMuchNamesFiguresPlaceAndRemedy) {
  const stoker::testing::TempDir dir;
  const core::Status status =
      CheckResultsRoom(dir.str(), {.bytes = 1ULL << 62, .files = 1});

  EXPECT_EQ(status.os_error(), ENOSPC);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("4096.00 PiB"), HasSubstr(dir.str()),
                    HasSubstr("--results-dir")));
}

// Four checkpoints of 100 bytes in 3 files; with a manifest and a folder each
// is five objects.
CheckpointPlan FourSaves() {
  CheckpointPlan plan;
  plan.saves = 4;
  plan.stored_bytes = 100;
  plan.bytes.files = 3;
  return plan;
}

TEST(RoomOfCheckpoints, AllStayUnlessToldOtherwise) {
  const CheckpointRoom all = RoomOfCheckpoints(FourSaves(), 0);
  EXPECT_EQ(all.bytes, 400U);
  EXPECT_EQ(all.objects, 20U);

  // Two that stay and the one being written.
  EXPECT_EQ(RoomOfCheckpoints(FourSaves(), 2).bytes, 300U);
  EXPECT_EQ(RoomOfCheckpoints(FourSaves(), 9).bytes, 400U);
}

TEST(RoomOfCheckpoints, WhatIsReplacedNeedsRoomForOneBeside) {
  EXPECT_EQ(RoomOfCheckpoints(FourSaves(), 0, 1).bytes, 300U);
  EXPECT_EQ(RoomOfCheckpoints(FourSaves(), 0, 4).bytes, 100U);
  EXPECT_EQ(RoomOfCheckpoints(FourSaves(), 0, 9).bytes, 100U);
}

TEST(CheckRoomForCheckpoints, ExactlyEnoughIsEnough) {
  EXPECT_TRUE(CheckRoomForCheckpoints(400, 20, FourSaves(), 0).ok());
  EXPECT_TRUE(
      CheckRoomForCheckpoints(UINT64_MAX, UINT64_MAX, FourSaves(), 0).ok());
}

TEST(CheckRoomForCheckpoints, OneLessNamesFiguresAndRemedy) {
  const core::Status bytes = CheckRoomForCheckpoints(399, 20, FourSaves(), 0);
  const core::Status objects = CheckRoomForCheckpoints(400, 19, FourSaves(), 0);

  EXPECT_EQ(bytes.os_error(), ENOSPC);
  EXPECT_THAT(std::string(bytes.message()),
              AllOf(HasSubstr("400 B are needed"), HasSubstr("399 B are free"),
                    HasSubstr("--keep N")));
  EXPECT_EQ(objects.os_error(), ENOSPC);
  EXPECT_THAT(std::string(objects.message()),
              AllOf(HasSubstr("20 files"), HasSubstr("19 free inodes")));
}

// In memory, with room for so many objects only.
class SmallBackend final : public storage::Backend {
 public:
  explicit SmallBackend(std::uint64_t free)
      : inner_(storage::OpenBackend("mem:").value()), free_(free) {}
  std::string_view scheme() const override { return "small"; }
  std::string uri() const override { return "small:"; }
  storage::Capabilities capabilities() const override { return {}; }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const storage::ObjectInfo&)>& visit) override {
    return inner_->List(prefix, visit);
  }
  storage::ObjectId Resolve(std::string_view name) override {
    return inner_->Resolve(name);
  }
  void Release(storage::ObjectId object) override { inner_->Release(object); }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    return inner_->NewReadQueue(options, clock);
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view name, const storage::WriteOptions& options,
      core::Clock& clock) override {
    return inner_->Create(name, options, clock);
  }
  core::Status EnsureFolder(std::string_view prefix) override {
    return inner_->EnsureFolder(prefix);
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    return inner_->Link(existing, name);
  }
  core::Status Remove(std::string_view name) override {
    return inner_->Remove(name);
  }
  core::Result<std::uint64_t> FreeBytes() override { return UINT64_MAX; }
  core::Result<std::uint64_t> FreeObjects() override { return free_; }

 private:
  std::unique_ptr<storage::Backend> inner_;
  std::uint64_t free_;
};

TEST(CheckObjectRoom, AsManyAsAreFreeFit) {
  SmallBackend backend(10);
  EXPECT_TRUE(CheckObjectRoom(backend, 10).ok());
}

TEST(CheckObjectRoom, OneMoreNamesFiguresAndRemedy) {
  SmallBackend backend(10);
  const core::Status status = CheckObjectRoom(backend, 11);

  EXPECT_EQ(status.os_error(), ENOSPC);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("small:"), HasSubstr("11 files"),
                    HasSubstr("10 free inodes"), HasSubstr("--distinct")));
}

TEST(CheckObjectRoom, WhatIsThereNeedsNoRoom) {
  SmallBackend backend(10);
  core::SystemClock clock;
  ASSERT_TRUE(storage::WriteObject(backend, "train/a", "x", clock).ok());
  ASSERT_TRUE(storage::WriteObject(backend, "valid/b", "x", clock).ok());

  EXPECT_TRUE(CheckObjectRoom(backend, 12).ok());
  EXPECT_FALSE(CheckObjectRoom(backend, 13).ok());
}

}  // namespace
}  // namespace stoker::run::internal
