#include "rules/sizing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <string>

namespace stoker::rules {
namespace {

using config::DataLoader;
using config::TimeSpec;
using ::testing::DoubleNear;
using ::testing::HasSubstr;

config::WorkloadConfig Unet3dH100() {
  config::WorkloadConfig workload;
  workload.dataset.record_length_bytes = 146600628;
  workload.dataset.record_length_bytes_resize = 2097152;
  workload.reader.data_loader = DataLoader::kPytorch;
  workload.reader.batch_size = 7;
  workload.reader.read_threads = 4;
  workload.train.computation_time = {.kind = TimeSpec::Kind::kConstant,
                                     .mean = 0.323};
  workload.metric.au = 0.90;
  return workload;
}

config::WorkloadConfig Resnet50H100() {
  config::WorkloadConfig workload;
  workload.dataset.record_length_bytes = 114660.07;
  workload.dataset.num_samples_per_file = 1251;
  workload.reader.data_loader = DataLoader::kTensorflow;
  workload.reader.batch_size = 400;
  workload.train.computation_time = {.kind = TimeSpec::Kind::kConstant,
                                     .mean = 0.224};
  workload.metric.au = 0.90;
  return workload;
}

config::WorkloadConfig CosmoflowH100() {
  config::WorkloadConfig workload;
  workload.dataset.record_length_bytes = 2828486;
  workload.reader.data_loader = DataLoader::kTensorflow;
  workload.reader.batch_size = 1;
  workload.reader.read_threads = 4;
  workload.reader.sample_shuffle = config::Shuffle::kSeed;
  workload.reader.shuffle_size = 2;
  workload.train.computation_time = {.kind = TimeSpec::Kind::kConstant,
                                     .mean = 0.0035};
  workload.metric.au = 0.70;
  return workload;
}

// Values of the reference's own code for its three models.
struct SizingCase {
  const char* model;
  std::int64_t hosts;
  std::int64_t gib;
  std::int64_t accelerators;
  std::uint64_t by_memory;
  std::uint64_t by_steps;
  std::uint64_t files;
  std::uint64_t bytes;  // 0: files only
};

std::ostream& operator<<(std::ostream& out, const SizingCase& c) {
  return out << c.model << " " << c.hosts << "x" << c.gib << " GiB, "
             << c.accelerators;
}

class DatasetSizing : public ::testing::TestWithParam<SizingCase> {};

TEST_P(DatasetSizing, EqualsTheReference) {
  const SizingCase& c = GetParam();
  const std::string model = c.model;
  const config::WorkloadConfig workload = model == "unet3d" ? Unet3dH100()
                                          : model == "resnet50"
                                              ? Resnet50H100()
                                              : CosmoflowH100();

  const auto sizing =
      SizeDataset(SizingInputOf(workload, c.accelerators, c.hosts, c.gib));

  ASSERT_TRUE(sizing.ok()) << sizing.status().ToString();
  EXPECT_EQ(sizing.value().by_memory, c.by_memory);
  EXPECT_EQ(sizing.value().by_steps, c.by_steps);
  EXPECT_EQ(sizing.value().files, c.files);
  if (c.bytes != 0) {
    EXPECT_EQ(sizing.value().bytes, c.bytes);
  }
  EXPECT_EQ(sizing.value().binds, c.by_memory > c.by_steps
                                      ? SizingRule::kMemory
                                      : SizingRule::kSteps);
}

INSTANTIATE_TEST_SUITE_P(
    PublishedSizes, DatasetSizing,
    ::testing::Values(
        SizingCase{"unet3d", 1, 64, 1, 2343, 3500, 3500, 513102198000},
        SizingCase{"unet3d", 1, 64, 4, 2343, 14000, 14000, 2052408792000},
        SizingCase{"unet3d", 2, 128, 16, 9375, 56000, 56000, 0},
        SizingCase{"unet3d", 2, 256, 80, 18750, 280000, 280000, 0},
        SizingCase{"unet3d", 1, 256, 36, 9375, 126000, 126000, 18471679128000},
        SizingCase{"unet3d", 8, 512, 72, 150000, 252000, 252000,
                   36943358256000},
        SizingCase{"unet3d", 51, 256, 255, 478128, 892500, 892500,
                   130841060490000},
        SizingCase{"unet3d", 4, 1024, 512, 150000, 1792000, 1792000,
                   262708325376000},
        SizingCase{"resnet50", 1, 64, 1, 2395, 159, 2395, 343538195430},
        SizingCase{"resnet50", 1, 64, 16, 2395, 2557, 2557, 0},
        SizingCase{"resnet50", 2, 256, 80, 19163, 12789, 19163, 0},
        SizingCase{"resnet50", 1, 256, 36, 9581, 5755, 9581, 1374296221468},
        SizingCase{"resnet50", 8, 512, 72, 153306, 11510, 153306,
                   21990173940966},
        SizingCase{"resnet50", 51, 256, 255, 488664, 40767, 488664,
                   70093840806546},
        SizingCase{"resnet50", 4, 1024, 512, 153306, 81854, 153306,
                   21990173940966},
        SizingCase{"cosmoflow", 1, 64, 1, 121477, 500, 121477, 343595993822},
        SizingCase{"cosmoflow", 1, 64, 16, 121477, 8000, 121477, 0},
        SizingCase{"cosmoflow", 2, 256, 80, 971819, 40000, 971819, 0},
        SizingCase{"cosmoflow", 1, 256, 36, 485909, 18000, 485909,
                   1374386803774},
        SizingCase{"cosmoflow", 8, 512, 72, 7774559, 36000, 7774559,
                   21990231287674},
        SizingCase{"cosmoflow", 51, 256, 255, 24781408, 127500, 24781408,
                   70093865588288},
        SizingCase{"cosmoflow", 4, 1024, 512, 7774559, 256000, 7774559,
                   21990231287674}));

TEST(SizeDataset, RoundingDownMayLeave499Steps) {
  // 2557 files · 1251 samples / 400 / 16 = 499.8; 500 steps need
  // 500 · 16 · 400 = 3,200,000 samples = 2557.95 files.
  const auto sizing = SizeDataset(SizingInputOf(Resnet50H100(), 16, 1, 64));

  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing.value().steps_per_epoch, 499U);
  EXPECT_EQ(sizing.value().files_for_all_steps, 2558U);
}

TEST(SizeDataset, EnoughStepsNeedNoFurtherFiles) {
  const auto sizing = SizeDataset(SizingInputOf(Unet3dH100(), 4, 1, 64));

  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing.value().steps_per_epoch, 500U);
  EXPECT_EQ(sizing.value().files_for_all_steps, sizing.value().files);
}

TEST(SizeDataset, FractionalRecordsDivideWithoutLosingAWholeFile) {
  // Files of 1024.5 bytes. 5 · 4098 B hold exactly 20 of them; one byte of
  // memory less leaves 20,485 B = 19.995 files.
  const auto by_memory = [](std::uint64_t memory) {
    return SizeDataset({.record_length = 1024.5, .memory_bytes = memory})
        .value()
        .by_memory;
  };

  EXPECT_EQ(by_memory(4098), 20U);
  EXPECT_EQ(by_memory(4097), 19U);
}

TEST(SizeDataset, SubfoldersAreSuggestedAboveTenThousandFilesAndNeverOne) {
  // One sample per file, batch 1: by steps 500 files an accelerator.
  const auto files = [](std::int64_t accelerators) {
    return SizeDataset({.record_length = 100, .accelerators = accelerators})
        .value();
  };

  EXPECT_EQ(files(20).files, 10000U);
  EXPECT_EQ(files(20).subfolders, 0U);
  EXPECT_EQ(files(21).files, 10500U);
  EXPECT_EQ(files(21).subfolders, 2U);
  EXPECT_EQ(files(70).files, 35000U);
  EXPECT_EQ(files(70).subfolders, 3U);
}

TEST(SizeDataset, RefusesCountsBelowOneByName) {
  SizingInput input{.record_length = 100};
  input.batch_size = 0;

  const auto sizing = SizeDataset(input);

  EXPECT_EQ(sizing.status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(sizing.status().message()),
              HasSubstr("reader.batch_size is 0"));
}

TEST(SizeDataset, RefusesRecordLengthsThatAreNoSize) {
  for (const double length : {0.0, -5.0, 0.5, std::nan(""),
                              std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(SizeDataset({.record_length = length}).status().code(),
              core::Code::kInvalidArgument)
        << length;
  }
}

TEST(DemandPerHost, RateIsBatchTimesRecordOverComputeTime) {
  // 7 · 146,600,628 B / 0.323 s = 3,177,103,083 B/s = 3029.92 MiB/s; at 90 %
  // 2726.93 MiB/s.
  const HostDemand demand = DemandPerHost(Unet3dH100(), 1, 1);

  EXPECT_THAT(demand.bytes_per_second / 1048576, DoubleNear(3029.92, 0.005));
  EXPECT_THAT(demand.floor_bytes_per_second / 1048576,
              DoubleNear(2726.93, 0.005));
  EXPECT_THAT(demand.samples_per_second, DoubleNear(21.6718, 0.00005));
}

TEST(DemandPerHost, FloorFollowsTheWorkloadsUtilisation) {
  const HostDemand demand = DemandPerHost(CosmoflowH100(), 1, 1);

  EXPECT_THAT(demand.bytes_per_second / 1048576, DoubleNear(770.70, 0.005));
  EXPECT_THAT(demand.floor_bytes_per_second / 1048576,
              DoubleNear(539.49, 0.005));
}

TEST(DemandPerHost, FullestHostCounts) {
  // Five accelerators on two hosts: three and two.
  const HostDemand demand = DemandPerHost(Unet3dH100(), 5, 2);

  EXPECT_EQ(demand.accelerators, 3);
  EXPECT_THAT(demand.bytes_per_second / 1048576, DoubleNear(9089.76, 0.015));
}

TEST(DemandPerHost, FilesAreOpenedPerSampleOrPerFile) {
  // pytorch opens a file for each of 7 / 0.323 samples/s; tensorflow one for
  // 1251 samples: 400 / 0.224 / 1251 = 1.42743.
  EXPECT_THAT(DemandPerHost(Unet3dH100(), 1, 1).opens_per_second,
              DoubleNear(21.6718, 0.00005));
  EXPECT_THAT(DemandPerHost(Resnet50H100(), 1, 1).opens_per_second,
              DoubleNear(1.42743, 0.00001));
}

TEST(DemandPerHost, WithoutComputeTimeThereIsNoRateToAskFor) {
  config::WorkloadConfig workload = Unet3dH100();
  workload.train.computation_time = {};

  const HostDemand demand = DemandPerHost(workload, 2, 1);

  EXPECT_EQ(demand.bytes_per_second, 0);
  EXPECT_EQ(demand.opens_per_second, 0);
}

TEST(EpochSeconds, IsStepsTimesMeanComputeTime) {
  EXPECT_DOUBLE_EQ(EpochSeconds(Unet3dH100(), 500), 161.5);
}

TEST(MeanSeconds, FollowsTheDistribution) {
  using Kind = TimeSpec::Kind;
  EXPECT_EQ(MeanSeconds({}), 0);
  EXPECT_EQ(MeanSeconds({.kind = Kind::kNormal, .mean = 2, .stdev = 1}), 2);
  EXPECT_EQ(MeanSeconds({.kind = Kind::kUniform, .min = 1, .max = 4}), 2.5);
  EXPECT_EQ(MeanSeconds({.kind = Kind::kGamma, .shape = 3, .scale = 0.5}), 1.5);
  EXPECT_EQ(MeanSeconds({.kind = Kind::kExponential, .scale = 0.25}), 0.25);
  EXPECT_EQ(MeanSeconds({.kind = Kind::kPoisson, .lam = 7}), 7);
}

}  // namespace
}  // namespace stoker::rules
