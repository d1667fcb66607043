#include "core/crc.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "core/internal/crc32_fold.h"
#include "core/internal/crc32_math.h"
#include "core/internal/crc32_mix.h"

namespace stoker::core {
namespace {

constexpr std::string_view kCheckText = "123456789";

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Bit by bit from the polynomial (reflected), as the definition has it.
std::uint32_t SlowCrc(std::span<const std::byte> data, std::uint32_t polynomial,
                      std::uint32_t seed = 0) {
  std::uint32_t crc = ~seed;
  for (const std::byte byte : data) {
    crc ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1U) != 0 ? (crc >> 1) ^ polynomial : crc >> 1;
    }
  }
  return ~crc;
}

std::vector<std::byte> Pattern(std::size_t size) {
  std::vector<std::byte> data(size);
  for (std::size_t i = 0; i < size; ++i) {
    data[i] = static_cast<std::byte>(i * 31 + i / 251);
  }
  return data;
}

TEST(Crc32, HasTheCatalogueCheckValue) {
  EXPECT_EQ(Crc32(AsBytes(kCheckText)), 0xCBF43926U);
}

TEST(Crc32c, HasTheCatalogueCheckValue) {
  EXPECT_EQ(Crc32c(AsBytes(kCheckText)), 0xE3069283U);
}

TEST(Adler32, HasTheCatalogueCheckValueAndChains) {
  EXPECT_EQ(Adler32(AsBytes(kCheckText)), 0x091E01DEU);
  EXPECT_EQ(Adler32(AsBytes("56789"), Adler32(AsBytes("1234"))), 0x091E01DEU);
  EXPECT_EQ(Adler32({}), 1U);
}

TEST(Crc32c, HasTheValuesOfRfc3720) {
  // Appendix B.4: 32 bytes of zeros, and of ones.
  const std::vector<std::byte> zeros(32);
  const std::vector<std::byte> ones(32, std::byte{0xFF});
  EXPECT_EQ(Crc32c(zeros), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(ones), 0x62A8AB43U);
}

TEST(Crc32, IsTheDefinitionsAtEverySizeAndAlignment) {
  const std::vector<std::byte> data = Pattern(1500);
  for (std::size_t size = 0; size < data.size() - 40;
       size += size < 520 ? 1 : 61) {
    for (const std::size_t start : {0U, 1U, 33U}) {
      const auto part = std::span(data).subspan(start, size);
      EXPECT_EQ(Crc32(part), SlowCrc(part, 0xEDB88320U)) << size;
    }
  }
}

using Kernel = std::uint32_t (*)(std::span<const std::byte>&, std::uint32_t);

// Compares `kernel` on texts of `least` bytes and more, at some starts in a
// register of 32 bytes, each in memory of its own that ends with the text.
void ExpectDefinition(Kernel kernel, std::size_t least, std::size_t rest,
                      std::span<const std::size_t> more) {
  for (const std::size_t start : {0U, 1U, 15U, 31U}) {
    for (const std::size_t size : more) {
      const std::vector<std::byte> memory = Pattern(start + least + size);
      const auto text = std::span(memory).subspan(start);
      for (const std::uint32_t seed : {0U, 0xDEADBEEFU}) {
        std::span<const std::byte> left = text;
        const std::uint32_t crc = kernel(left, seed);
        EXPECT_LT(left.size(), rest);
        EXPECT_EQ(left.data() + left.size(), text.data() + text.size());
        const auto done = text.first(text.size() - left.size());
        EXPECT_EQ(crc, SlowCrc(done, 0xEDB88320U, seed))
            << start << " " << size;
      }
    }
  }
}

// `kernel` where the processor has what it needs (VPCLMULQDQ), else what Crc32
// does there instead: the same must hold of it.
Kernel OrInstead(Kernel kernel) {
  const Kernel instead = [](std::span<const std::byte>& text,
                            std::uint32_t seed) {
    const std::uint32_t crc = Crc32(text, seed);
    text = text.last(0);
    return crc;
  };
  return internal::CanFoldCrc32() ? kernel : instead;
}

TEST(Crc32, FoldedIsTheDefinitionsAtEverySizeAndAlignment) {
  std::vector<std::size_t> more(400);
  std::iota(more.begin(), more.end(), 0U);
  more.push_back(100'000);
  ExpectDefinition(OrInstead(internal::FoldCrc32), internal::kLeastFold, 128,
                   more);
}

TEST(Crc32, MixedIsTheDefinitionsAtSizesAroundEachRoundAndAlignment) {
  constexpr std::size_t kRound = internal::kMixRound;
  const std::vector<std::size_t> more = {0,
                                         1,
                                         31,
                                         32,
                                         33,
                                         96,
                                         kRound - 32,
                                         kRound - 1,
                                         kRound,
                                         kRound + 1,
                                         3 * kRound - 31,
                                         20 * kRound};
  ExpectDefinition(OrInstead(internal::MixCrc32), internal::kLeastMix, kRound,
                   more);
}

TEST(Crc32, MixedTakesABitAtAnyPlaceAsItsPowerOfX) {
  const Kernel mix = OrInstead(internal::MixCrc32);
  // The CRC is linear: a bit changes it as it changes that of zeros, by
  // x^(32 + bits behind it).
  constexpr std::size_t kBytes = 5 * internal::kMixRound;
  std::vector<std::byte> text(kBytes + 32);
  const std::size_t skew =
      (32 - reinterpret_cast<std::uintptr_t>(text.data()) % 32) % 32;
  const auto part = std::span(text).subspan(skew, kBytes);
  std::span<const std::byte> zeros = part;
  const std::uint32_t plain = mix(zeros, 0);
  ASSERT_TRUE(zeros.empty());
  for (std::size_t at = 0; at < kBytes; at += 13) {
    part[at] = std::byte{0x80};  // reflected: x^0 of the byte
    std::span<const std::byte> left = part;
    EXPECT_EQ(mix(left, 0) ^ plain,
              internal::PowerOfX(32 + 8 * (kBytes - 1 - at)))
        << at;
    part[at] = {};
  }
}

TEST(Crc32, OfALongTextIsTheDefinitions) {
  const std::vector<std::byte> data = Pattern(300'001);
  EXPECT_EQ(Crc32(data), SlowCrc(data, 0xEDB88320U));
}

TEST(Crc32Combine, OfTwoPartsIsTheWholes) {
  const std::vector<std::byte> data = Pattern(5000);
  for (const std::size_t at : {0U, 1U, 7U, 256U, 4999U, 5000U}) {
    const auto all = std::span(data);
    EXPECT_EQ(Crc32Combine(Crc32(all.first(at)), Crc32(all.subspan(at)),
                           data.size() - at),
              SlowCrc(data, 0xEDB88320U));
  }
}

TEST(Crc32Combine, TakesPartsBeyondFourGiB) {
  // A text of zeros doubled, again and again: 3 * 2^32 bytes.
  const std::vector<std::byte> zeros(3);
  std::uint32_t crc = Crc32(zeros);
  std::uint64_t bytes = zeros.size();
  for (int i = 0; i < 32; ++i, bytes *= 2) {
    crc = Crc32Combine(crc, crc, bytes);
  }
  // The same in other parts: 2^32 and 2 * 2^32.
  const std::vector<std::byte> one(1);
  std::uint32_t part = Crc32(one);
  std::uint64_t part_bytes = 1;
  for (int i = 0; i < 32; ++i, part_bytes *= 2) {
    part = Crc32Combine(part, part, part_bytes);
  }
  const std::uint32_t twice = Crc32Combine(part, part, part_bytes);
  EXPECT_EQ(Crc32Combine(part, twice, 2 * part_bytes), crc);
}

TEST(Crc, OfNothingIsTheSeed) {
  EXPECT_EQ(Crc32({}), 0U);
  EXPECT_EQ(Crc32c({}), 0U);
  EXPECT_EQ(Crc32({}, 0x12345678U), 0x12345678U);
  EXPECT_EQ(Crc32c({}, 0x12345678U), 0x12345678U);
}

TEST(Crc, CallsChainAtAnyCut) {
  const std::vector<std::byte> data = Pattern(300);
  const std::span all(data);
  for (std::size_t cut = 0; cut <= all.size(); cut += 7) {
    EXPECT_EQ(Crc32(all.subspan(cut), Crc32(all.first(cut))), Crc32(all));
    EXPECT_EQ(Crc32c(all.subspan(cut), Crc32c(all.first(cut))), Crc32c(all));
  }
}

TEST(Crc, FollowsTheDefinitionAtAnyAlignmentAndLength) {
  const std::vector<std::byte> data = Pattern(5000);
  const std::span all(data);
  for (std::size_t start = 0; start < 17; ++start) {
    for (const std::size_t size : {1U, 15U, 64U, 255U, 1024U, 4900U}) {
      const auto part = all.subspan(start, size);
      EXPECT_EQ(Crc32(part), SlowCrc(part, 0xEDB88320U));
      EXPECT_EQ(Crc32c(part), SlowCrc(part, 0x82F63B78U));
    }
  }
}

TEST(MaskCrc32c, RotatesAndAdds) {
  // 0 rotates to 0. 0x00008000 >> 15 = 1: 1 + 0xA282EAD8.
  // 0xFFFFFFFF stays; plus the constant wraps to 0xA282EAD7.
  EXPECT_EQ(MaskCrc32c(0), 0xA282EAD8U);
  EXPECT_EQ(MaskCrc32c(0x00008000U), 0xA282EAD9U);
  EXPECT_EQ(MaskCrc32c(0xFFFFFFFFU), 0xA282EAD7U);
}

}  // namespace
}  // namespace stoker::core
