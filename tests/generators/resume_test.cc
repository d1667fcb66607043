// An interrupted generation goes on where it ended.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "storage/fault_backend.h"
#include "tests/generators/scenario.h"

namespace stoker::generators {
namespace {

using core::Code;
using ::testing::AllOf;
using ::testing::Contains;
using testing::GenerateTest;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using testing::NpzPlan;
using testing::TfrecordPlan;

class Resume : public GenerateTest {
 protected:
  // A named memory place outlives the back ends opened on it.
  void SetUp() override {
    uri_ = std::string("mem:") +
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
    Open(uri_);
  }
  // From now on writing `object` fails.
  void Break(std::string_view object, storage::FaultRule::Operation operation) {
    auto mem = storage::OpenBackend(uri_);
    ASSERT_TRUE(mem.ok());
    auto fault = storage::NewFaultBackend(
        {{.operation = operation,
          .object = std::string(object),
          .action = storage::FaultRule::Error{core::Status::FromErrno(
              ENOSPC, "write")}}},
        std::move(mem).value());
    ASSERT_TRUE(fault.ok()) << fault.status().ToString();
    backend_ =
        std::make_unique<testing::TunedBackend>(std::move(fault).value());
  }
  // What a run in an empty place makes.
  Objects Whole(const GeneratePlan& plan) {
    auto kept = std::move(backend_);
    Open("mem:");
    EXPECT_TRUE(Run(plan).ok());
    Objects all = All();
    backend_ = std::move(kept);
    return all;
  }

  std::string uri_;
};

constexpr auto kCommit = storage::FaultRule::Operation::kCommit;
constexpr auto kLink = storage::FaultRule::Operation::kLink;

TEST_F(Resume, WritesOnlyWhatIsMissingWithAnotherNumberOfRanks) {
  Break("train/img_3", kCommit);
  EXPECT_FALSE(Run(NpzPlan()).ok());
  EXPECT_FALSE(HasManifest());
  EXPECT_THAT(All(), Contains(Key("stoker_dataset.partial.json")));
  Open(uri_);
  const GenerateResult made = RunWell(3, NpzPlan());
  EXPECT_EQ(made.kept, 3U);
  EXPECT_EQ(made.all_files, 4U);
  EXPECT_FALSE(made.reused);
  EXPECT_EQ(backend_->creates, 4 + 2);
  EXPECT_EQ(All(), Whole(NpzPlan()));
}

TEST_F(Resume, KeepsLinksAndIndexesThatAreThere) {
  GeneratePlan plan = TfrecordPlan();
  plan.content.distinct = 2;
  Break("train/img_5", kLink);
  EXPECT_FALSE(Run(plan).ok());  // contents 0 and 1, links 2, 3, 4
  Open(uri_);
  const GenerateResult made = RunWell(2, plan);
  EXPECT_EQ(made.kept, 5U);
  EXPECT_EQ(backend_->creates, 2);
  EXPECT_EQ(backend_->links, 2 + 2);  // data and index of 5 and 6
  EXPECT_EQ(All(), Whole(plan));
}

TEST_F(Resume, ReplacesFilesOfAnotherSize) {
  Break("valid/img_1", kCommit);
  EXPECT_FALSE(Run(NpzPlan()).ok());
  Open(uri_);
  Put("train/img_2_of_5.npz", "cut");
  EXPECT_EQ(RunWell(1, NpzPlan()).kept, 5U);
  EXPECT_EQ(All(), Whole(NpzPlan()));
}

TEST_F(Resume, DoesNotTrustFilesOlderThanTheMarker) {
  // Right in name and size, but of other content.
  GeneratePlan plan = NpzPlan();
  Objects foreign = Whole(plan);
  for (auto& [name, content] : foreign) {
    if (name.ends_with(".npz")) {
      Put(name, std::string(content.size(), 'x'));
    }
  }
  Break("train/img_1", kCommit);
  plan.replace = true;
  EXPECT_FALSE(Run(plan).ok());
  EXPECT_THAT(All(), Not(Contains(Key("train/img_2_of_5.npz"))));
  Open(uri_);
  plan.replace = false;  // there is a marker by now
  const GenerateResult made = RunWell(2, plan);
  EXPECT_EQ(made.kept, 1U);
  EXPECT_EQ(made.replaced, 0U);
  EXPECT_EQ(All(), Whole(plan));
}

TEST_F(Resume, RefusesTheMarkerOfAnotherPlan) {
  Break("train/img_3", kCommit);
  EXPECT_FALSE(Run(NpzPlan()).ok());
  Open(uri_);
  const Objects before = All();
  GeneratePlan other = NpzPlan();
  other.sizes.record_length = 20000;
  EXPECT_THAT(
      Refusal(other, Code::kInvalidArgument),
      AllOf(HasSubstr("stoker_dataset.partial.json"), HasSubstr("not finished"),
            HasSubstr("--delete"), HasSubstr("another data folder")));
  EXPECT_EQ(All(), before);
}

TEST_F(Resume, AMarkerLeftBesideTheManifestGoes) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  const Objects whole = All();
  Put("stoker_dataset.partial.json", whole.at("stoker_dataset.json"));
  EXPECT_TRUE(RunWell(2, NpzPlan()).reused);
  EXPECT_EQ(All(), whole);
}

TEST_F(Resume, ARepairTurnsTheManifestIntoAMarker) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  ASSERT_TRUE(backend_->Remove("train/img_3_of_5.npz").ok());
  Break("train/img_3", kCommit);
  EXPECT_FALSE(Run(NpzPlan()).ok());
  EXPECT_FALSE(HasManifest());
  Open(uri_);
  EXPECT_EQ(RunWell(1, NpzPlan()).kept, 6U);
  EXPECT_EQ(All(), Whole(NpzPlan()));
}

TEST_F(Resume, AsksForSpaceForTheRestOnly) {
  GeneratePlan plan = NpzPlan();
  plan.sizes.stdev = 0;  // 7 files of 10498 bytes
  Break("train/img_3", kCommit);
  EXPECT_FALSE(Run(plan).ok());
  Open(uri_);
  backend_->tuned_free_bytes = 4 * 10498 - 1;
  EXPECT_EQ(Run(plan).status().os_error(), ENOSPC);
  backend_->tuned_free_bytes = 4 * 10498;
  EXPECT_EQ(RunWell(1, plan).kept, 3U);
}

TEST_F(Resume, OfTheReferencesContentKeepsItsProcessesAndDrawsPastWhatIsThere) {
  GeneratePlan plan = NpzPlan();
  plan.content = {.mode = "dlio"};
  Objects whole;
  {
    auto kept = std::move(backend_);
    Open("mem:");
    EXPECT_EQ(RunWell(3, plan).streams, 3U);
    whole = All();
    backend_ = std::move(kept);
  }
  Break("train/img_4", kCommit);
  for (const Outcome& outcome : RunOn(3, plan)) {
    EXPECT_FALSE(outcome.ok());
  }
  Open(uri_);
  EXPECT_EQ(RunWell(2, plan).streams, 3U);
  EXPECT_EQ(All(), whole);
}

}  // namespace
}  // namespace stoker::generators
