#include "run/sizing_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "reporting/json.h"
#include "tests/run/support.h"

namespace stoker::run {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Workload;

std::string Datasize(const config::LoadedConfig& config, std::string_view model,
                     std::int64_t accelerators, std::int64_t memory_gib) {
  const auto text =
      DescribeDatasize({.config = &config,
                        .model = std::string(model),
                        .accelerators = accelerators,
                        .hosts = 1,
                        .memory_gib_per_host = memory_gib,
                        .data_dir = "/mnt/data",
                        .results_dir = "results",
                        .params = " --params reader.read_threads=8",
                        .host_list = "a"});
  EXPECT_TRUE(text.ok()) << text.status().ToString();
  return text.ok() ? text.value() : "";
}

TEST(DescribeDatasize, WarnsWhereRoundingDownLeaves499Steps) {
  const std::string text =
      Datasize(Workload("resnet50_h100"), "resnet50", 16, 64);

  // 500 * 16 * 400 / 1251 = 2557.95
  EXPECT_THAT(text, AllOf(HasSubstr("Files by memory: 2395\n"),
                          HasSubstr("Files by steps: 2557\n"),
                          HasSubstr("Minimum number of files: 2557\n"),
                          HasSubstr("500 steps per epoch"),
                          HasSubstr("leaves 499 steps; 2558 files have 500")));
}

TEST(DescribeDatasize, NamesFilesBytesAndTheNextCommand) {
  const std::string text = Datasize(Workload("unet3d_h100"), "unet3d", 4, 64);

  EXPECT_THAT(text, AllOf(HasSubstr("Files by memory: 2343\n"),
                          HasSubstr("Minimum number of files: 14000\n"),
                          HasSubstr("(2052408792000 bytes)"),
                          // 2052408792000 / 2^30
                          HasSubstr("Disk space: 1911.45 GiB"),
                          HasSubstr("Steps per epoch: 500\n"),
                          Not(HasSubstr("warning"))));
  EXPECT_THAT(
      text,
      HasSubstr(
          "stoker training datagen --hosts=a --model=unet3d --params "
          "reader.read_threads=8 --params dataset.num_files_train=14000 "
          "--num-processes=4 --results-dir=results --data-dir=/mnt/data"));
}

TEST(DescribeDatasize, SaysWhatARunAsksOfAHost) {
  const std::string text = Datasize(Workload("unet3d_h100"), "unet3d", 4, 64);

  // 4 * 7 * 146600628 B / 0.323 s = 12708413573 B/s = 11.836 GiB/s, 90 % of
  // which are 10.652; 28 / 0.323 = 86.69 samples, as many files.
  EXPECT_THAT(text, AllOf(HasSubstr("11.84 GiB/s while no accelerator waits"),
                          HasSubstr("10.65 GiB/s at the utilisation floor of "
                                    "90 %"),
                          HasSubstr("86.7 samples/s, 86.7 files opened")));
  // 500 steps of 0.323 s
  EXPECT_THAT(text, HasSubstr("An epoch takes 2 min 4"));
}

TEST(DescribeDatasize, MemoryMayBindAndManyFilesGetAHint) {
  const std::string text =
      Datasize(Workload("cosmoflow_h100"), "cosmoflow", 16, 64);

  EXPECT_THAT(text, AllOf(HasSubstr("Minimum number of files: 121477\n"),
                          HasSubstr("5 times the memory"),
                          HasSubstr("dataset.num_subfolders_train=12 ")));
}

TEST(DescribePlan, TellsStepsPlaceAndDemandPerHost) {
  const auto plan = DescribePlan(
      Workload("unet3d_h100", {"dataset.num_files_train=42000"}), 8, 2, "/d/x");

  ASSERT_TRUE(plan.ok());
  // 42000 / 7 / 8 = 750 steps; the demand is that of 4 accelerators.
  EXPECT_THAT(plan.value().text,
              AllOf(HasSubstr("8 ranks, 5 epochs of 750 steps, batch 7"),
                    HasSubstr("42000 files of 1 sample(s) in /d/x"),
                    HasSubstr("11.84 GiB/s while no accelerator waits")));
  EXPECT_FALSE(plan.value().text.ends_with('\n'));
}

TEST(DescribePlan, ProgramsGetItsNumbers) {
  const auto plan =
      DescribePlan(Workload("cosmoflow_h100", {"dataset.num_files_train=8000"}),
                   16, 2, "/d/x");

  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan.value().name, "plan");
  const reporting::Json fields(plan.value().fields);
  const auto number = [&fields](std::string_view key) {
    return reporting::NumberField(fields, key);
  };
  EXPECT_EQ(number("ranks"), 16);
  EXPECT_EQ(number("hosts"), 2);
  EXPECT_EQ(number("epochs"), 5);
  EXPECT_EQ(number("steps"), 500);  // 8000 / 16, batch 1
  EXPECT_EQ(number("files"), 8000);
  EXPECT_EQ(number("bytes"), 8000.0 * 2828486);
  EXPECT_EQ(number("host_accelerators"), 8);
  // 8 batches of one each 3.5 ms.
  EXPECT_DOUBLE_EQ(number("host_samples_per_s").value_or(0), 8 / 0.00350);
  EXPECT_DOUBLE_EQ(number("host_gib_per_s").value_or(0),
                   8 / 0.00350 * 2828486 / (1 << 30));
  EXPECT_EQ(reporting::TextField(fields, "storage_uri"), "/d/x");
}

TEST(DescribePlan, FailsAsTheRunWould) {
  EXPECT_FALSE(DescribePlan(Workload("unet3d_h100"), 999, 1, "/d").ok());
}

// 64 GiB and 4 accelerators of unet3d ask for 14000 files.
AdmissionRequest Request(const config::LoadedConfig& config,
                         Division division) {
  return {.config = &config,
          .model = "unet3d",
          .accelerator = "h100",
          .accelerators = 4,
          .hosts = 1,
          .memory_gib_per_host = 64,
          .division = division};
}

TEST(AdmitRun, ClosedRunsStartInAnyDivision) {
  const auto config = Workload("unet3d_h100", {"dataset.num_files_train=14000",
                                               "reader.read_threads=8"});

  for (const Division division :
       {Division::kNone, Division::kClosed, Division::kOpen}) {
    const Admission admission = AdmitRun(Request(config, division));
    EXPECT_TRUE(admission.status.ok());
    EXPECT_EQ(admission.verification, "closed");
    EXPECT_THAT(admission.summary, IsEmpty());
    EXPECT_THAT(admission.findings, IsEmpty());
  }
}

TEST(AdmitRun, OpenRunsStartUnlessClosedIsAskedFor) {
  const auto config = Workload("unet3d_h100", {"dataset.num_files_train=14000",
                                               "reader.data_loader=pytorch"});

  EXPECT_TRUE(AdmitRun(Request(config, Division::kNone)).status.ok());
  EXPECT_TRUE(AdmitRun(Request(config, Division::kOpen)).status.ok());
  const Admission closed = AdmitRun(Request(config, Division::kClosed));
  EXPECT_FALSE(closed.status.ok());
  EXPECT_EQ(closed.verification, "open");
  EXPECT_THAT(closed.summary, HasSubstr("OPEN, not CLOSED"));
  EXPECT_THAT(closed.findings, HasSubstr("reader.data_loader"));
}

TEST(AdmitRun, InvalidRunsStartWithoutADivisionOnly) {
  const auto config =
      Workload("unet3d_h100", {"dataset.num_files_train=13999"});

  EXPECT_TRUE(AdmitRun(Request(config, Division::kNone)).status.ok());
  EXPECT_FALSE(AdmitRun(Request(config, Division::kOpen)).status.ok());
  const Admission closed = AdmitRun(Request(config, Division::kClosed));
  EXPECT_FALSE(closed.status.ok());
  EXPECT_EQ(closed.verification, "invalid");
  EXPECT_THAT(closed.findings, AllOf(HasSubstr("14000"), HasSubstr("13999")));
}

TEST(AdmitRun, AllowInvalidParamsOverrulesTheRules) {
  const auto config = Workload("unet3d_h100", {"train.epochs=2"});
  AdmissionRequest request = Request(config, Division::kClosed);
  request.allow_invalid = true;

  const Admission admission = AdmitRun(request);

  EXPECT_TRUE(admission.status.ok());
  EXPECT_EQ(admission.verification, "invalid");
}

TEST(AdmitRun, ACacheThatKnowsTheReadsIsWhatIf) {
  const auto config =
      Workload("unet3d_h100", {"dataset.num_files_train=14000"});
  AdmissionRequest request = Request(config, Division::kNone);
  for (const std::string_view uri :
       {"cache:/nvme/x?policy=belady,file:///data",
        "fault:?error_rate=0,cache:/nvme/x?policy=belady,file:///data"}) {
    request.data_uri = uri;
    const Admission admission = AdmitRun(request);
    EXPECT_TRUE(admission.status.ok());
    EXPECT_EQ(admission.verification, "invalid");
    EXPECT_THAT(admission.summary, HasSubstr("what-if and INVALID"));
    EXPECT_THAT(admission.findings, HasSubstr("what-if: policy=belady"));
  }
  request.data_uri = "cache:/nvme/x?policy=lru,file:///data";
  EXPECT_THAT(AdmitRun(request).findings, Not(HasSubstr("what-if")));
}

TEST(AdmitRun, UncheckedDataAndSimulatedStorageAreNeverClosed) {
  const auto config =
      Workload("unet3d_h100", {"dataset.num_files_train=14000"});
  AdmissionRequest request = Request(config, Division::kClosed);
  EXPECT_TRUE(AdmitRun(request).status.ok());
  request.checks = false;
  EXPECT_FALSE(AdmitRun(request).status.ok());
  request.checks = true;
  for (const std::string_view uri :
       {"null:", "mem:x", "model:?latency=1ms,/mnt/x"}) {
    request.data_uri = uri;
    EXPECT_FALSE(AdmitRun(request).status.ok()) << uri;
  }
  request.data_uri = "/mnt/x";
  EXPECT_TRUE(AdmitRun(request).status.ok());
}

TEST(AdmitRun, WithoutMemoryOnlyAPlanCanBeClosed) {
  const auto config = Workload(
      "cosmoflow_h100", {"dataset.num_files_train=8000"});  // 500 * 16 * 1
  AdmissionRequest request = Request(config, Division::kClosed);
  request.model = "cosmoflow";
  request.accelerators = 16;
  request.memory_gib_per_host = 0;

  EXPECT_FALSE(AdmitRun(request).status.ok());
  request.what_if = true;
  EXPECT_TRUE(AdmitRun(request).status.ok());
  request.memory_gib_per_host = 64;  // wants 121477
  EXPECT_FALSE(AdmitRun(request).status.ok());
}

}  // namespace
}  // namespace stoker::run
