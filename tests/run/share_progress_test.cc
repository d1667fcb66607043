#include "run/internal/share_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <variant>

namespace stoker::run::internal {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr core::TimePoint kStart{seconds(1000)};
constexpr std::uint64_t kGiB = 1ULL << 30;

double Number(const Event& event, std::string_view key) {
  for (const auto& [name, value] : event.fields) {
    if (name == key) {
      return std::get<double>(value.value());
    }
  }
  ADD_FAILURE() << "no field " << key;
  return 0;
}

TEST(ShareProgress, SpeaksOfAllRanksFromTheShareOfOne) {
  // 3 of 8 GiB in 6 s, of 40 GiB in all: 15 GiB in 6 s, and 10 s are left.
  ShareProgress progress("verify", kStart);
  const Event event = progress.Describe({.files_done = 3,
                                         .files_mine = 8,
                                         .bytes_done = 3 * kGiB,
                                         .bytes_mine = 8 * kGiB,
                                         .files_all = 24,
                                         .bytes_all = 40 * kGiB},
                                        kStart + seconds(6));
  EXPECT_EQ(event.text,
            "verify: ~9 of 24 files, ~15.00 GiB of 40.00 GiB, ~2.50 GiB/s, "
            "10.00 s left");
  EXPECT_DOUBLE_EQ(Number(event, "eta_s"), 10);
  EXPECT_DOUBLE_EQ(Number(event, "gib_per_s"), 2.5);
  EXPECT_DOUBLE_EQ(Number(event, "percent"), 37.5);
}

TEST(ShareProgress, JudgesLinksByTheTimeLinksTake) {
  // After 100 s of writing, 10 links of 90 take 1 s: 8 s are left.
  ShareProgress progress("datagen", kStart);
  generators::OwnProgress own{.files_done = 10,
                              .files_mine = 100,
                              .bytes_done = kGiB - 1,
                              .bytes_mine = kGiB,
                              .files_all = 100,
                              .bytes_all = kGiB};
  progress.Describe(own, kStart + seconds(100));
  own.files_done = 20;
  own.bytes_done = kGiB;
  const Event event = progress.Describe(own, kStart + seconds(101));
  EXPECT_THAT(event.text,
              AllOf(HasSubstr("~20 of 100 files"), HasSubstr("8.00 s left"),
                    Not(HasSubstr("/s,"))));
  EXPECT_DOUBLE_EQ(Number(event, "percent"), 20);
}

TEST(ShareProgress, WithoutBytesSpeaksOfFiles) {
  ShareProgress progress("delete", kStart);
  EXPECT_EQ(
      progress
          .Describe({.files_done = 25, .files_mine = 100, .files_all = 200},
                    kStart + seconds(5))
          .text,
      "delete: ~50 of 200 files, 15.00 s left");
}

TEST(ShareProgress, ARankWithNothingToDoSaysThatItWaits) {
  ShareProgress progress("datagen", kStart);
  const Event event = progress.Describe(
      {.files_all = 12, .bytes_all = kGiB, .waiting = true}, kStart);
  EXPECT_EQ(event.text,
            "datagen: rank 0 is done with 0 of its 0 files (12 in all), "
            "waiting for the other ranks");
}

}  // namespace
}  // namespace stoker::run::internal
