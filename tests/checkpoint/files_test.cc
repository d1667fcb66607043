// What each rank writes: sizes and names of MLPerf Storage v2.0.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/model.h"
#include "tests/checkpoint/models.h"

namespace stoker::checkpoint {
namespace {

using stoker::testing::Case;
using stoker::testing::Llama1t;
using stoker::testing::Llama405b;
using stoker::testing::Llama70b;
using stoker::testing::Llama8b;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Counts = std::vector<std::uint64_t>;
using Part = ShardFile::Part;

std::vector<ShardFile> Files(const Case& run, std::uint32_t rank) {
  return FilesOf(run.model, run.layout, rank);
}

std::vector<std::string> Names(const Case& run, std::uint32_t rank) {
  std::vector<std::string> names;
  for (const ShardFile& file : Files(run, rank)) {
    names.push_back(file.name);
  }
  return names;
}

// Of the tensors with that group.
Counts Elements(const ShardFile& file, const std::string& group) {
  Counts counts;
  for (const TensorSpec& tensor : file.tensors) {
    if (tensor.group == group) {
      EXPECT_EQ(tensor.key, std::to_string(counts.size()));
      counts.push_back(tensor.elements);
    }
  }
  return counts;
}

void ExpectRanks(const Case& run, std::uint32_t first, std::uint32_t last,
                 std::uint64_t model, std::uint64_t optimizer) {
  for (std::uint32_t rank = first; rank < last; ++rank) {
    const CheckpointBytes bytes =
        BytesOfRanks(run.model, run.layout, rank, rank + 1);
    ASSERT_EQ(bytes.model, model) << rank;
    ASSERT_EQ(bytes.optimizer, optimizer) << rank;
  }
}

void ExpectAll(const Case& run, std::uint64_t model, std::uint64_t optimizer,
               std::uint64_t total, std::uint64_t files) {
  const CheckpointBytes bytes =
      BytesOfRanks(run.model, run.layout, 0, run.layout.ranks);
  EXPECT_EQ(bytes.model, model);
  EXPECT_EQ(bytes.optimizer, optimizer);
  EXPECT_EQ(bytes.total(), total);
  EXPECT_EQ(bytes.files, files);
  EXPECT_EQ(ReportedBytes(run.model, run.layout), total);
}

TEST(BytesOfRanks, EveryRankOfTheFourModels) {
  ExpectRanks(Llama8b(), 0, 8, 2'007'565'312, 12'045'637'632);
  ExpectRanks(Llama70b(), 0, 64, 2'184'120'320, 13'103'482'368);
  const Case b = Llama405b();
  ExpectRanks(b, 0, 8, 3'713'269'760, 9'513'171'840);
  ExpectRanks(b, 8, 240, 3'187'933'184, 9'513'171'840);
  ExpectRanks(b, 240, 248, 2'390'949'888, 9'513'171'840);
  ExpectRanks(b, 248, 256, 2'916'319'232, 9'513'171'840);
  ExpectRanks(b, 256, 512, 0, 9'513'171'840);
  const Case t = Llama1t();
  ExpectRanks(t, 0, 8, 5'425'047'936, 13'865'244'924);
  ExpectRanks(t, 8, 504, 4'595'488'128, 13'865'244'924);
  ExpectRanks(t, 504, 512, 5'425'099'680, 13'865'244'924);
  ExpectRanks(t, 512, 1024, 0, 13'865'244'924);
}

TEST(BytesOfRanks, WholeCheckpointsOfTheFourModels) {
  ExpectAll(Llama8b(), 16'060'522'496, 96'365'101'056, 112'425'623'552, 16);
  ExpectAll(Llama70b(), 139'783'700'480, 838'622'871'552, 978'406'572'032, 128);
  ExpectAll(Llama405b(), 811'764'809'728, 4'870'743'982'080, 5'682'508'791'808,
            1544);
  ExpectAll(Llama1t(), 2'366'163'292'416, 14'198'010'802'176,
            16'564'174'094'592, 2072);
}

TEST(BytesOfRanks, SubsetsAreTheFirstEightRanks) {
  Case b = Llama70b();
  b.layout.ranks = 8;
  EXPECT_EQ(ReportedBytes(b.model, b.layout), 122'300'821'504U);
  Case c = Llama405b();
  c.layout.ranks = 8;
  EXPECT_EQ(ReportedBytes(c.model, c.layout), 105'811'532'800U);
  Case t = Llama1t();
  t.layout.ranks = 8;
  EXPECT_EQ(ReportedBytes(t.model, t.layout), 154'322'342'880U);
}

TEST(FilesOf, ShardsOf8bHoldAllLayers) {
  const std::vector<ShardFile> files = Files(Llama8b(), 3);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].part, Part::kModel);
  EXPECT_EQ(files[0].tensors.size(), 195U);  // 32 * 6 + 3
  EXPECT_EQ(Elements(files[0], "0"), Counts{65'667'072});
  EXPECT_EQ(Elements(files[0], "1"),
            (Counts{512, 3'145'728, 2'097'152, 512, 14'680'064, 7'340'032}));
  EXPECT_EQ(Elements(files[0], "33"), Counts{65'667'072});
  EXPECT_EQ(Elements(files[0], "34"), Counts{512});
  EXPECT_EQ(files[1].part, Part::kOptimizer);
  EXPECT_EQ(Elements(files[1], ""),
            (Counts{1'003'782'656, 20'480, 1'003'782'656, 20'480, 1'003'782'656,
                    20'480}));
}

TEST(FilesOf, ShardsOf70b) {
  const std::vector<ShardFile> files = Files(Llama70b(), 21);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].tensors.size(), 483U);  // 80 * 6 + 3
  EXPECT_EQ(Elements(files[0], "0"), Counts{16'416'768});
  EXPECT_EQ(Elements(files[0], "80"),
            (Counts{1'024, 1'179'648, 1'048'576, 1'024, 7'340'032, 3'670'016}));
  EXPECT_EQ(Elements(files[0], "82"), Counts{1'024});
  EXPECT_EQ(Elements(files[1], "")[0], 1'091'915'904U);
  EXPECT_EQ(Elements(files[1], "")[1], 40'960U);
}

TEST(FilesOf, LayersOf405bHaveAFileEach) {
  const std::vector<ShardFile> first = Files(Llama405b(), 0);
  EXPECT_EQ(Elements(first[0], ""), Counts{262'668'288});
  EXPECT_EQ(first[0].payload_bytes(), 525'336'576U);
  EXPECT_EQ(Elements(first[1], ""), (Counts{16'384, 37'748'736, 33'554'432,
                                            16'384, 218'103'808, 109'051'904}));
  EXPECT_EQ(first[1].payload_bytes(), 796'983'296U);
  EXPECT_EQ(first[0].tensors[0].type, DataType::kFp16);
  const std::vector<ShardFile> last = Files(Llama405b(), 255);
  EXPECT_EQ(Elements(last[3], ""), Counts{262'668'288});
  EXPECT_EQ(Elements(last[4], ""), Counts{16'384});
  EXPECT_EQ(last[4].payload_bytes(), 32'768U);
  EXPECT_EQ(Elements(last[5], ""), (Counts{792'682'400, 81'920, 792'682'400,
                                           81'920, 792'682'400, 81'920}));
  EXPECT_EQ(last[5].tensors[0].type, DataType::kFp32);
}

TEST(FilesOf, LayersOf1t) {
  const std::vector<ShardFile> first = Files(Llama1t(), 0);
  EXPECT_EQ(first[0].payload_bytes(), 829'559'808U);
  EXPECT_EQ(Elements(first[1], ""), (Counts{25'872, 111'404'832, 83'670'048,
                                            25'872, 635'830'272, 317'915'136}));
  EXPECT_EQ(first[1].payload_bytes(), 2'297'744'064U);
  EXPECT_EQ(Elements(first[3], "")[0], 1'155'307'717U);
  EXPECT_EQ(Elements(first[3], "")[1], 129'360U);
  EXPECT_EQ(Files(Llama1t(), 504)[3].payload_bytes(), 51'744U);
}

TEST(FilesOf, NamesOfFullyShardedModels) {
  EXPECT_THAT(Names(Llama8b(), 3),
              ElementsAre("zero_pp_rank_3_mp_rank_0_model_states.pt",
                          "zero_pp_rank_3_mp_rank_0_optim_states.pt"));
  EXPECT_THAT(Names(Llama70b(), 21),
              ElementsAre("zero_pp_rank_2_mp_rank_5_model_states.pt",
                          "zero_pp_rank_2_mp_rank_5_optim_states.pt"));
}

TEST(FilesOf, NamesOf405b) {
  const Case run = Llama405b();
  EXPECT_THAT(Names(run, 0),
              ElementsAre("layer_0-model_0_model_states.pt",
                          "layer_1-model_0_model_states.pt",
                          "layer_2-model_0_model_states.pt",
                          "layer_3-model_0_model_states.pt",
                          "layer_4-model_0_model_states.pt",
                          "zero_pp_rank_0_mp_rank_0_optim_states.pt"));
  EXPECT_THAT(Names(run, 7),
              ElementsAre("layer_0-model_7_model_states.pt",
                          "layer_1-model_7_model_states.pt",
                          "layer_2-model_7_model_states.pt",
                          "layer_3-model_7_model_states.pt",
                          "layer_4-model_7_model_states.pt",
                          "zero_pp_rank_0_mp_rank_7_optim_states.pt"));
  EXPECT_THAT(Names(run, 8),
              ElementsAre("layer_5-model_8_model_states.pt",
                          "layer_6-model_8_model_states.pt",
                          "layer_7-model_8_model_states.pt",
                          "layer_8-model_8_model_states.pt",
                          "zero_pp_rank_0_mp_rank_8_optim_states.pt"));
  EXPECT_THAT(Names(run, 239),
              ElementsAre("layer_117-model_239_model_states.pt",
                          "layer_118-model_239_model_states.pt",
                          "layer_119-model_239_model_states.pt",
                          "layer_120-model_239_model_states.pt",
                          "zero_pp_rank_0_mp_rank_239_optim_states.pt"));
  EXPECT_THAT(Names(run, 240),
              ElementsAre("layer_121-model_240_model_states.pt",
                          "layer_122-model_240_model_states.pt",
                          "layer_123-model_240_model_states.pt",
                          "zero_pp_rank_0_mp_rank_240_optim_states.pt"));
  EXPECT_THAT(Names(run, 255),
              ElementsAre("layer_124-model_255_model_states.pt",
                          "layer_125-model_255_model_states.pt",
                          "layer_126-model_255_model_states.pt",
                          "layer_127-model_255_model_states.pt",
                          "layer_128-model_255_model_states.pt",
                          "zero_pp_rank_0_mp_rank_255_optim_states.pt"));
  EXPECT_THAT(Names(run, 256),
              ElementsAre("zero_pp_rank_1_mp_rank_0_optim_states.pt"));
  EXPECT_THAT(Names(run, 511),
              ElementsAre("zero_pp_rank_1_mp_rank_255_optim_states.pt"));
}

TEST(FilesOf, NamesOf1t) {
  const Case run = Llama1t();
  EXPECT_THAT(Names(run, 0),
              ElementsAre("layer_0-model_0_model_states.pt",
                          "layer_1-model_0_model_states.pt",
                          "layer_2-model_0_model_states.pt",
                          "zero_pp_rank_0_mp_rank_0_optim_states.pt"));
  EXPECT_THAT(Names(run, 503),
              ElementsAre("layer_125-model_503_model_states.pt",
                          "layer_126-model_503_model_states.pt",
                          "zero_pp_rank_0_mp_rank_503_optim_states.pt"));
  EXPECT_THAT(Names(run, 504),
              ElementsAre("layer_127-model_504_model_states.pt",
                          "layer_128-model_504_model_states.pt",
                          "layer_129-model_504_model_states.pt",
                          "layer_130-model_504_model_states.pt",
                          "zero_pp_rank_0_mp_rank_504_optim_states.pt"));
  EXPECT_THAT(Names(run, 1023),
              ElementsAre("zero_pp_rank_1_mp_rank_511_optim_states.pt"));
}

// Two copies of a model on two tensor-parallel ranks.
Case Small(std::uint32_t zero_stage) {
  Case run;
  run.model.type = "transformer";
  run.model.layers = 2;
  run.model.hidden = 8;
  run.model.ffn_hidden = 16;
  run.model.attention_heads = 2;
  run.model.kv_heads = 2;
  run.model.vocabulary = 10;
  run.layout = {.ranks = 4, .tensor = 2, .data = 2, .zero_stage = zero_stage};
  return run;
}

TEST(FilesOf, WithoutShardingTheFirstCopySavesAll) {
  const Case run = Small(0);
  EXPECT_THAT(Names(run, 1),
              ElementsAre("zero_pp_rank_0_mp_rank_1_model_states.pt",
                          "zero_pp_rank_0_mp_rank_1_optim_states.pt"));
  EXPECT_THAT(Files(run, 2), IsEmpty());
  // Parameters: 2 * 10 * 8 + 2 * (16 + 8 * 24 + 64 + 3 * 8 * 16) + 8 = 1480;
  // the optimizer's share is half of them, not a quarter.
  EXPECT_EQ(Elements(Files(run, 0)[1], ""),
            (Counts{740, 40, 740, 40, 740, 40}));
}

TEST(FilesOf, OneStageOfShardedOptimizersHasOneModelFile) {
  for (const std::uint32_t zero_stage : {1U, 2U}) {
    const Case run = Small(zero_stage);
    EXPECT_THAT(Names(run, 1),
                ElementsAre("model_1_model_states.pt",
                            "zero_pp_rank_0_mp_rank_1_optim_states.pt"));
    EXPECT_THAT(Names(run, 3),
                ElementsAre("zero_pp_rank_1_mp_rank_1_optim_states.pt"));
    // 8 * 24 / 2, 64 / 2, 2 * 8 * 16 / 2, 8 * 16 / 2; norms are not divided.
    EXPECT_EQ(Elements(Files(run, 1)[0], "1"), (Counts{8, 96, 32, 8, 128, 64}));
    EXPECT_EQ(Elements(Files(run, 1)[1], "")[0], 370U);
  }
}

TEST(FilesOf, FullShardingDividesByTensorThenByCopies) {
  const Case run = Small(3);
  EXPECT_EQ(Elements(Files(run, 3)[0], "1"), (Counts{4, 48, 16, 4, 64, 32}));
  EXPECT_EQ(Elements(Files(run, 3)[0], "3"), Counts{20});
}

TEST(FilesOf, TypesAreThoseConfigured) {
  Case run = Small(3);
  run.model.model_type = DataType::kBf16;
  run.model.optimizer_type = DataType::kFp64;
  const std::vector<ShardFile> files = Files(run, 0);
  EXPECT_EQ(files[0].tensors[0].type, DataType::kBf16);
  EXPECT_EQ(files[1].payload_bytes(), 8U * 3 * (370 + 40));
}

TEST(FilesOf, ModelsThatAreNoTransformerHaveBytes) {
  Case run;
  run.model.type = "cnn";
  run.model.model_size_bytes = 499'153'191;
  const std::vector<ShardFile> files = Files(run, 0);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].name, "model_states-0.pt");
  EXPECT_EQ(files[0].tensors,
            (std::vector<TensorSpec>{{"", "a", DataType::kInt8, 499'153'191}}));
  run.layout.ranks = run.layout.data = 3;
  run.layout.zero_stage = 1;
  EXPECT_EQ(BytesOfRanks(run.model, run.layout, 0, 3).model, 1'497'459'573U);
  EXPECT_EQ(ReportedBytes(run.model, run.layout), 499'153'191U);
}

TEST(FilesOf, LegacyLayersAndGroups) {
  Case run;
  run.model.type = "transformer";
  run.model.layers = 4;
  run.model.layer_parameters = {100, 0, 7};
  run.model.optimization_groups = {5, 0, 3};
  run.layout = {.ranks = 4, .tensor = 2, .pipeline = 2, .zero_stage = 1};
  const std::vector<ShardFile> files = Files(run, 3);
  EXPECT_THAT(Names(run, 3),
              ElementsAre("layer_3-model_3_model_states.pt",
                          "layer_4-model_3_model_states.pt",
                          "zero_pp_rank_0_mp_rank_3_optim_states.pt"));
  EXPECT_EQ(files[0].tensors,
            (std::vector<TensorSpec>{{"", "0", DataType::kInt8, 50},
                                     {"", "2", DataType::kInt8, 3}}));
  EXPECT_EQ(files[2].tensors,
            (std::vector<TensorSpec>{{"0", "a", DataType::kInt8, 5},
                                     {"0", "b", DataType::kInt8, 5},
                                     {"2", "a", DataType::kInt8, 3},
                                     {"2", "b", DataType::kInt8, 3},
                                     {"", "combined", DataType::kInt8, 8}}));
  EXPECT_EQ(ReportedBytes(run.model, run.layout), 0U);
}

}  // namespace
}  // namespace stoker::checkpoint
