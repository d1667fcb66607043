#include "run/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/run/support.h"

namespace stoker::run {
namespace {

using config::LoadedConfig;
using emulator::LoaderModel;
using emulator::PipelineShape;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Workload;

// 16 small files of npz, one step after the other.
LoadedConfig Small(std::vector<std::string> overrides, bool compat = false) {
  overrides.insert(
      overrides.begin(),
      {"dataset.num_files_train=16", "reader.batch_size=2", "train.epochs=2"});
  return Workload("unet3d_h100", std::move(overrides), compat);
}

RunPlan PlanOf(const LoadedConfig& config, std::uint32_t ranks) {
  auto plan = MakePlan(config, {.ranks = ranks});
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  return plan.ok() ? std::move(plan).value() : RunPlan{};
}

std::string ErrorOf(const LoadedConfig& config, std::uint32_t ranks) {
  const auto plan = MakePlan(config, {.ranks = ranks});
  EXPECT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), core::Code::kInvalidArgument);
  return std::string(plan.status().message());
}

TEST(MakePlan, Unet3dIsReadByTheIndexSampler) {
  const RunPlan plan = PlanOf(Workload("unet3d_h100"), 4);

  EXPECT_EQ(plan.shape, PipelineShape::kTorch);
  EXPECT_EQ(plan.steps, 6U);  // 168 files / 4 ranks / batches of 7
  EXPECT_EQ(plan.epochs, 5U);
  EXPECT_EQ(plan.eval_steps, 0U);
  EXPECT_EQ(plan.returned_bytes, 1448U * 1448U);  // edge: floor(sqrt(2 MiB))
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(MakePlan, RetinanetIsReadByTheIndexSampler) {
  // 1,170,301 files / 8 ranks / batches of 24 (32).
  const RunPlan b200 = PlanOf(Workload("retinanet_b200"), 8);
  EXPECT_EQ(b200.shape, PipelineShape::kTorch);
  EXPECT_EQ(b200.steps, 6095U);
  EXPECT_EQ(b200.epochs, 8U);
  EXPECT_EQ(b200.format->name(), "jpeg");
  EXPECT_EQ(PlanOf(Workload("retinanet_mi355"), 8).steps, 4571U);
}

TEST(MakePlan, Resnet50IsReadAsRecordsAndRoundsStepsDown) {
  const RunPlan plan =
      PlanOf(Workload("resnet50_h100", {"dataset.num_files_train=2557"}), 16);

  EXPECT_EQ(plan.shape, PipelineShape::kTfRecord);
  EXPECT_EQ(plan.steps, 499U);  // floor(1251 * 2557 / 400 / 16)
}

TEST(MakePlan, OtherFormatsUnderTensorflowComeFromGenerators) {
  const RunPlan plan = PlanOf(
      Workload("unet3d_h100",
               {"framework=tensorflow", "reader.data_loader=tensorflow"}),
      1);

  EXPECT_EQ(plan.shape, PipelineShape::kTfGenerator);
}

TEST(MakePlan, TheLoaderModelIsFoundByName) {
  EXPECT_EQ(PlanOf(Small({}), 1).model, LoaderModel::kDlioV2);
  const RunPlan v3 = PlanOf(Small({"reader.loader_model=dlio-v3"}), 1);
  EXPECT_EQ(v3.model, LoaderModel::kDlioV3);
  EXPECT_EQ(v3.shape, PipelineShape::kTorch);
  const RunPlan lean = PlanOf(Small({"reader.loader_model=lean"}), 1);
  EXPECT_EQ(lean.model, LoaderModel::kLean);
  EXPECT_EQ(lean.shape, PipelineShape::kShuffled);
  EXPECT_THAT(ErrorOf(Small({"reader.loader_model=dlio-v4"}), 1),
              HasSubstr("known: dlio-v2, dlio-v3, lean"));
}

TEST(MakePlan, LeanReadsRecordsToo) {
  const RunPlan plan = PlanOf(
      Workload("resnet50_h100",
               {"reader.loader_model=lean", "dataset.num_samples_per_file=1"}),
      1);
  EXPECT_EQ(plan.shape, PipelineShape::kShuffled);
}

TEST(MakePlan, DirectReadsAreRefusedWhereTheReferenceHasNone) {
  EXPECT_THAT(ErrorOf(Workload("resnet50_h100", {"reader.odirect=true"}), 1),
              HasSubstr("reader.odirect: the readers of tfrecord have no "
                        "O_DIRECT mode"));
}

TEST(MakePlan, LeanRefusesToReadAFileForEachOfItsSamples) {
  // Not even as the reference does.
  EXPECT_THAT(ErrorOf(Small({"reader.loader_model=lean",
                             "dataset.num_samples_per_file=4"},
                            /*compat=*/true),
                      1),
              HasSubstr("npz with 4 samples per file: the whole file is read "
                        "for every sample; remedy: "
                        "dataset.num_samples_per_file=1"));
}

TEST(MakePlan, RequestsOfLeanAreWholeBlocks) {
  EXPECT_THAT(ErrorOf(Small({"reader.request_bytes=5000"}), 1),
              HasSubstr("reader.request_bytes=5000 is not a multiple of 4096"));
}

TEST(TrainLoaderOptions, CarryTheKeysOfTheLoaderModels) {
  const LoadedConfig config =
      Small({"reader.loader_model=lean", "reader.request_bytes=2097152",
             "reader.byte_budget=1000000", "reader.pump_threads=3"},
            /*compat=*/true);
  const auto options = TrainLoaderOptions(config, PlanOf(config, 2), {});
  EXPECT_EQ(options.model, LoaderModel::kLean);
  EXPECT_EQ(options.request_bytes, 2097152U);
  EXPECT_EQ(options.byte_budget, 1000000U);
  EXPECT_EQ(options.pump_threads, 3U);
  EXPECT_FALSE(options.direct);
  EXPECT_FALSE(options.read_past_end);  // a habit of dlio-v2
}

TEST(MakePlan, TotalTrainingStepsLimitsEachEpochWithAWarning) {
  const RunPlan plan = PlanOf(Small({"train.total_training_steps=5"}), 1);

  EXPECT_EQ(plan.steps, 5U);  // of 16 / 2 = 8
  EXPECT_THAT(plan.warnings,
              ElementsAre(HasSubstr("limits each of the 2 epochs")));
}

TEST(MakePlan, StepsPerEpochLimitWinsAndNeedsNoWarning) {
  const RunPlan plan = PlanOf(
      Small({"train.total_training_steps=5", "train.steps_per_epoch_limit=3"}),
      1);

  EXPECT_EQ(plan.steps, 3U);
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(MakePlan, LimitBeyondTheDatasetIsAnErrorThatCountsTheSteps) {
  const std::string error = ErrorOf(Small({"train.total_training_steps=9"}), 1);

  EXPECT_THAT(error, HasSubstr("train.total_training_steps=9"));
  EXPECT_THAT(error, HasSubstr("the 8 steps"));
  EXPECT_THAT(ErrorOf(Small({"train.steps_per_epoch_limit=5"}), 2),
              HasSubstr("train.steps_per_epoch_limit=5 is more than the 4"));
}

TEST(MakePlan, TooFewFilesForABatchNameTheWayOut) {
  const std::string error = ErrorOf(Small({}), 9);  // 16 / 2 / 9 < 1

  EXPECT_THAT(error, HasSubstr("16 files / batch 2 / 9 ranks"));
  EXPECT_THAT(error, HasSubstr("dataset.num_files_train"));
}

TEST(MakePlan, WithoutTheWorkflowThereAreNoCheckpoints) {
  const RunPlan plan =
      PlanOf(Small({"checkpoint.checkpoint_after_epoch=1"}), 1);

  EXPECT_EQ(plan.saves, 0U);
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(MakePlan, CheckpointsByEpochsAreCounted) {
  // unet3d's own keys: after epoch 5, then every 2.
  const RunPlan plan =
      PlanOf(Small({"workflow.checkpoint=True", "train.epochs=8"}), 1);

  EXPECT_EQ(plan.checkpoints.steps_between, -1);
  EXPECT_EQ(plan.saves, 2U);  // 5, 7
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(MakePlan, CheckpointsByStepsAreCounted) {
  // 8 steps in each of 2 epochs.
  const RunPlan plan = PlanOf(Small({"workflow.checkpoint=True",
                                     "checkpoint.steps_between_checkpoints=3"}),
                              1);

  EXPECT_EQ(plan.saves, 4U);
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(MakePlan, WarnsOfCheckpointsThatNeverCome) {
  const RunPlan plan = PlanOf(Small({"workflow.checkpoint=True"}), 1);

  EXPECT_EQ(plan.saves, 0U);
  EXPECT_THAT(plan.warnings, ElementsAre(HasSubstr("2 epoch(s) of 8 steps")));
}

TEST(MakePlan, WarnsOfCheckpointsThatLeaveNoStepToCount) {
  const RunPlan plan = PlanOf(Small({"workflow.checkpoint=True",
                                     "checkpoint.steps_between_checkpoints=1"}),
                              1);

  EXPECT_EQ(plan.saves, 16U);
  EXPECT_THAT(plan.warnings,
              ElementsAre(HasSubstr("steps_between_checkpoints=1")));
}

TEST(MakePlan, CompatHasUnet3dsHiddenCheckpointUnlessAnOverrideSaysNo) {
  const std::vector<std::string> unet3d = {"model.name=unet3d",
                                           "train.epochs=5"};
  const RunPlan plan = PlanOf(Small(unet3d, true), 1);
  EXPECT_EQ(plan.saves, 1U);
  EXPECT_THAT(plan.warnings, ElementsAre(HasSubstr("workflow.checkpoint")));

  EXPECT_EQ(PlanOf(Small(unet3d), 1).saves, 0U);
  std::vector<std::string> off = unet3d;
  off.emplace_back("workflow.checkpoint=False");
  EXPECT_EQ(PlanOf(Small(off, true), 1).saves, 0U);
}

TEST(MakePlan, UnevenSharesAreAnErrorOnlyWhereTheReferenceWouldHang) {
  // 145 samples on 3 ranks: 49, 49 and 47, of which the last has 2 batches of
  // 16 only, while 145 / 16 / 3 = 3 steps are planned.
  const std::vector<std::string> uneven = {"dataset.num_files_train=145",
                                           "reader.batch_size=16"};

  EXPECT_EQ(PlanOf(Small(uneven), 3).steps, 3U);
  EXPECT_THAT(ErrorOf(Small(uneven, true), 3), HasSubstr("145 samples"));
}

TEST(MakePlan, RankThatCannotFillABatchOfRecordsIsNamed) {
  // 9 records / 4 / 2 ranks = 1 step, but rank 1 has one file of 3 records.
  const LoadedConfig config =
      Workload("resnet50_h100",
               {"dataset.num_files_train=3", "dataset.num_samples_per_file=3",
                "reader.batch_size=4"});

  EXPECT_THAT(ErrorOf(config, 2), HasSubstr("rank 1 has 3 records"));
}

TEST(MakePlan, OneStepIsAllowedButCountsForNothing) {
  const RunPlan plan = PlanOf(Small({}), 8);  // 16 / 2 / 8

  EXPECT_EQ(plan.steps, 1U);
  EXPECT_THAT(plan.warnings, ElementsAre(HasSubstr("no step counts")));
}

TEST(MakePlan, SeveralSamplesInAnNpzFileAreReadOverAndOverOnlyInCompat) {
  const std::vector<std::string> two{"dataset.num_samples_per_file=2"};

  EXPECT_THAT(ErrorOf(Small(two), 1), HasSubstr("--compat v2.0"));
  const RunPlan plan = PlanOf(Small(two, true), 1);
  EXPECT_EQ(plan.steps, 16U);
  EXPECT_THAT(plan.warnings,
              Contains(HasSubstr("whole file is read for every sample")));
}

TEST(MakePlan, LoadersThatAreNotEmulatedAreRefused) {
  EXPECT_THAT(ErrorOf(Small({"reader.data_loader=none"}), 1),
              HasSubstr("reader.data_loader"));
}

TEST(MakePlan, TheLogStaysInTheResultFolder) {
  EXPECT_THAT(ErrorOf(Small({"output.log_file=/tmp/x.log"}), 1),
              HasSubstr("output.log_file"));
}

TEST(MakePlan, EvaluationHasStepsOfItsOwn) {
  const std::vector<std::string> on = {"workflow.evaluation=True",
                                       "dataset.num_files_eval=14",
                                       "reader.batch_size_eval=3"};

  EXPECT_EQ(PlanOf(Small(on), 2).eval_steps, 2U);  // floor(14 / 3 / 2)
  EXPECT_THAT(ErrorOf(Small({"workflow.evaluation=True"}), 1),
              HasSubstr("dataset.num_files_eval"));
}

TEST(MakePlan, NothingIsCheckedThatIsNotTrained) {
  const RunPlan plan = PlanOf(
      Small({"workflow.train=False", "workflow.generate_data=True"}), 99);

  EXPECT_EQ(plan.steps, 0U);
}

TEST(LoaderOptions, CarryTheKeysOfTheReader) {
  const LoadedConfig config =
      Workload("cosmoflow_h100",
               {"reader.prefetch_size=5", "reader.transfer_size=4096",
                "reader.computation_threads=3", "dataset.num_files_train=64"});

  const emulator::LoaderOptions options = TrainLoaderOptions(
      config, PlanOf(config, 2), {.rank = 1, .seed = 7, .check = false});

  EXPECT_EQ(options.rank, 1U);
  EXPECT_EQ(options.steps, 32U);
  EXPECT_EQ(options.read_threads, 4U);
  EXPECT_EQ(options.computation_threads, 3U);
  EXPECT_EQ(options.prefetch_size, 5U);
  EXPECT_EQ(options.shuffle_size, 2U);
  EXPECT_EQ(options.transfer_size, 4096U);
  EXPECT_TRUE(options.shuffle_files);
  EXPECT_TRUE(options.shuffle_samples);
  EXPECT_EQ(options.seed, 7U);
  EXPECT_FALSE(options.check);
  EXPECT_FALSE(options.read_past_end);
}

TEST(LoaderOptions, CompatReadsPastTheEndAndForgetsToPreprocessRecords) {
  const std::vector<std::string> overrides = {"reader.preprocess_time=0.5",
                                              "dataset.num_files_train=64"};
  const LoadedConfig now = Workload("cosmoflow_h100", overrides);
  const LoadedConfig then = Workload("cosmoflow_h100", overrides, true);

  EXPECT_FALSE(TrainLoaderOptions(now, PlanOf(now, 1), {}).preprocess.IsZero());
  const auto old = TrainLoaderOptions(then, PlanOf(then, 1), {});
  EXPECT_TRUE(old.preprocess.IsZero());
  EXPECT_TRUE(old.read_past_end);
}

TEST(LoaderOptions, EvaluationHasItsOwnSet) {
  const LoadedConfig config =
      Small({"workflow.evaluation=True", "dataset.num_files_eval=14",
             "reader.batch_size_eval=3"});

  const auto options = EvalLoaderOptions(config, PlanOf(config, 2), {});

  EXPECT_EQ(options.order.files, 14U);
  EXPECT_EQ(options.order.batch_size, 3U);
  EXPECT_EQ(options.steps, 2U);
}

TEST(MakeTimeSource, EachRankAndPurposeHasAStreamOfItsOwn) {
  const LoadedConfig config = Small({});
  const config::TimeSpec jitter{
      .kind = config::TimeSpec::Kind::kUniform, .min = 0, .max = 1};

  auto rank0 = MakeTimeSource(config, jitter, 0, Purpose::kCompute);
  auto again = MakeTimeSource(config, jitter, 0, Purpose::kCompute);
  auto rank1 = MakeTimeSource(config, jitter, 1, Purpose::kCompute);
  auto eval0 = MakeTimeSource(config, jitter, 0, Purpose::kEval);

  const core::Nanos first = rank0.Next();
  EXPECT_EQ(again.Next(), first);
  EXPECT_NE(rank1.Next(), first);
  EXPECT_NE(eval0.Next(), first);
}

TEST(MakeTimeSource, CompatDrawsAlikeOnAllRanks) {
  const LoadedConfig config = Small({}, true);
  const config::TimeSpec jitter{.kind = config::TimeSpec::Kind::kExponential,
                                .scale = 0.1};

  auto rank0 = MakeTimeSource(config, jitter, 0, Purpose::kCompute);
  auto rank9 = MakeTimeSource(config, jitter, 9, Purpose::kCompute);

  EXPECT_EQ(rank0.Next(), rank9.Next());
  EXPECT_EQ(rank0.Next(), rank9.Next());
}

TEST(MakeTimeSource, ConstantsAreExact) {
  auto source = MakeTimeSource(
      Small({}), {.kind = config::TimeSpec::Kind::kConstant, .mean = 0.323}, 3,
      Purpose::kCompute);

  EXPECT_EQ(source.Next(), std::chrono::milliseconds(323));
}

TEST(DescribeTime, NamesTheDistribution) {
  using Kind = config::TimeSpec::Kind;

  EXPECT_EQ(DescribeTime({}), "0");
  EXPECT_EQ(DescribeTime({.kind = Kind::kConstant, .mean = 0.323}), "0.323");
  EXPECT_EQ(DescribeTime({.kind = Kind::kNormal, .mean = 0.5, .stdev = 0.25}),
            "normal(mean 0.5, stdev 0.25)");
  EXPECT_EQ(DescribeTime({.kind = Kind::kUniform, .min = 1, .max = 2}),
            "uniform(1 to 2)");
  EXPECT_EQ(DescribeTime({.kind = Kind::kGamma, .shape = 3, .scale = 0.1}),
            "gamma(shape 3, scale 0.1)");
  EXPECT_EQ(DescribeTime({.kind = Kind::kExponential, .scale = 0.2}),
            "exponential(scale 0.2)");
  EXPECT_EQ(DescribeTime({.kind = Kind::kPoisson, .lam = 4}), "poisson(lam 4)");
}

// What one of two ranks takes.
std::uint64_t RankBytes(const std::string& workload,
                        const std::vector<std::string>& overrides) {
  const auto bytes = LoaderBytesPerRank(Workload(workload, overrides), 2);
  EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
  return bytes.ok() ? bytes.value() : 0;
}

TEST(LoaderBytesPerRank, HoldsTheLargestFileInEachLaneWithDirectReads) {
  // The largest of the first 168 samples of unet3d has 301.6 MB, as numpy draws
  // them; one lane more or less is one such buffer and a batch of tensors.
  const std::uint64_t two = RankBytes(
      "unet3d_h100", {"reader.read_threads=2", "reader.odirect=true"});
  const std::uint64_t three = RankBytes(
      "unet3d_h100", {"reader.read_threads=3", "reader.odirect=true"});

  EXPECT_NEAR(static_cast<double>(three - two), 301601979.0 + 7.0 * 1448 * 1448,
              1e6);
}

TEST(LoaderBytesPerRank, GrowsWithLanesAndBy8BytesAFileWhereSizesVary) {
  const std::uint64_t few = RankBytes("unet3d_h100", {"reader.read_threads=2"});
  const std::uint64_t many =
      RankBytes("unet3d_h100", {"reader.read_threads=8"});
  const std::uint64_t larger =
      RankBytes("unet3d_h100",
                {"reader.read_threads=2", "dataset.num_files_train=100000"});

  EXPECT_EQ(larger, few + (100'000 - 168) * 8U);
  // A batch of 7 tensors for each further lane at least.
  EXPECT_GT(many, few + 6ULL * 7 * 1448 * 1448);
}

TEST(LoaderBytesPerRank, AFileOfManySamplesTakesNoMoreThanItsSample) {
  // 1 MiB samples, 1000 a file, batch 4, one lane: one sample (mapped: a
  // request of 256 KiB), two batches ahead and one being computed.
  constexpr std::uint64_t kSample = 1U << 20;
  for (const std::string format :
       {"indexed_binary", "mmap_indexed_binary", "hdf5"}) {
    const std::uint64_t buffer =
        format == "mmap_indexed_binary" ? 256U << 10 : kSample;
    EXPECT_EQ(
        RankBytes(
            "unet3d_h100",
            {"dataset.format=" + format, "dataset.record_length_bytes=1048576",
             "dataset.record_length_bytes_stdev=0",
             "dataset.record_length_bytes_resize=1048576",
             "dataset.num_samples_per_file=1000", "reader.batch_size=4",
             "reader.read_threads=1", "reader.prefetch_size=2"}),
        buffer + (2 + 1) * 4 * kSample)
        << format;
  }
}

TEST(LoaderBytesPerRank, CountsTheListsOfShuffledFilesAndSamples) {
  // tensorflow over npz: 1000 files for all ranks, 1000 / 3 / 2 = 166 batches
  // of 3 samples for each of two; 4 bytes each.
  const std::vector<std::string> shuffled = {
      "framework=tensorflow", "reader.data_loader=tensorflow",
      "dataset.num_files_train=1000", "reader.batch_size=3"};
  std::vector<std::string> plain = shuffled;
  plain.emplace_back("reader.file_shuffle=off");
  plain.emplace_back("reader.sample_shuffle=off");
  EXPECT_EQ(RankBytes("unet3d_h100", shuffled),
            RankBytes("unet3d_h100", plain) + 4 * (1000 + 166 * 3));
}

}  // namespace
}  // namespace stoker::run
