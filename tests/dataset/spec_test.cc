#include "dataset/spec.h"

#include <gtest/gtest.h>

namespace stoker::dataset {
namespace {

constexpr SizeModel kSizes = {.record_length = 10000, .stdev = 3000};

TEST(DistinctFiles, IsTheSmallerOfTheTwoAndAllWithoutALimit) {
  EXPECT_EQ(DistinctFiles(10, 0), 10U);
  EXPECT_EQ(DistinctFiles(10, 3), 3U);
  EXPECT_EQ(DistinctFiles(10, 10), 10U);
  EXPECT_EQ(DistinctFiles(10, 30), 10U);
  EXPECT_EQ(DistinctFiles(0, 3), 0U);
}

TEST(FileSpecOf, TakesShapeAndContentOfTheFileItself) {
  const Shapes shapes = Shapes::Make(kSizes, 12);
  const SpecSource source = {.shapes = &shapes,
                             .train_files = 10,
                             .samples_per_file = 5,
                             .nominal_edge = NominalEdge(kSizes)};
  const formats::FileSpec spec = FileSpecOf(source, 11);
  EXPECT_EQ(spec.index, 11U);
  EXPECT_EQ(spec.samples, 5U);
  EXPECT_EQ(spec.rows, shapes.at(11).rows);
  EXPECT_EQ(spec.columns, shapes.at(11).columns);
  EXPECT_EQ(spec.nominal_edge, 100U);
}

TEST(FileSpecOf, RepeatsContentsWithinEachSet) {
  const Shapes shapes = Shapes::Make(kSizes, 15);
  const SpecSource source = {
      .shapes = &shapes, .train_files = 10, .distinct = 3};
  EXPECT_EQ(FileSpecOf(source, 2).index, 2U);
  EXPECT_EQ(FileSpecOf(source, 7).index, 1U);
  EXPECT_EQ(FileSpecOf(source, 7).rows, shapes.at(1).rows);
  EXPECT_EQ(FileSpecOf(source, 9).index, 0U);
  // Eval files 0 … 4 have generation indexes 10 … 14.
  EXPECT_EQ(FileSpecOf(source, 10).index, 10U);
  EXPECT_EQ(FileSpecOf(source, 14).index, 11U);
  EXPECT_EQ(FileSpecOf(source, 14).columns, shapes.at(11).columns);
}

TEST(FileSpecOf, HasNoRepeatsWithMoreContentsThanFiles) {
  const Shapes shapes = Shapes::Make(kSizes, 6);
  const SpecSource source = {
      .shapes = &shapes, .train_files = 4, .distinct = 100};
  for (std::uint64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(FileSpecOf(source, i).index, i);
  }
}

}  // namespace
}  // namespace stoker::dataset
