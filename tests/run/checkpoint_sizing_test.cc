#include "run/checkpoint_sizing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reporting/json.h"
#include "tests/run/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::run {
namespace {

using reporting::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Workload;

CheckpointQuestion Ask(const config::LoadedConfig& config,
                       std::vector<std::uint32_t> ranks_of_host) {
  return {.config = &config,
          .model = "llama3-405b",
          .ranks_of_host = std::move(ranks_of_host),
          .pool_bytes = 256ULL << 20};
}

Event Sized(const CheckpointQuestion& question) {
  auto event = DescribeCheckpointSizing(question);
  EXPECT_TRUE(event.ok()) << event.status().ToString();
  return event.ok() ? std::move(event).value() : Event{.name = ""};
}

std::string FieldOf(const Event& event, std::string_view name) {
  const Json fields(event.fields);
  const Json* field = fields.Find(name);
  EXPECT_NE(field, nullptr) << name;
  return field == nullptr ? "" : reporting::DumpJson(*field, -1);
}

TEST(DescribeCheckpointSizing, TellsRanksHostsAndRun) {
  const config::LoadedConfig config = Workload("llama3_405b");
  const Event event = Sized(Ask(config, std::vector<std::uint32_t>(8, 64)));

  EXPECT_EQ(event.name, "datasize");
  // 5,682,508,791,808 / 2^40 = 5.17; ten of 5,682,512,788,616 bytes are stored.
  EXPECT_THAT(
      event.text,
      AllOf(HasSubstr("405,853,388,800 parameters on 512 ranks"),
            HasSubstr("5.17 TiB (5,682,508,791,808 bytes)"),
            HasSubstr("1,544 files"),
            HasSubstr("ranks 8-239: 11.83 GiB (12,701,105,024 bytes) in 5 "
                      "files"),
            HasSubstr("ranks 256-511: 8.86 GiB (9,513,171,840 bytes) in 1 "
                      "file,"),
            HasSubstr("Run: 10 written, 10 read"),
            HasSubstr("(56,825,127,886,160 bytes)"),
            // 64 * 256 MiB
            HasSubstr("16.00 GiB in a host of 64 ranks"),
            Not(HasSubstr("Free:")), Not(HasSubstr("Time:"))));
  // 1,544 files, a manifest and a folder, ten times.
  EXPECT_EQ(FieldOf(event, "room_objects"), "15460");
  EXPECT_EQ(FieldOf(event, "room_bytes"), "56825127886160");
}

// 64 * 9,513,171,840 B are 567 GiB, the least of a host; three times that is
// 1,701 GiB.
TEST(DescribeCheckpointSizing, ClearsWhereMemoryIsMoreThanThreeTimesAPart) {
  const config::LoadedConfig config = Workload("llama3_405b");
  CheckpointQuestion question = Ask(config, std::vector<std::uint32_t>(8, 64));
  EXPECT_THAT(Sized(question).text, HasSubstr("more than 1.66 TiB of memory"));
  EXPECT_EQ(FieldOf(Sized(question), "clear_needed"), "null");

  question.memory_gib_per_host = 1701;
  EXPECT_THAT(Sized(question).text, HasSubstr("Caches: need not be cleared"));
  question.memory_gib_per_host = 1702;
  EXPECT_THAT(Sized(question).text, HasSubstr("Caches: must be cleared"));
  EXPECT_EQ(FieldOf(Sized(question), "clear_needed"), "true");
}

// 104.70 GiB at 10 GiB/s: 10.47 s; twenty of them with 5 s each, 309 s.
TEST(DescribeCheckpointSizing, TimeFollowsFromTheRate) {
  const config::LoadedConfig config = Workload("llama3_8b");
  CheckpointQuestion question = Ask(config, {8});
  question.gib_per_second = 10;

  EXPECT_THAT(Sized(question).text,
              AllOf(HasSubstr("10.47 s a checkpoint at 10 GiB/s"),
                    HasSubstr("5 min 09 s with all pauses")));
}

TEST(DescribeCheckpointSizing, SaysWhetherThePlaceHasRoom) {
  const stoker::testing::TempDir dir;
  const config::LoadedConfig small = Workload("llama3_mini");
  CheckpointQuestion question = Ask(small, {4});
  question.uri = dir.str() + "/not/yet";
  EXPECT_THAT(Sized(question).text, HasSubstr("enough"));
  EXPECT_EQ(FieldOf(Sized(question), "fits"), "true");

  // Ten of 15 TiB each.
  const config::LoadedConfig large = Workload("llama3_1t");
  question = Ask(large, {1024});
  question.uri = dir.str();
  EXPECT_THAT(Sized(question).text,
              AllOf(HasSubstr("are needed at once"), HasSubstr("--keep N")));
  EXPECT_EQ(FieldOf(Sized(question), "fits"), "false");

  question.uri = "nothing:";
  EXPECT_THAT(Sized(question).text, HasSubstr("Free: unknown"));
}

TEST(DescribeCheckpointPlan, LooksAtNoPlace) {
  const config::LoadedConfig config = Workload("llama3_1t");
  CheckpointQuestion question = Ask(config, {1024});
  question.uri = "nothing:";
  const auto event = DescribeCheckpointPlan(question);

  ASSERT_TRUE(event.ok()) << event.status().ToString();
  EXPECT_EQ(event.value().name, "plan");
  EXPECT_THAT(event.value().text, HasSubstr("Place: nothing:"));
  const std::string classes = FieldOf(event.value(), "rank_classes");
  EXPECT_THAT(
      classes,
      HasSubstr(R"({"first_rank":504,"last_rank":511,"model_bytes":5425099680,)"
                R"("optimizer_bytes":13865244924,"bytes":19290344604,)"));
  EXPECT_EQ(FieldOf(event.value(), "host_bytes"), "[16564174094592]");
}

TEST(DescribeCheckpointPlan, WhatCannotBePlannedIsAnError) {
  const config::LoadedConfig config = Workload("llama3_tiny");

  EXPECT_FALSE(DescribeCheckpointPlan(Ask(config, {6})).ok());
}

TEST(SubsetCopies, AreThoseOfTheWholeModel) {
  EXPECT_EQ(SubsetCopies(Workload("llama3_70b"), "llama3-70b", 8), 8);
  EXPECT_EQ(SubsetCopies(Workload("llama3_405b"), "llama3-405b", 8), 2);
  EXPECT_EQ(SubsetCopies(Workload("llama3_405b"), "llama3-405b", 512),
            std::nullopt);
  EXPECT_EQ(SubsetCopies(Workload("llama3_8b"), "llama3-8b", 4), std::nullopt);
}

// A run of 8B that keeps every rule: 8 ranks with 104.7 GiB on a host of 256.
CheckpointAdmissionRequest Closed(const config::LoadedConfig& config) {
  CheckpointAdmissionRequest request{.question = Ask(config, {8}),
                                     .division = Division::kClosed};
  request.question.model = "llama3-8b";
  request.question.memory_gib_per_host = 256;
  request.question.uri = "/mnt/ck/llama3-8b";
  return request;
}

TEST(AdmitCheckpoints, ARunThatKeepsTheRulesIsClosed) {
  const config::LoadedConfig config = Workload("llama3_8b");
  const Admission admission = AdmitCheckpoints(Closed(config));

  EXPECT_TRUE(admission.status.ok()) << admission.status.ToString();
  EXPECT_EQ(admission.verification, "closed");
  EXPECT_THAT(admission.summary, IsEmpty());
}

TEST(AdmitCheckpoints, WhatBreaksTheRulesIsNamed) {
  const config::LoadedConfig config = Workload("llama3_8b");
  const auto error = [&](auto change) {
    CheckpointAdmissionRequest request = Closed(config);
    change(request);
    const Admission admission = AdmitCheckpoints(request);
    EXPECT_EQ(admission.verification, "invalid");
    return std::string(admission.status.message());
  };
  using Request = CheckpointAdmissionRequest;

  EXPECT_THAT(error([](Request& r) { r.question.memory_gib_per_host = 512; }),
              HasSubstr("clear_caches"));
  EXPECT_THAT(error([](Request& r) { r.question.memory_gib_per_host = 0; }),
              HasSubstr("--client-host-memory-in-gb"));
  EXPECT_THAT(error([](Request& r) { r.question.uri = "null:"; }),
              HasSubstr("storage"));
  EXPECT_THAT(error([](Request& r) { r.question.keep = 2; }),
              HasSubstr("--keep"));
  EXPECT_THAT(error([](Request& r) { r.foreign = true; }),
              HasSubstr("--foreign"));
  EXPECT_THAT(error([](Request& r) { r.reference_io = true; }),
              HasSubstr("--io"));
  EXPECT_THAT(error([](Request& r) { r.question.ranks_of_host = {5, 3}; }),
              HasSubstr("ranks_per_host"));
}

TEST(AdmitCheckpoints, WithoutADivisionNothingIsRefused) {
  const config::LoadedConfig config = Workload("llama3_tiny");
  CheckpointAdmissionRequest request = Closed(config);
  request.question.model = "llama3-tiny";
  request.division = Division::kNone;
  const Admission admission = AdmitCheckpoints(request);

  EXPECT_TRUE(admission.status.ok());
  EXPECT_EQ(admission.verification, "invalid");
  EXPECT_THAT(admission.findings, HasSubstr("llama3-405b"));
}

TEST(AdmitCheckpoints, WhatCannotBePlannedIsNotJudged) {
  const config::LoadedConfig config = Workload("llama3_tiny");
  CheckpointAdmissionRequest request = Closed(config);
  request.question.ranks_of_host = {6};
  const Admission admission = AdmitCheckpoints(request);

  EXPECT_TRUE(admission.status.ok());
  EXPECT_THAT(admission.verification, IsEmpty());
}

}  // namespace
}  // namespace stoker::run
