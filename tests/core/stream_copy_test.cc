#include "core/stream_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "core/random.h"

namespace stoker::core {
namespace {

TEST(StreamCopy, CopiesFromAnyPlaceToAnyPlaceAndTouchesNothingElse) {
  constexpr std::size_t kRoom = 1024;
  constexpr std::size_t kLongest = 400;
  constexpr std::byte kGuard{0xA5};
  std::vector<std::byte> source(kRoom);
  FillCounterStream(1, 0, source);
  std::vector<std::byte> target(kRoom);
  for (std::size_t to = 0; to < 64; ++to) {
    for (std::size_t from = 0; from < 64; from += 7) {
      for (std::size_t bytes = 0; bytes <= kLongest; bytes += 1 + bytes % 13) {
        std::ranges::fill(target, kGuard);
        const std::span<const std::byte> wanted =
            std::span(source).subspan(from, bytes);
        StreamCopy(std::span(target).subspan(to, bytes), wanted);
        ASSERT_TRUE(
            std::ranges::equal(std::span(target).subspan(to, bytes), wanted))
            << to << ' ' << from << ' ' << bytes;
        const auto untouched = [](std::byte byte) { return byte == kGuard; };
        ASSERT_TRUE(
            std::ranges::all_of(std::span(target).first(to), untouched));
        ASSERT_TRUE(std::ranges::all_of(std::span(target).subspan(to + bytes),
                                        untouched));
      }
    }
  }
}

TEST(StreamCopy, LeavesRoomBeyondWhatIsCopied) {
  const std::vector<std::byte> source(100, std::byte{1});
  std::vector<std::byte> target(300, std::byte{2});
  StreamCopy(target, source);
  EXPECT_EQ(std::ranges::count(target, std::byte{1}), 100);
  EXPECT_EQ(std::ranges::count(target, std::byte{2}), 200);
}

}  // namespace
}  // namespace stoker::core
