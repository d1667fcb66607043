#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "storage/fault_backend.h"
#include "tests/generators/scenario.h"

namespace stoker::generators {
namespace {

using core::Code;
using ::testing::AllOf;
using testing::GenerateTest;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using testing::NpzPlan;
using testing::TfrecordPlan;
using ::testing::UnorderedElementsAre;

class GenerateErrors : public GenerateTest {
 protected:
  void OpenWithFault(storage::FaultRule rule) {
    auto mem = storage::OpenBackend("mem:");
    ASSERT_TRUE(mem.ok());
    auto fault =
        storage::NewFaultBackend({std::move(rule)}, std::move(mem).value());
    ASSERT_TRUE(fault.ok()) << fault.status().ToString();
    backend_ =
        std::make_unique<testing::TunedBackend>(std::move(fault).value());
  }
};

TEST_F(GenerateErrors, AnotherDatasetInThePlace) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  const Objects before = All();
  GeneratePlan other = NpzPlan();
  other.content.seed = 8;
  EXPECT_THAT(Refusal(other, Code::kInvalidArgument),
              AllOf(HasSubstr("stoker_dataset.json describes another dataset"),
                    HasSubstr("seed 7"), HasSubstr("seed 8"),
                    HasSubstr("another data folder")));
  EXPECT_EQ(All(), before);
}

TEST_F(GenerateErrors, FilesOfAnotherCount) {
  Put("train/img_0_of_6.npz", "x");
  EXPECT_THAT(
      Refusal(NpzPlan(), Code::kInvalidArgument),
      AllOf(HasSubstr("train/img_0_of_6.npz"), HasSubstr("6 files, not 5")));
  EXPECT_EQ(All().size(), 1U);
}

TEST_F(GenerateErrors, AForeignFileInTheWay) {
  for (const char* name : {"train/notes.txt", "valid/img_0_of_2.tfrecord",
                           "train/0/img_0_of_5.npz", "train/pic_0_of_5.npz"}) {
    Open("mem:");
    Put(name, "x");
    EXPECT_THAT(Refusal(NpzPlan(), Code::kInvalidArgument),
                AllOf(HasSubstr("foreign file in the way"), HasSubstr(name)));
    EXPECT_EQ(All().size(), 1U);
  }
}

TEST_F(GenerateErrors, FilesThatNothingVouchesForAreNotReplacedUnasked) {
  Put("train/img_1_of_5.npz", "somebody's");
  Put("valid/img_0_of_2.npz", "somebody's");
  const Objects before = All();
  EXPECT_THAT(Refusal(NpzPlan(), Code::kInvalidArgument),
              AllOf(HasSubstr("2 files"), HasSubstr("another --data-dir"),
                    HasSubstr("--replace")));
  EXPECT_EQ(All(), before);
}

TEST_F(GenerateErrors, AForeignFileBesideTheSetsIsNone) {
  Put("notes.txt", "x");
  EXPECT_TRUE(Run(NpzPlan()).ok());
}

TEST_F(GenerateErrors, ADamagedManifest) {
  Put("stoker_dataset.json", "{");
  EXPECT_THAT(Refusal(NpzPlan(), Code::kCorruption),
              HasSubstr("stoker_dataset.json"));
}

TEST_F(GenerateErrors, TooLittleSpaceNamesBothFigures) {
  GeneratePlan plan = NpzPlan();
  plan.sizes.stdev = 0;  // 7 files of 10000 + 498 bytes
  backend_->tuned_free_bytes = 73485;
  EXPECT_EQ(Run(plan).status().os_error(), ENOSPC);
  EXPECT_THAT(Refusal(plan, Code::kIoError),
              AllOf(HasSubstr("73486 bytes"), HasSubstr("73485 bytes"),
                    HasSubstr("dataset.num_files_train")));
  EXPECT_TRUE(All().empty());
  backend_->tuned_free_bytes = 73486;
  EXPECT_TRUE(Run(plan).ok());
}

TEST_F(GenerateErrors, SpaceIsNeededOnceForLinksAndNotForLeftovers) {
  GeneratePlan plan = NpzPlan();
  plan.sizes.stdev = 0;
  plan.valid.total = 0;
  plan.content.distinct = 2;
  plan.replace = true;
  Put("train/img_1_of_5.npz", std::string(400, 'x'));
  Put("train/img_4_of_5.npz", std::string(5000, 'x'));  // to be a link
  backend_->tuned_free_bytes = 2 * 10498 - 400 - 1;
  EXPECT_THAT(Refusal(plan, Code::kIoError), HasSubstr("20596 bytes"));
  backend_->tuned_free_bytes = 2 * 10498 - 400;
  EXPECT_TRUE(Run(plan).ok());
}

TEST_F(GenerateErrors, TooManyNamesForAContentNamesTheLeastNumber) {
  GeneratePlan plan = NpzPlan();
  plan.train.total = 21;
  plan.content.distinct = 4;
  backend_->tuned_capabilities = {.max_links = 5};
  // ⌈21 / 5⌉ = 5 contents can have 21 names.
  EXPECT_THAT(Refusal(plan, Code::kInvalidArgument),
              HasSubstr("--distinct 5 at least"));
  plan.content.distinct = 5;
  EXPECT_TRUE(Run(plan).ok());
}

TEST_F(GenerateErrors, DistinctWithoutLinks) {
  GeneratePlan plan = NpzPlan();
  plan.content.distinct = 2;
  backend_->tuned_capabilities = {.links = false};
  EXPECT_THAT(Refusal(plan, Code::kUnsupported), HasSubstr("--distinct"));
}

TEST_F(GenerateErrors, PlansThatCannotWork) {
  GeneratePlan plan = NpzPlan();
  plan.content.mode = "zeros";
  EXPECT_THAT(Refusal(plan, Code::kInvalidArgument), HasSubstr("zeros"));
  plan = NpzPlan();
  plan.write_index = true;
  EXPECT_THAT(Refusal(plan, Code::kInvalidArgument), HasSubstr("index"));
  plan = NpzPlan();
  plan.train.total = plan.valid.total = 0;
  EXPECT_THAT(Refusal(plan, Code::kInvalidArgument),
              HasSubstr("dataset.num_files_train"));
}

TEST_F(GenerateErrors, AFailingRankIsHeardByAll) {
  OpenWithFault({.operation = storage::FaultRule::Operation::kCommit,
                 .object = "train/img_2_of_5.npz",
                 .action = storage::FaultRule::Error{
                     core::Status::FromErrno(ENOSPC, "commit")}});
  for (const Outcome& outcome : RunOn(4, NpzPlan())) {
    EXPECT_EQ(outcome.status().code(), Code::kIoError);
    EXPECT_EQ(outcome.status().os_error(), ENOSPC);
    EXPECT_THAT(std::string(outcome.status().message()),
                AllOf(HasSubstr("rank 2"), HasSubstr("img_2_of_5.npz")));
  }
  EXPECT_FALSE(HasManifest());
  EXPECT_THAT(All(), Not(::testing::Contains(Key("train/img_2_of_5.npz"))));
}

TEST_F(GenerateErrors, AFailingLinkLeavesNoManifest) {
  OpenWithFault({.operation = storage::FaultRule::Operation::kLink,
                 .object = "train/img_4_of_5.npz",
                 .action = storage::FaultRule::Error{
                     core::Status::FromErrno(EMLINK, "link")}});
  GeneratePlan plan = NpzPlan();
  plan.content.distinct = 2;
  EXPECT_THAT(Refusal(plan, Code::kIoError), HasSubstr("img_4_of_5.npz"));
  EXPECT_FALSE(HasManifest());
  EXPECT_TRUE(Run(plan).ok());
  EXPECT_TRUE(HasManifest());
}

TEST_F(GenerateErrors, AnUnwritableManifestIsHeardByAll) {
  OpenWithFault({.operation = storage::FaultRule::Operation::kCommit,
                 .object = "stoker_dataset.json",
                 .action = storage::FaultRule::Error{
                     core::Status::FromErrno(EIO, "commit")}});
  for (const Outcome& outcome : RunOn(3, NpzPlan())) {
    EXPECT_THAT(std::string(outcome.status().message()),
                AllOf(HasSubstr("rank 0"), HasSubstr("stoker_dataset.json")));
  }
}

TEST_F(GenerateErrors, ARepairThatFailsLeavesNoManifest) {
  OpenWithFault({.operation = storage::FaultRule::Operation::kCommit,
                 .object = "train/img_3",
                 .first = 1,  // in the second run
                 .action = storage::FaultRule::Error{
                     core::Status::FromErrno(EIO, "commit")}});
  ASSERT_TRUE(Run(NpzPlan()).ok());
  ASSERT_TRUE(backend_->Remove("train/img_3_of_5.npz").ok());
  EXPECT_FALSE(Run(NpzPlan()).ok());
  EXPECT_FALSE(HasManifest());
}

TEST_F(GenerateErrors, CancelledBeforeTheFirstFile) {
  cancel_.Set();
  EXPECT_EQ(Run(NpzPlan()).status().code(), Code::kCancelled);
  EXPECT_TRUE(All("train/").empty());
  EXPECT_FALSE(HasManifest());
}

TEST_F(GenerateErrors, CancelledInTheMiddleOfAFile) {
  GeneratePlan plan = NpzPlan();
  plan.sizes = {.record_length = 3000.0 * 3000.0};  // two parts of 8 MiB
  const Outcome made = Run(plan, [&](const OwnProgress& own) {
    if (own.files_done == 1 && own.bytes_done > 2 * (8U << 20)) {
      cancel_.Set();
    }
  });
  EXPECT_EQ(made.status().code(), Code::kCancelled);
  EXPECT_THAT(All(), UnorderedElementsAre(Key("train/img_0_of_5.npz"),
                                          Key("stoker_dataset.partial.json")));
}

}  // namespace
}  // namespace stoker::generators
