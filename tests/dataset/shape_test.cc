#include "dataset/shape.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace stoker::dataset {
namespace {

constexpr SizeModel kUnet3d = {
    .record_length = 146600628, .stdev = 68341808, .resize = 2097152};
constexpr SizeModel kCosmoflow = {
    .record_length = 2828486, .stdev = 71311, .resize = 0};
constexpr SizeModel kResnet50 = {
    .record_length = 114660.07, .stdev = 0, .resize = 150528};

// Computed with numpy's RandomState; see "about" in the file.
nlohmann::json NumpyFacts() {
  std::ifstream file(STOKER_SOURCE_DIR "/tests/data/numpy_legacy.json");
  return nlohmann::json::parse(file);
}

TEST(Shapes, EqualNumpysSequenceInEveryRecordedCase) {
  const nlohmann::json facts = NumpyFacts();
  ASSERT_EQ(facts.at("dims").size(), 3U);
  for (const nlohmann::json& facts_case : facts.at("dims")) {
    const SizeModel model = {
        .record_length = facts_case.at("record_length_bytes"),
        .stdev = facts_case.at("record_length_bytes_stdev")};
    const nlohmann::json& dims = facts_case.at("dims");
    ASSERT_EQ(facts_case.at("seed"), kSizeSeed);
    const Shapes shapes = Shapes::Make(model, dims.size());
    for (std::size_t i = 0; i < dims.size(); ++i) {
      ASSERT_EQ(shapes.at(i).rows, dims[i][0]) << facts_case.at("case") << i;
      ASSERT_EQ(shapes.at(i).columns, dims[i][1]) << facts_case.at("case") << i;
    }
  }
}

TEST(Shapes, Of168Unet3dFilesAddUpToTheReferencesDataset) {
  const Shapes shapes = Shapes::Make(kUnet3d, 168);
  EXPECT_EQ(shapes.at(0).bytes(), 224'093'125U);  // 15865 · 14125
  EXPECT_EQ(shapes.SumBytes(0, 168), 25'285'981'919U);
  EXPECT_EQ(shapes.MaxBytes(0, 168), 301'601'979U);
  std::uint64_t min = shapes.at(0).bytes();
  for (std::uint64_t i = 0; i < 168; ++i) {
    min = std::min(min, shapes.at(i).bytes());
  }
  EXPECT_EQ(min, 46'888'650U);
}

TEST(Shapes, Of524288CosmoflowFilesAddUpToTheReferencesDataset) {
  const Shapes shapes = Shapes::Make(kCosmoflow, 524'288);
  EXPECT_EQ(shapes.SumBytes(0, 524'288), 1'480'619'282'900U);
  EXPECT_EQ(shapes.MaxBytes(0, 524'288), 3'066'000U);
  std::uint64_t min = shapes.at(0).bytes();
  for (std::uint64_t i = 0; i < 524'288; ++i) {
    min = std::min(min, shapes.at(i).bytes());
  }
  EXPECT_EQ(min, 2'598'519U);
}

TEST(Shapes, OfAFileDoNotDependOnHowManyFollow) {
  const Shapes few = Shapes::Make(kUnet3d, 5);
  const Shapes many = Shapes::Make(kUnet3d, 50);
  for (std::uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(few.at(i).rows, many.at(i).rows);
    EXPECT_EQ(few.at(i).columns, many.at(i).columns);
  }
}

TEST(Shapes, WithoutStdevAreAllNominal) {
  const Shapes shapes = Shapes::Make(kResnet50, 1000);
  EXPECT_EQ(shapes.at(999).rows, 338U);
  EXPECT_EQ(shapes.at(999).columns, 338U);
  EXPECT_EQ(shapes.SumBytes(10, 7), 7U * 114'244U);
  EXPECT_EQ(shapes.MaxBytes(10, 7), 114'244U);
  EXPECT_EQ(shapes.MaxBytes(10, 0), 0U);
}

TEST(Shapes, AreTruncatedTowardZeroAndAtLeastOne) {
  // Edge 2 with stdev 1000 / 2 / √4 = 250. The first standard normals of seed
  // 10 are 1.3315865, 0.71527897, −1.54540029, −0.00838385, so the edges are
  // 334.9, 180.8, −384.4 and −0.096.
  const Shapes shapes = Shapes::Make({.record_length = 4, .stdev = 1000}, 2);
  EXPECT_EQ(shapes.at(0).rows, 334U);
  EXPECT_EQ(shapes.at(0).columns, 180U);
  EXPECT_EQ(shapes.at(1).rows, 1U);
  EXPECT_EQ(shapes.at(1).columns, 1U);
}

TEST(Shapes, SumsAndMaximaCoverTheRangeOnly) {
  const Shapes shapes = Shapes::Make(kCosmoflow, 4);
  // 1709·1696, 1648·1680, 1694·1665, 1686·1683
  EXPECT_EQ(shapes.SumBytes(1, 2), 2'768'640U + 2'820'510U);
  EXPECT_EQ(shapes.MaxBytes(1, 2), 2'820'510U);
  EXPECT_EQ(shapes.SumBytes(4, 0), 0U);
}

TEST(SizeModel, EdgesAreTheRootOfTheLength) {
  EXPECT_EQ(NominalEdge(kUnet3d), 12107U);
  EXPECT_EQ(NominalEdge(kCosmoflow), 1681U);
  EXPECT_EQ(NominalEdge(kResnet50), 338U);
}

TEST(SizeModel, EdgeStdevIsHalfTheLengthsOverTheRoot) {
  EXPECT_NEAR(EdgeStdev(kUnet3d), 2822.204975, 1e-5);
  EXPECT_NEAR(EdgeStdev(kCosmoflow), 21.200666, 1e-5);
  EXPECT_EQ(EdgeStdev(kResnet50), 0);
}

TEST(SizeModel, ReturnedTensorIsTheResizeOrTheNominalSquare) {
  EXPECT_EQ(ReturnedBytes(kUnet3d), 2'096'704U);     // 1448²
  EXPECT_EQ(ReturnedBytes(kResnet50), 149'769U);     // 387²
  EXPECT_EQ(ReturnedBytes(kCosmoflow), 2'825'761U);  // 1681²
}

TEST(ShapeCursor, GivesTheSameDimsInAnyOrder) {
  const Shapes shapes = Shapes::Make(kUnet3d, 200);
  ShapeCursor cursor(kUnet3d);
  for (const std::uint64_t file : {0U, 1U, 1U, 7U, 199U, 3U, 4U, 0U}) {
    EXPECT_EQ(cursor.At(file).rows, shapes.at(file).rows) << file;
    EXPECT_EQ(cursor.At(file).columns, shapes.at(file).columns) << file;
  }
  EXPECT_EQ(ShapeCursor(kResnet50).At(1'000'000).rows, 338U);
}

TEST(Shapes, OfASubsetAreThoseOfTheWhole) {
  const Shapes all = Shapes::Make(kCosmoflow, 30);  // 20 train, 10 eval files
  const Shapes some = Shapes::Make(
      kCosmoflow,
      {.train_files = 20, .valid_files = 10, .train_used = 5, .valid_used = 2});
  EXPECT_EQ(some.files(), 30U);
  for (const std::uint64_t file : {0U, 4U, 20U, 21U}) {
    EXPECT_EQ(some.at(file).bytes(), all.at(file).bytes()) << file;
  }
}

TEST(Shapes, WithDistinctAreThoseOfTheContents) {
  const Shapes all = Shapes::Make(kCosmoflow, 30);
  const Shapes linked = Shapes::Make(
      kCosmoflow, {.train_files = 20, .valid_files = 10, .distinct = 4});
  EXPECT_EQ(linked.at(3).bytes(), all.at(3).bytes());
  EXPECT_EQ(linked.at(7).bytes(), all.at(3).bytes());
  EXPECT_EQ(linked.at(20).bytes(), all.at(20).bytes());
  EXPECT_EQ(linked.at(29).bytes(), all.at(21).bytes());  // 9 mod 4 = 1
  EXPECT_EQ(linked.SumBytes(0, 20), 5 * all.SumBytes(0, 4));
}

TEST(Shapes, TakeEightBytesForEachContentInUseWhereSizesVary) {
  const ShapeSets sets{
      .train_files = 20, .valid_files = 10, .distinct = 4, .train_used = 3};
  // 3 of the train set, 4 of the other.
  EXPECT_EQ(Shapes::TableBytes(kCosmoflow, sets), 7U * 8);
  EXPECT_EQ(Shapes::Make(kCosmoflow, sets).table_bytes(), 7U * 8);
  EXPECT_TRUE(Shapes::Make(kCosmoflow, sets).vary());
  const SizeModel alike{.record_length = 1000};
  EXPECT_EQ(Shapes::TableBytes(alike, sets), 0U);
  EXPECT_EQ(Shapes::Make(alike, sets).table_bytes(), 0U);
  EXPECT_FALSE(Shapes::Make(alike, sets).vary());
}

TEST(RecordBytes, AreTheWholePartWhereAllFilesAreAlike) {
  EXPECT_EQ(RecordBytes({.record_length = 114660.07}), 114660U);
  EXPECT_EQ(RecordBytes({.record_length = 1000, .stdev = 1}), 0U);
}

TEST(ChunkEdge, IsTheRootRoundedUp) {
  EXPECT_EQ(ChunkEdge(0), 0U);
  EXPECT_EQ(ChunkEdge(1), 1U);
  EXPECT_EQ(ChunkEdge(2), 2U);
  EXPECT_EQ(ChunkEdge(1048576), 1024U);
  EXPECT_EQ(ChunkEdge(1048577), 1025U);
}

}  // namespace
}  // namespace stoker::dataset
