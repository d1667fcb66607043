#include "formats/npz_format.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>

#include "core/crc.h"
#include "formats/npz_layout.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;

template <class T>
T At(const File& file, std::size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

std::string TextAt(const File& file, std::size_t offset, std::size_t bytes) {
  return {reinterpret_cast<const char*>(file.data()) + offset, bytes};
}

TEST(NpzFormat, FileIsPayloadAnd490BytesAnd8PerSample) {
  const NpzFormat format;
  // 12107² = 146,579,449.
  EXPECT_EQ(format.FileBytes({.rows = 12107, .columns = 12107}),
            146'579'449U + 498);
  EXPECT_EQ(format.FileBytes({.rows = 15865, .columns = 14125}),
            224'093'125U + 498);
  EXPECT_EQ(format.FileBytes({.samples = 9, .rows = 5, .columns = 4}),
            5U * 4 * 9 + 490 + 8 * 9);
}

TEST(NpzFormat, FilesFrom2GiBOnCarry64BitFields) {
  const NpzFormat format;
  const std::uint64_t payload = 46341ULL * 46342;  // 2,147,534,622
  // Member x: two sizes (20 bytes); member y: its offset (12 bytes); the
  // directory's own offset: end record and locator (56 + 20 bytes).
  EXPECT_EQ(format.FileBytes({.rows = 46341, .columns = 46342}),
            payload + 498 + 20 + 12 + 56 + 20);
  // 2^31 - 1 is prime; with headers of 128 bytes the largest member that still
  // has a 32-bit size holds 2^31 - 129 bytes, and y begins beyond the limit.
  EXPECT_EQ(format.FileBytes({.rows = 1, .columns = (1U << 31) - 129}),
            (1ULL << 31) - 129 + 498 + 12 + 56 + 20);
}

TEST(NpzFormat, LocalHeaderHasRealSizesAndZip64Extra) {
  const NpzFormat format;
  const File file = Encode(format, {.samples = 2, .rows = 3, .columns = 5});
  const std::uint32_t member = 128 + 30;
  EXPECT_EQ(At<std::uint32_t>(file, 0), 0x04034b50U);
  EXPECT_EQ(At<std::uint16_t>(file, 4), 20);       // version
  EXPECT_EQ(At<std::uint16_t>(file, 6), 0);        // flags
  EXPECT_EQ(At<std::uint16_t>(file, 8), 0);        // stored
  EXPECT_EQ(At<std::uint16_t>(file, 10), 0);       // 00:00:00
  EXPECT_EQ(At<std::uint16_t>(file, 12), 0x0021);  // 1980-01-01
  EXPECT_EQ(At<std::uint32_t>(file, 18), member);
  EXPECT_EQ(At<std::uint32_t>(file, 22), member);
  EXPECT_EQ(TextAt(file, 30, 5), "x.npy");
  EXPECT_EQ(At<std::uint16_t>(file, 35), 1);   // zip64
  EXPECT_EQ(At<std::uint16_t>(file, 37), 16);  // its length
  EXPECT_EQ(At<std::uint64_t>(file, 39), member);
  EXPECT_EQ(At<std::uint64_t>(file, 47), member);
}

TEST(NpzFormat, ArrayHeaderIsPaddedTo128Bytes) {
  const NpzFormat format;
  const File file = Encode(format, {.samples = 2, .rows = 3, .columns = 5});
  EXPECT_EQ(TextAt(file, 55, 6), "\x93NUMPY");
  EXPECT_EQ(At<std::uint16_t>(file, 61), 1);
  EXPECT_EQ(At<std::uint16_t>(file, 63), 118);
  const std::string dict =
      "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 5, 2), }";
  EXPECT_EQ(TextAt(file, 65, 118),
            dict + std::string(117 - dict.size(), ' ') + "\n");
}

TEST(NpzFormat, ChecksumIsPatchedOverHeaderAndData) {
  const NpzFormat format;
  const File file =
      Encode(format, {.samples = 2, .rows = 3, .columns = 5}, 4096);
  const std::span<const std::byte> member =
      std::span(file).subspan(55, 128 + 30);
  EXPECT_EQ(At<std::uint32_t>(file, 14), core::Crc32(member));
  // The directory begins behind both members.
  const std::size_t directory = 55 + 158 + 55 + 128 + 16;
  EXPECT_EQ(At<std::uint32_t>(file, directory), 0x02014b50U);
  EXPECT_EQ(At<std::uint32_t>(file, directory + 16), core::Crc32(member));
  EXPECT_EQ(At<std::uint32_t>(file, directory + 38), 0600U << 16);
  EXPECT_EQ(file.size(), directory + 102 + 22);
}

TEST(NpzFormat, PartsOfAnySizeGiveTheSameFile) {
  const NpzFormat format;
  const FileSpec spec{.index = 4, .samples = 3, .rows = 71, .columns = 97};
  EXPECT_EQ(Encode(format, spec, 4096), Encode(format, spec, 1U << 20));
}

}  // namespace
}  // namespace stoker::formats
