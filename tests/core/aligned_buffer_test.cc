#include "core/aligned_buffer.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace stoker::core {
namespace {

std::size_t PageSize() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(AlignedBuffer, StartsAtAPageAndHasTheSizeAskedFor) {
  auto buffer = AlignedBuffer::Make(5001, false);
  ASSERT_TRUE(buffer.ok());
  const auto bytes = buffer.value().bytes();
  EXPECT_EQ(bytes.size(), 5001U);
  EXPECT_EQ(buffer.value().size(), 5001U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % PageSize(), 0U);
}

TEST(AlignedBuffer, IsZeroedAndWritable) {
  auto buffer = AlignedBuffer::Make(3 * PageSize(), false);
  ASSERT_TRUE(buffer.ok());
  const auto bytes = buffer.value().bytes();
  EXPECT_TRUE(std::ranges::all_of(
      bytes, [](std::byte value) { return value == std::byte{0}; }));
  std::ranges::fill(bytes, std::byte{7});
  EXPECT_EQ(bytes.back(), std::byte{7});
}

TEST(AlignedBuffer, ResidentPagesAreInMemory) {
  auto buffer = AlignedBuffer::Make(4 * PageSize(), true);
  ASSERT_TRUE(buffer.ok());
  std::array<unsigned char, 4> pages{};
  ASSERT_EQ(
      ::mincore(buffer.value().bytes().data(), 4 * PageSize(), pages.data()),
      0);
  for (const unsigned char page : pages) {
    EXPECT_EQ(page & 1, 1);
  }
}

TEST(AlignedBuffer, OfNothingIsEmpty) {
  auto buffer = AlignedBuffer::Make(0, true);
  ASSERT_TRUE(buffer.ok());
  EXPECT_TRUE(buffer.value().bytes().empty());
}

TEST(AlignedBuffer, MovingHandsThePagesOver) {
  auto made = AlignedBuffer::Make(100, false);
  ASSERT_TRUE(made.ok());
  AlignedBuffer first = std::move(made).value();
  std::byte* const start = first.bytes().data();
  AlignedBuffer second(std::move(first));
  EXPECT_EQ(second.bytes().data(), start);
  AlignedBuffer third;
  third = std::move(second);
  EXPECT_EQ(third.bytes().data(), start);
  EXPECT_EQ(third.size(), 100U);
}

TEST(AlignedBuffer, MoreThanTheAddressSpaceIsAnError) {
  const auto buffer = AlignedBuffer::Make(std::size_t{1} << 60, false);
  ASSERT_FALSE(buffer.ok());
  EXPECT_EQ(buffer.status().code(), Code::kIoError);
  EXPECT_EQ(buffer.status().os_error(), ENOMEM);
}

}  // namespace
}  // namespace stoker::core
