#include "checkpoint/manifest.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/checkpoint/scenario.h"

namespace stoker::checkpoint {
namespace {

using testing::OpenOrDie;

Manifest Example() {
  Manifest manifest{.tool = "stoker test",
                    .model = "small",
                    .spec = testing::SmallModel(),
                    .layout = testing::SmallLayout(),
                    .format = FileFormat::kRaw,
                    .content = {.save_id = 0xFEDCBA9876543210ULL, .step = 3},
                    .epoch = 1,
                    .step = 3};
  manifest.spec.optimization_groups = {1, 2};
  manifest.files = {{.name = "a.pt",
                     .rank = 2,
                     .bytes = 1ULL << 40,
                     .payload_bytes = 7,
                     .crc = 0xFFFFFFFF,
                     .frame_crc = 1}};
  return manifest;
}

TEST(Manifest, ReadsBackAsWritten) {
  const auto backend = OpenOrDie("mem:");
  core::SystemClock clock;
  ASSERT_TRUE(
      WriteManifest(*backend, "global_epoch1_step3", Example(), false, clock)
          .ok());
  const auto read = ReadManifest(*backend, "global_epoch1_step3", clock);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_TRUE(read.value().has_value());
  const Manifest& manifest = *read.value();
  EXPECT_EQ(manifest.content.save_id, 0xFEDCBA9876543210ULL);
  EXPECT_EQ(manifest.content.step, 3U);
  EXPECT_EQ(manifest.format, FileFormat::kRaw);
  EXPECT_EQ(manifest.files.at(0).bytes, 1ULL << 40);
  EXPECT_EQ(manifest.files.at(0).crc, 0xFFFFFFFFU);
  EXPECT_TRUE(SameShards(manifest.spec, manifest.layout, Example().spec,
                         Example().layout));
}

TEST(Manifest, ThereIsNoneInAFolderThatIsNotThere) {
  const auto backend = OpenOrDie("mem:");
  core::SystemClock clock;
  const auto read = ReadManifest(*backend, "global_epoch1_step1", clock);
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read.value().has_value());
}

TEST(ParseManifest, EveryChangeOfADigitIsNoticed) {
  const std::string text = ManifestText(Example());
  ASSERT_TRUE(ParseManifest(text, "m").ok());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] < '0' || text[at] > '9') {
      continue;
    }
    std::string changed = text;
    changed[at] = changed[at] == '5' ? '6' : '5';
    EXPECT_FALSE(ParseManifest(changed, "m").ok()) << at;
  }
}

TEST(ParseManifest, EveryTruncationIsNoticed) {
  const std::string text = ManifestText(Example());
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    EXPECT_EQ(ParseManifest(text.substr(0, size), "m").status().code(),
              core::Code::kCorruption);
  }
}

TEST(SameShards, AnotherSizeOrLayoutIsAnother) {
  const Manifest manifest = Example();
  ModelSpec spec = manifest.spec;
  spec.hidden += 1;
  EXPECT_FALSE(
      SameShards(manifest.spec, manifest.layout, spec, manifest.layout));
  Layout layout = manifest.layout;
  layout.zero_stage = 2;
  EXPECT_FALSE(
      SameShards(manifest.spec, manifest.layout, manifest.spec, layout));
}

}  // namespace
}  // namespace stoker::checkpoint
