#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cache/directory.h"
#include "core/random.h"

namespace stoker::cache {
namespace {

using ::testing::HasSubstr;

FormatOptions OneClass(std::uint64_t quota_bytes, std::uint64_t slot_bytes) {
  return {.quota_bytes = quota_bytes,
          .slot_bytes = slot_bytes,
          .small_slot_bytes = 0};
}

void ExpectSlots(const FormatOptions& options, std::uint32_t large,
                 std::uint32_t small) {
  const auto geometry = PlanGeometry(options);
  ASSERT_TRUE(geometry.ok()) << geometry.status().ToString();
  EXPECT_EQ(geometry.value().classes[0].slots, large);
  EXPECT_EQ(geometry.value().classes[1].slots, small);
}

void ExpectRefused(const FormatOptions& options, std::string_view text) {
  const auto geometry = PlanGeometry(options);
  EXPECT_EQ(geometry.status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(geometry.status().message()),
              HasSubstr(std::string(text)));
}

TEST(PlanGeometry, GivesTheMostSlotsThatFit) {
  // 65536 + 10 * (1048576 + 256) = 10553856
  ExpectSlots(OneClass(10553856, 1U << 20), 10, 0);
  ExpectSlots(OneClass(10553855, 1U << 20), 9, 0);
  // 65536 + 16384 + 256 = 82176
  ExpectSlots(OneClass(82176, 16U << 10), 1, 0);
}

TEST(PlanGeometry, GivesTheSmallSlotsTheirShareAndWhatIsLeft) {
  // 1 GiB - 65536 = 1073676288, a tenth of which is 107367628: 409 slots of
  // 262400 bytes. The other 966354688 are 921 slots of 1048832 bytes and 380416
  // bytes, which are one more small one.
  ExpectSlots({.quota_bytes = 1U << 30}, 921, 410);
}

TEST(PlanGeometry, GivesEachClassOneSlotAtLeast) {
  // 65536 + 1048832 + 262400 = 1376768
  ExpectSlots({.quota_bytes = 1376768}, 1, 1);
  ExpectRefused({.quota_bytes = 1376767}, "it takes 1376768 bytes");
  // 8 MiB - 65536 = 8323072: one small slot, then 7 large ones of the 8060672
  // bytes left, then 718848 bytes, which are two small ones.
  ExpectSlots({.quota_bytes = 8U << 20, .small_share = 0.0001}, 7, 3);
  // 4 MiB - 65536 = 4128768: without one large slot 3079936, which are 11 small
  // ones; the large one leaves 193536 bytes.
  ExpectSlots({.quota_bytes = 4U << 20, .small_share = 0.99}, 1, 11);
}

TEST(PlanGeometry, FillsAnyQuotaButForLessThanASlot) {
  core::CounterRandom random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t small = (16U << 10) * (1 + random.Below(8));
    const FormatOptions options{
        .quota_bytes = (8U << 20) + random.Below(1ULL << 44),
        .slot_bytes = small * (2 + random.Below(6)),
        .small_slot_bytes = small,
        .small_share = 0.01 + 0.98 * random.Uniform()};
    const auto planned = PlanGeometry(options);
    ASSERT_TRUE(planned.ok()) << planned.status().ToString();
    const Geometry& geometry = planned.value();
    const std::uint64_t taken =
        65536 + geometry.data_bytes() + std::uint64_t{geometry.slots()} * 256;
    EXPECT_LE(taken, options.quota_bytes);
    EXPECT_GT(taken + small + 256, options.quota_bytes);
  }
}

TEST(PlanGeometry, RefusesSizesThatAreNoSlotSizes) {
  constexpr std::uint64_t kQuota = 1ULL << 40;
  ExpectRefused(OneClass(kQuota, 0), "large slots of 0 bytes");
  ExpectRefused(OneClass(kQuota, 20000), "multiples of 16.00 KiB");
  ExpectRefused(OneClass(kQuota, 512U << 20), "up to 256.00 MiB");
  ExpectRefused({.quota_bytes = kQuota, .small_slot_bytes = 1000},
                "small slots of 1000 bytes");
  ExpectRefused({.quota_bytes = kQuota, .small_slot_bytes = 1U << 20},
                "must be a multiple of the small");
  ExpectRefused({.quota_bytes = kQuota, .small_slot_bytes = 48U << 10},
                "must be a multiple of the small");
}

TEST(PlanGeometry, RefusesSharesThatAreNone) {
  for (const double share :
       {0.0, 1.0, -0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    ExpectRefused({.quota_bytes = 1U << 30, .small_share = share},
                  "set their size to 0");
  }
}

TEST(PlanGeometry, RefusesMoreSlotsThanHaveNumbers) {
  // 2^64 bytes are 2^50 slots of 16 KiB.
  ExpectRefused(OneClass(UINT64_MAX, 16U << 10), "make them larger");
}

TEST(Geometry, PutsTheSmallSlotsBehindTheLargeOnes) {
  const Geometry geometry{.classes = {{{.slot_bytes = 65536, .slots = 3},
                                       {.slot_bytes = 16384, .slots = 2}}}};
  EXPECT_EQ(geometry.slots(), 5U);
  EXPECT_EQ(geometry.data_bytes(), 229376U);
  EXPECT_EQ(geometry.OffsetOf(0), 0U);
  EXPECT_EQ(geometry.OffsetOf(2), 131072U);
  EXPECT_EQ(geometry.OffsetOf(3), 196608U);
  EXPECT_EQ(geometry.OffsetOf(4), 212992U);
  EXPECT_EQ(geometry.ClassOf(2), 0U);
  EXPECT_EQ(geometry.ClassOf(3), 1U);
  EXPECT_EQ(geometry.BytesOf(2), 65536U);
  EXPECT_EQ(geometry.BytesOf(3), 16384U);
}

TEST(Geometry, CountsBeyondFourGiB) {
  // 3000000 slots of 1 MiB; the last begins at 2999999 * 1048576.
  const Geometry geometry{
      .classes = {{{.slot_bytes = 1U << 20, .slots = 3000000}, {}}}};
  EXPECT_EQ(geometry.data_bytes(), 3145728000000U);
  EXPECT_EQ(geometry.OffsetOf(2999999), 3145726951424U);
}

}  // namespace
}  // namespace stoker::cache
