#include <gtest/gtest.h>

#include "dataset/shape.h"
#include "tests/generators/scenario.h"

namespace stoker::generators {
namespace {

dataset::Shapes EveryShape(const GeneratePlan& plan) {
  return dataset::Shapes::Make(plan.sizes, plan.train.total + plan.valid.total);
}

// 10 train and 5 eval files of 2 samples of 4 × 4 bytes: an npz of 32 + 490 +
// 8 · 2 = 538 bytes each.
GeneratePlan SmallPlan() {
  GeneratePlan plan = testing::NpzPlan();
  plan.train.total = 10;
  plan.valid.total = 5;
  plan.samples_per_file = 2;
  plan.sizes = {.record_length = 16};
  return plan;
}

TEST(ManifestOf, AddsUpPayloadAndFileBytes) {
  const GeneratePlan plan = SmallPlan();
  const dataset::Manifest manifest = ManifestOf(plan);
  EXPECT_EQ(manifest.payload_bytes, 15U * 32U);
  EXPECT_EQ(manifest.stored_bytes, 15U * 538U);
  EXPECT_EQ(manifest.format, "npz");
  EXPECT_EQ(manifest.tool, "stoker 0.1.0");
  EXPECT_EQ(manifest.samples_per_file, 2U);
  EXPECT_EQ(manifest.train, plan.train);
  EXPECT_EQ(manifest.valid, plan.valid);
  EXPECT_EQ(manifest.hash, dataset::ManifestHash(manifest));
}

TEST(ManifestOf, CountsLinksOnceInWhatIsStored) {
  GeneratePlan plan = SmallPlan();
  plan.content.distinct = 3;  // of each set
  const dataset::Manifest manifest = ManifestOf(plan);
  EXPECT_EQ(manifest.payload_bytes, 15U * 32U);
  EXPECT_EQ(manifest.stored_bytes, 6U * 538U);
}

TEST(ManifestOf, CountsTheNamesOfEveryContent) {
  GeneratePlan plan = SmallPlan();
  plan.sizes.stdev = 10;
  plan.content.distinct = 3;
  plan.valid.total = 0;
  const dataset::Shapes shapes = EveryShape(plan);
  // Files 0, 3, 6, 9 hold content 0; three files each hold 1 and 2.
  EXPECT_EQ(ManifestOf(plan).payload_bytes,
            2 * (4 * shapes.at(0).bytes() + 3 * shapes.at(1).bytes() +
                 3 * shapes.at(2).bytes()));
}

TEST(SpecSourceOf, RepeatsShapesWithDistinct) {
  GeneratePlan plan = SmallPlan();
  plan.sizes.stdev = 10;
  plan.content.distinct = 3;
  const dataset::Shapes shapes = ShapesOf(plan);
  dataset::SpecSource source = SpecSourceOf(plan);
  source.shapes = &shapes;
  EXPECT_EQ(FileSpecOf(source, 8).index, 2U);
  EXPECT_EQ(FileSpecOf(source, 8).rows, shapes.at(2).rows);
  EXPECT_EQ(FileSpecOf(source, 14).index, 11U);
  EXPECT_EQ(FileSpecOf(source, 14).samples, 2U);
  EXPECT_EQ(FileSpecOf(source, 14).nominal_edge, 4U);
}

}  // namespace
}  // namespace stoker::generators
