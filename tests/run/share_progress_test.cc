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
  // 3 of 8 GiB in 6 s on each of 4 ranks: 2 GiB/s, and 10 s are left.
  ShareProgress progress("verify", 4, kStart);
  const Event event = progress.Describe({.files_done = 3,
                                         .files_mine = 8,
                                         .bytes_done = 3 * kGiB,
                                         .bytes_mine = 8 * kGiB},
                                        kStart + seconds(6));
  EXPECT_EQ(event.text,
            "verify: ~12 of ~32 files, ~12.00 GiB of ~32.00 GiB, ~2.00 GiB/s, "
            "10.00 s left");
  EXPECT_DOUBLE_EQ(Number(event, "seconds_left"), 10);
  EXPECT_DOUBLE_EQ(Number(event, "bytes_per_second"), 2 * kGiB);
}

TEST(ShareProgress, JudgesLinksByTheTimeLinksTake) {
  // After 100 s of writing, 10 links of 90 take 1 s: 8 s are left.
  ShareProgress progress("datagen", 1, kStart);
  progress.Describe({.files_done = 10,
                     .files_mine = 100,
                     .bytes_done = kGiB - 1,
                     .bytes_mine = kGiB},
                    kStart + seconds(100));
  const Event event = progress.Describe({.files_done = 20,
                                         .files_mine = 100,
                                         .bytes_done = kGiB,
                                         .bytes_mine = kGiB},
                                        kStart + seconds(101));
  EXPECT_THAT(event.text,
              AllOf(HasSubstr("~20 of ~100 files"), HasSubstr("8.00 s left"),
                    Not(HasSubstr("/s,"))));
}

TEST(ShareProgress, WithoutBytesSpeaksOfFiles) {
  ShareProgress progress("delete", 2, kStart);
  EXPECT_EQ(
      progress
          .Describe({.files_done = 25, .files_mine = 100}, kStart + seconds(5))
          .text,
      "delete: ~50 of ~200 files, 15.00 s left");
  EXPECT_EQ(progress.Describe({}, kStart).text, "delete: ~0 of ~0 files");
}

}  // namespace
}  // namespace stoker::run::internal
