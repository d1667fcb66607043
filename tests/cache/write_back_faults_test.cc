// Processes that are killed while a cache has what the store has not.

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <string>
#include <string_view>
#include <tuple>

#include "tests/cache/write_back_support.h"

namespace stoker::cache {
namespace {

using testing::Child;
using testing::kDirtySlot;
using testing::kShard;
using testing::WriteBackFaults;

// With true the host is started again: all that was in memory is gone.
class KillDuringWriteBack
    : public WriteBackFaults,
      public ::testing::WithParamInterface<std::tuple<std::string_view, bool>> {
};

TEST_P(KillDuringWriteBack, LosesNothingThatWasAcknowledgedAndFinishes) {
  const auto& [point, reboot] = GetParam();
  Child killed = Writer(point, SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  if (InStore("manifest") != "not found") {
    EXPECT_EQ(InStore("shard"), shard_);
  }
  if (reboot) {
    Index::Forget(id_);
  }
  // Twice: what the first finds changes nothing.
  for (int i = 0; i < 2; ++i) {
    const auto backend = Open();
    CheckWhole(*backend, "shard", shard_, progress_->shard);
    CheckWhole(*backend, "manifest", manifest_, progress_->manifest);
  }
  const auto backend = Open();
  ASSERT_TRUE(
      backend->Drain({.patience = std::chrono::seconds(30)}, clock_).ok());
  if (progress_->shard) {
    EXPECT_EQ(InStore("shard"), shard_);
  }
  if (progress_->manifest) {
    EXPECT_EQ(InStore("manifest"), manifest_);
  }
  Index& index = *TierOf(*backend)->units()[0].index;
  index.Sweep();
  const SlotCounts counts = index.Count();
  EXPECT_EQ(counts.dirty, 0U);
  EXPECT_EQ(counts.all(), index.geometry().slots());
  const std::string again = Content(3, kShard);
  ASSERT_TRUE(
      storage::WriteObject(*backend, "shard", again, clock_, {.durable = true})
          .ok());
  ASSERT_TRUE(
      backend->Drain({.patience = std::chrono::seconds(30)}, clock_).ok());
  EXPECT_EQ(InStore("shard"), again);
}

INSTANTIATE_TEST_SUITE_P(Cache, KillDuringWriteBack,
                         ::testing::Combine(::testing::Values("D1", "D2", "D3",
                                                              "D4", "D5", "D6",
                                                              "D7", "D8", "D9"),
                                            ::testing::Bool()),
                         [](const auto& kill) {
                           return std::string(std::get<0>(kill.param)) +
                                  (std::get<1>(kill.param) ? "_Reboot" : "");
                         });

TEST_F(WriteBackFaults, AnUploaderThatIsStoppedIsReplacedAndDoesNoHarm) {
  Child stopped = Writer("D6", SIGSTOP);
  stopped.WaitForStop();
  {
    const auto backend = Open();
    ASSERT_TRUE(
        backend->Drain({.patience = std::chrono::seconds(30)}, clock_).ok());
    EXPECT_EQ(InStore("shard"), shard_);
  }
  stopped.Signal(SIGCONT);
  EXPECT_EQ(stopped.Wait(), 0);
  EXPECT_EQ(InStore("shard"), shard_);
}

TEST_F(WriteBackFaults, WhatAnotherRunLeftIsReadWithoutTheStore) {
  Child killed = Writer("D6", SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  CacheOptions options;
  options.directories = {cache_path()};
  options.buffer_bytes = 8 * kDirtySlot;
  auto tier = OpenTier(options, "another", clock_);
  ASSERT_TRUE(tier.ok());
  const auto reader =
      MakeCacheBackend(std::move(tier).value(), options,
                       storage::OpenBackend(store_uri()).value());
  EXPECT_EQ(ReadFrom(*reader, "shard"), shard_);
}

// Cold means without what was read; what was written is not let go of.
TEST_F(WriteBackFaults, AColdStartKeepsWhatTheStoreDoesNotHave) {
  Child killed = Writer("D6", SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  for (const bool reboot : {false, true}) {
    if (reboot) {
      Index::Forget(id_);
    }
    CacheOptions options;
    options.directories = {cache_path()};
    options.buffer_bytes = 8 * kDirtySlot;
    options.start = Start::kCold;
    auto tier = OpenTier(options, "", clock_);
    ASSERT_TRUE(tier.ok());
    const auto backend =
        MakeCacheBackend(std::move(tier).value(), options,
                         storage::OpenBackend(store_uri()).value());
    EXPECT_EQ(ReadFrom(*backend, "shard"), shard_);
  }
}

}  // namespace
}  // namespace stoker::cache
