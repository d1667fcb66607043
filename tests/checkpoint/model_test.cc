#include "checkpoint/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/checkpoint/models.h"

namespace stoker::checkpoint {
namespace {

using stoker::testing::Case;
using stoker::testing::Llama1t;
using stoker::testing::Llama405b;
using stoker::testing::Llama70b;
using stoker::testing::Llama8b;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<std::uint64_t>;

std::vector<std::uint64_t> Stage(const Case& run, std::uint32_t stage) {
  return LayersOf(run.model, run.layout, stage);
}

void ExpectRefused(const Case& run, bool subset,
                   const std::vector<std::string>& words) {
  const core::Status status = CheckLayout(run.model, run.layout, subset);
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  for (const std::string& word : words) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(word));
  }
}

TEST(DataType, NamesAndSizes) {
  const std::vector<std::pair<std::string_view, std::uint64_t>> rows{
      {"int8", 1}, {"uint8", 1}, {"fp16", 2},
      {"bf16", 2}, {"fp32", 4},  {"fp64", 8}};
  for (const auto& [name, bytes] : rows) {
    const core::Result<DataType> type = ParseDataType(name);
    ASSERT_TRUE(type.ok()) << name;
    EXPECT_EQ(NameOf(type.value()), name);
    EXPECT_EQ(BytesOf(type.value()), bytes);
  }
}

TEST(DataType, UnknownNameIsRefusedWithAllNames) {
  const core::Status status = ParseDataType("fp8").status();
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("int8, uint8, fp16, bf16, fp32, fp64"));
}

TEST(CoordinatesOf, TensorRunsFastestThenPipelineThenData) {
  // 21 = 2 * 8 + 5; 265 = 1 * 256 + 1 * 8 + 1; 1023 = 1 * 512 + 63 * 8 + 7.
  const Coordinates a = CoordinatesOf(Llama70b().layout, 21);
  EXPECT_THAT((std::vector{a.tensor, a.pipeline, a.data, a.model}),
              ElementsAre(5, 0, 2, 5));
  const Coordinates b = CoordinatesOf(Llama405b().layout, 265);
  EXPECT_THAT((std::vector{b.tensor, b.pipeline, b.data, b.model}),
              ElementsAre(1, 1, 1, 9));
  const Coordinates c = CoordinatesOf(Llama1t().layout, 1023);
  EXPECT_THAT((std::vector{c.tensor, c.pipeline, c.data, c.model}),
              ElementsAre(7, 63, 1, 511));
}

TEST(LayersOf, FirstStagesHaveTheBlocksThatAreOver) {
  // 126 = 32 * 3 + 30: thirty stages of four, two of three.
  const Case run = Llama405b();
  EXPECT_EQ(Stage(run, 0), (Ids{0, 1, 2, 3, 4}));
  EXPECT_EQ(Stage(run, 1), (Ids{5, 6, 7, 8}));
  EXPECT_EQ(Stage(run, 29), (Ids{117, 118, 119, 120}));
  EXPECT_EQ(Stage(run, 30), (Ids{121, 122, 123}));
  EXPECT_EQ(Stage(run, 31), (Ids{124, 125, 126, 127, 128}));
}

TEST(LayersOf, EvenStages) {
  const Case run = Llama1t();
  EXPECT_EQ(Stage(run, 0), (Ids{0, 1, 2}));
  EXPECT_EQ(Stage(run, 17), (Ids{35, 36}));
  EXPECT_EQ(Stage(run, 63), (Ids{127, 128, 129, 130}));
}

TEST(LayersOf, OneStageHasAll) {
  const Ids ids = Stage(Llama70b(), 0);
  ASSERT_EQ(ids.size(), 83U);
  EXPECT_EQ(ids.front(), 0U);
  EXPECT_EQ(ids.back(), 82U);
}

TEST(LayersOf, LegacyLayersAreBlocksOnly) {
  Case run;
  run.model.layers = 5;
  run.model.layer_parameters = {10};
  run.layout.pipeline = 2;
  EXPECT_EQ(Stage(run, 0), (Ids{1, 2, 3}));
  EXPECT_EQ(Stage(run, 1), (Ids{4, 5}));
}

TEST(LayersOf, NoneWithoutLayers) { EXPECT_EQ(Stage(Case{}, 0), Ids{}); }

TEST(ParametersOf, CountsTheFourModels) {
  EXPECT_EQ(ParametersOf(Llama8b().model), 8'030'261'248U);
  EXPECT_EQ(ParametersOf(Llama70b().model), 69'882'617'856U);
  EXPECT_EQ(ParametersOf(Llama405b().model), 405'853'388'800U);
  EXPECT_EQ(ParametersOf(Llama1t().model), 1'183'035'102'480U);
  EXPECT_EQ(ParametersOf(ModelSpec{}), 0U);
}

TEST(StepFolder, NamesEpochAndStep) {
  EXPECT_EQ(StepFolder(1, 10), "global_epoch1_step10");
}

TEST(CheckLayout, TakesTheFourModels) {
  for (const Case& run : {Llama8b(), Llama70b(), Llama405b(), Llama1t()}) {
    EXPECT_TRUE(CheckLayout(run.model, run.layout, false).ok());
  }
}

TEST(CheckLayout, TakesTheFirstRanksOfALargerJob) {
  for (Case run : {Llama70b(), Llama405b(), Llama1t()}) {
    run.layout.ranks = 8;
    EXPECT_TRUE(CheckLayout(run.model, run.layout, true).ok());
    EXPECT_FALSE(CheckLayout(run.model, run.layout, false).ok());
  }
}

TEST(CheckLayout, TakesAHundredThousandRanks) {
  Case run = Llama1t();
  run.layout.ranks = 512 * 200;
  run.layout.data = 200;
  EXPECT_TRUE(CheckLayout(run.model, run.layout, false).ok());
}

TEST(CheckLayout, FewerLayersThanStages) {
  Case run = Llama405b();
  run.model.layers = 31;
  ExpectRefused(run, false,
                {"model.num_layers is 31", "32 stages",
                 "model.parallelism.pipeline", "at most 31"});
}

TEST(CheckLayout, StagesWithFullSharding) {
  Case run = Llama405b();
  run.layout.zero_stage = 3;
  ExpectRefused(run, false,
                {"model.parallelism.zero_stage 3",
                 "model.parallelism.pipeline 32", "at most 2"});
}

TEST(CheckLayout, UnknownZeroStage) {
  Case run = Llama8b();
  run.layout.zero_stage = 4;
  ExpectRefused(run, false,
                {"model.parallelism.zero_stage is 4", "0, 1, 2 or 3"});
}

TEST(CheckLayout, RanksThatFillNoCopy) {
  Case run = Llama405b();
  run.layout.ranks = 300;
  run.layout.data = 1;
  ExpectRefused(run, false,
                {"300 ranks", "256 (model.parallelism.tensor 8 * pipeline 32)",
                 "start 256 ranks", "checkpoint.mode"});
}

TEST(CheckLayout, CopiesSetWithoutSubset) {
  Case run = Llama70b();
  run.layout.data = 4;
  ExpectRefused(run, false,
                {"model.parallelism.data is 4", "64 ranks make 8 copies",
                 "checkpoint.mode"});
}

TEST(CheckLayout, SubsetNeedsTheCopiesOfTheWholeJob) {
  Case run = Llama70b();
  run.layout.data = 0;
  ExpectRefused(run, true,
                {"checkpoint.mode subset", "model.parallelism.data"});
}

TEST(CheckLayout, SubsetLargerThanTheJob) {
  Case run = Llama70b();
  run.layout.ranks = 65;
  ExpectRefused(run, true,
                {"65 ranks", "checkpoint.mode subset", "job has 64"});
}

TEST(CheckLayout, DivisorsOfZero) {
  Case run = Llama8b();
  run.layout.tensor = 0;
  ExpectRefused(run, false, {"model.parallelism.tensor is 0", "at least 1"});
  run = Llama8b();
  run.model.attention_heads = 0;
  ExpectRefused(run, false,
                {"model.transformer.num_attention_heads is 0", "at least 1"});
}

TEST(CheckLayout, SizesThatDoNotFitIn64Bits) {
  Case run = Llama8b();
  run.model.hidden = 1ULL << 40;
  ExpectRefused(run, false, {"more than 2^62 bytes", "model.transformer"});
  run = Llama8b();
  run.model.layers = 1'000'000;
  ExpectRefused(run, false, {"model.num_layers is 1000000", "at most 100000"});
  run = Llama8b();
  run.model.optimization_groups = {1ULL << 62};
  ExpectRefused(run, false,
                {"more than 2^62 bytes", "model.optimization_groups"});
}

}  // namespace
}  // namespace stoker::checkpoint
