#include "rules/allowed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/rules/support.h"

namespace stoker::rules {
namespace {

using testing::FindingOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Overrides = std::vector<std::string>;

// A run of unet3d that keeps every rule, with `overrides` (which must outlive
// the claim).
RunClaim ClaimWith(const Overrides& overrides) {
  RunClaim claim;
  claim.model = "unet3d";
  claim.accelerator_type = "h100";
  claim.overrides = overrides;
  claim.files_train = 14000;
  claim.required.files = 14000;
  return claim;
}

TEST(Judge, UntouchedWorkloadIsClosed) {
  const Judgement judgement = Judge(ClaimWith({}));

  EXPECT_EQ(judgement.verdict, Verdict::kClosed);
  EXPECT_EQ(judgement.findings.size(), 10U);  // each rule says so
  EXPECT_EQ(FindingOf(judgement, "allowed_params").actual, "none changed");
}

TEST(Judge, ClosedParametersKeepTheRunClosed) {
  const Overrides overrides = {
      "++workload.dataset.num_files_train=42000", "reader.read_threads=8",
      "++reader.prefetch_size=2", "storage.storage_root=/mnt/x"};

  EXPECT_EQ(Judge(ClaimWith(overrides)).verdict, Verdict::kClosed);
}

TEST(Judge, OpenParameterMakesTheRunOpen) {
  const Overrides overrides = {"reader.read_threads=8", "framework=tensorflow"};

  const Judgement judgement = Judge(ClaimWith(overrides));

  EXPECT_EQ(judgement.verdict, Verdict::kOpen);
  EXPECT_THAT(judgement.findings[4].remedy, HasSubstr("submit as OPEN"));
}

TEST(Judge, AnyOtherParameterMakesTheRunInvalid) {
  const Overrides overrides = {"framework=tensorflow",
                               "train.computation_time=0.1"};

  const Judgement judgement = Judge(ClaimWith(overrides));

  EXPECT_EQ(judgement.verdict, Verdict::kInvalid);
  const Finding& finding = judgement.findings[4];
  EXPECT_EQ(finding.actual, "train.computation_time");
  EXPECT_THAT(finding.expected, HasSubstr("reader.read_threads"));
  EXPECT_THAT(finding.remedy, HasSubstr("leave train.computation_time"));
}

TEST(Judge, WorkflowKeysAreNotJudged) {
  const Overrides overrides = {"workflow.checkpoint=True"};

  EXPECT_EQ(Judge(ClaimWith(overrides)).verdict, Verdict::kClosed);
}

TEST(Judge, FewerFilesThanRequiredAreInvalid) {
  const Overrides none;
  RunClaim claim = ClaimWith(none);
  claim.files_train = 13999;

  const Judgement judgement = Judge(claim);

  EXPECT_EQ(judgement.verdict, Verdict::kInvalid);
  EXPECT_THAT(FindingOf(judgement, "num_files_train").remedy,
              HasSubstr("dataset.num_files_train=14000"));
}

TEST(Judge, UnknownMemoryUncheckedDataAndSimulatedStorageAreInvalid) {
  const Overrides none;
  const RunClaim kept = ClaimWith(none);
  RunClaim claim = kept;
  claim.memory_known = false;
  EXPECT_EQ(Judge(claim).verdict, Verdict::kInvalid);
  EXPECT_THAT(FindingOf(Judge(claim), "client_memory").remedy,
              HasSubstr("--client-host-memory-in-gb"));
  claim = kept;
  claim.checks = false;
  EXPECT_EQ(Judge(claim).verdict, Verdict::kInvalid);
  claim = kept;
  claim.real_storage = false;
  EXPECT_EQ(Judge(claim).verdict, Verdict::kInvalid);
}

TEST(Judge, ACacheThatKnowsWhatWillBeReadIsWhatIfAndInvalid) {
  const Overrides none;
  RunClaim claim = ClaimWith(none);
  EXPECT_FALSE(Judge(claim).what_if);
  claim.foresees = true;
  const Judgement judgement = Judge(claim);
  EXPECT_EQ(judgement.verdict, Verdict::kInvalid);
  EXPECT_TRUE(judgement.what_if);
  EXPECT_THAT(FindingOf(judgement, "what_if_cache").actual,
              HasSubstr("what-if"));
}

TEST(Judge, DirectReadsAreForUnet3dOnly) {
  const Overrides none;
  RunClaim claim = ClaimWith(none);
  claim.odirect = true;
  EXPECT_EQ(Judge(claim).verdict, Verdict::kClosed);

  claim.model = "resnet50";
  const Judgement judgement = Judge(claim);

  EXPECT_EQ(judgement.verdict, Verdict::kInvalid);
  EXPECT_EQ(FindingOf(judgement, "odirect_supported_model").level,
            Verdict::kInvalid);
}

TEST(Judge, ModelsAndAcceleratorsOutsideTheBenchmarkAreInvalid) {
  const Overrides none;
  RunClaim claim = ClaimWith(none);
  claim.accelerator_type = "b200";
  EXPECT_EQ(FindingOf(Judge(claim), "accelerator_type").level,
            Verdict::kInvalid);

  claim = ClaimWith(none);
  claim.model = "mine";
  EXPECT_EQ(FindingOf(Judge(claim), "model").level, Verdict::kInvalid);
}

TEST(OverrideKey, AllSpellingsNameTheSameKey) {
  for (const char* text :
       {"reader.read_threads=8", "++workload.reader.read_threads=8",
        "+reader.read_threads=8", "++reader.read_threads=a=b",
        "workload.reader.read_threads=", "~reader.read_threads",
        "~workload.reader.read_threads"}) {
    EXPECT_EQ(OverrideKey(text), "reader.read_threads") << text;
  }
}

TEST(OverrideKey, SignsAloneNameNothing) {
  EXPECT_EQ(OverrideKey("++"), "");
  EXPECT_EQ(OverrideKey("=3"), "");
}

TEST(Judge, OnlyTheReferencesLoaderIsClosed) {
  const Overrides overrides = {"reader.loader_model=lean",
                               "reader.request_bytes=4194304"};
  RunClaim claim = ClaimWith(overrides);
  claim.loader_model = "lean";

  const Judgement judgement = Judge(claim);

  EXPECT_EQ(judgement.verdict, Verdict::kOpen);
  EXPECT_EQ(FindingOf(judgement, "loader_model").level, Verdict::kOpen);
  const core::Status refused = Admit(judgement, Division::kClosed, false);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("loader_model: lean; expected CLOSED: "
                        "reader.loader_model=dlio-v2"));
  EXPECT_TRUE(Admit(judgement, Division::kOpen, false).ok());

  const Overrides none;
  claim = ClaimWith(none);  // the workload file says so
  claim.loader_model = "dlio-v3";
  EXPECT_EQ(Judge(claim).verdict, Verdict::kOpen);

  const Overrides same = {"reader.loader_model=dlio-v2",
                          "reader.pump_threads=2"};
  EXPECT_EQ(Judge(ClaimWith(same)).verdict, Verdict::kClosed);
}

TEST(AllowedKeys, ElevenAreClosedAndFourMoreOpenBesidesOurOwn) {
  const auto closed = std::ranges::count(AllowedKeys(), Verdict::kClosed,
                                         &AllowedKey::division);

  EXPECT_EQ(closed, 11 + 2);
  EXPECT_EQ(AllowedKeys().size(), 15U + 4);
}

Judgement JudgedAs(Verdict verdict) {
  Judgement judgement;
  judgement.verdict = verdict;
  judgement.findings.push_back({.rule = "kept_rule", .actual = "fine"});
  judgement.findings.push_back({.rule = "the_rule",
                                .expected = "this",
                                .actual = "that",
                                .remedy = "do this",
                                .level = verdict});
  return judgement;
}

TEST(Admit, ClosedAdmitsOnlyClosedRuns) {
  EXPECT_TRUE(Admit(JudgedAs(Verdict::kClosed), Division::kClosed, false).ok());
  EXPECT_FALSE(Admit(JudgedAs(Verdict::kOpen), Division::kClosed, false).ok());
  EXPECT_FALSE(
      Admit(JudgedAs(Verdict::kInvalid), Division::kClosed, false).ok());
}

TEST(Admit, OpenRefusesInvalidRuns) {
  EXPECT_TRUE(Admit(JudgedAs(Verdict::kOpen), Division::kOpen, false).ok());
  EXPECT_FALSE(Admit(JudgedAs(Verdict::kInvalid), Division::kOpen, false).ok());
}

TEST(Admit, WithoutADivisionEveryRunMayStart) {
  EXPECT_TRUE(Admit(JudgedAs(Verdict::kInvalid), Division::kNone, false).ok());
}

TEST(Admit, AllowInvalidExcusesInvalidRunsButNotOpenOnes) {
  EXPECT_TRUE(Admit(JudgedAs(Verdict::kInvalid), Division::kClosed, true).ok());
  EXPECT_FALSE(Admit(JudgedAs(Verdict::kOpen), Division::kClosed, true).ok());
}

TEST(Admit, MessageNamesTheBrokenRuleAndItsRemedyOnly) {
  const core::Status status =
      Admit(JudgedAs(Verdict::kInvalid), Division::kClosed, false);

  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("INVALID, not CLOSED"));
  EXPECT_THAT(message, HasSubstr("the_rule: that; expected this"));
  EXPECT_THAT(message, HasSubstr("remedy: do this"));
  EXPECT_THAT(message, Not(HasSubstr("kept_rule")));
}

}  // namespace
}  // namespace stoker::rules
