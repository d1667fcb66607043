#include "generators/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "formats/registry.h"
#include "generators/delete.h"
#include "generators/payload.h"
#include "storage/fault_backend.h"
#include "tests/generators/scenario.h"

namespace stoker::generators {
namespace {

using core::Code;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::GenerateTest;
using ::testing::HasSubstr;
using testing::NpzPlan;
using ::testing::SizeIs;
using testing::TfrecordPlan;

class VerifyTest : public GenerateTest {
 protected:
  core::Result<VerifyResult> Check(int ranks = 1,
                                   const OnProgress& progress = {}) {
    core::Result<VerifyResult> first = VerifyResult{};
    comm::RunThreads(ranks, clock_, &cancel_, [&](comm::Communicator& comm) {
      auto result =
          Verify(comm, *backend_, clock_, cancel_, progress, io_timeout_);
      if (comm.rank() == 0) {
        first = std::move(result);
      }
    });
    return first;
  }
  VerifyResult CheckWell(int ranks = 1) {
    const auto result = Check(ranks);
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? result.value() : VerifyResult{};
  }
  // "object: reason".
  static std::vector<std::string> Told(const VerifyResult& result) {
    std::vector<std::string> told;
    for (const Problem& problem : result.problems) {
      told.push_back(problem.object + ": " + problem.reason);
    }
    return told;
  }
  void Flip(std::string_view name, std::size_t byte) {
    std::string content = Get(name);
    ASSERT_LT(byte, content.size());
    content[byte] = static_cast<char>(content[byte] ^ 1);
    Put(name, content);
  }

  core::Nanos io_timeout_ = std::chrono::seconds(60);
};

TEST_F(VerifyTest, ReadsEveryContentOnceOnAnyNumberOfRanks) {
  GeneratePlan linked = TfrecordPlan();
  linked.content.distinct = 3;
  linked.train.subfolders = 2;
  GeneratePlan large = NpzPlan();
  large.sizes = {.record_length = 2500.0 * 2500.0, .stdev = 300000};
  GeneratePlan reference = NpzPlan();
  reference.content = {.mode = "dlio"};
  GeneratePlan records = TfrecordPlan();
  records.content = {.mode = "dlio"};
  for (const GeneratePlan& plan :
       {NpzPlan(), TfrecordPlan(), linked, large, reference, records}) {
    Open("mem:");
    const GenerateResult made = RunWell(2, plan);
    for (const int ranks : {1, 3, 9}) {
      const VerifyResult result = CheckWell(ranks);
      EXPECT_TRUE(result.whole());
      EXPECT_THAT(result.problems, SizeIs(0));
      EXPECT_EQ(result.names, plan.names());
      EXPECT_EQ(result.contents, plan.content.distinct > 0 ? 3 : plan.names());
      EXPECT_EQ(result.bytes, made.all_bytes);
    }
  }
}

// 5 + 2 files of a format; images hold one sample and are of a set size.
GeneratePlan PlanOfFormat(const formats::FormatInfo& format) {
  GeneratePlan plan = NpzPlan();
  plan.format = format.format;
  plan.train.suffix = plan.valid.suffix = format.name;
  plan.samples_per_file = 3;
  plan.sizes.stdev = 0;
  if (format.name == "hdf5") {
    plan.chunk_edge = 30;
  }
  return plan;
}

class EveryFormat : public VerifyTest,
                    public ::testing::WithParamInterface<std::string_view> {
 protected:
  GeneratePlan Plan() const {
    return PlanOfFormat(*std::ranges::find(formats::Formats(), GetParam(),
                                           &formats::FormatInfo::name));
  }
};

std::vector<std::string_view> Names() {
  std::vector<std::string_view> names;
  for (const formats::FormatInfo& format : formats::Formats()) {
    names.push_back(format.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryFormat, ::testing::ValuesIn(Names()),
                         [](const auto& format) {
                           return std::string(format.param);
                         });

TEST_P(EveryFormat, IsMadeVerifiedRepairedAndDeleted) {
  GeneratePlan plan = Plan();
  plan.content.distinct = 2;
  const GenerateResult made = RunWell(2, plan);
  EXPECT_EQ(made.all_bytes, ManifestOf(plan).stored_bytes);
  const Objects whole = All();
  EXPECT_EQ(whole.size(), 1 + 7 * (1 + plan.format->sidecars().size()));
  EXPECT_TRUE(CheckWell(3).whole());
  // The last object of the first file: its last sidecar, if it has any.
  std::string name = dataset::ObjectName(plan.train, 0);
  for (const std::string_view sidecar : plan.format->sidecars()) {
    name = dataset::ObjectName(plan.train, 0) + std::string(sidecar);
  }
  Flip(name, Get(name).size() - 1);
  EXPECT_THAT(Told(CheckWell(2)), Contains(HasSubstr(name)));
  ASSERT_TRUE(backend_->Remove(name).ok());
  EXPECT_FALSE(CheckWell(2).whole());
  EXPECT_EQ(RunWell(2, plan).kept, 6U);
  EXPECT_EQ(All(), whole);
  const auto self = comm::MakeSelf(&cancel_);
  const auto gone = Delete(*self, *backend_, clock_, cancel_, {});
  ASSERT_TRUE(gone.ok()) << gone.status().ToString();
  EXPECT_TRUE(All().empty());
}

TEST_P(EveryFormat, WithFilesOfManySizesIsVerified) {
  GeneratePlan plan = Plan();
  plan.valid.total = 0;
  plan.sizes.stdev = 300;
  EXPECT_EQ(RunWell(2, plan).all_files, 5U);
  EXPECT_TRUE(CheckWell(1).whole());
}

TEST_P(EveryFormat, WithTheReferencesContentIsVerifiedOnAnyNumberOfRanks) {
  GeneratePlan plan = Plan();
  plan.content = {.mode = "dlio", .ranks = 2};
  if (!CheckContent(plan).ok()) {
    EXPECT_THAT(Refusal(plan, Code::kUnsupported), HasSubstr("encoder"));
    return;
  }
  EXPECT_EQ(RunWell(2, plan).all_files, 7U);
  for (const int ranks : {1, 2, 5}) {
    EXPECT_TRUE(CheckWell(ranks).whole()) << ranks;
  }
}

TEST_F(VerifyTest, FindsEveryFlippedByte) {
  GeneratePlan plan = NpzPlan();
  plan.train.total = 1;
  plan.valid.total = 0;
  plan.sizes = {.record_length = 9};
  ASSERT_TRUE(Run(plan).ok());
  const std::size_t bytes = Get("train/img_0_of_1.npz").size();
  ASSERT_EQ(bytes, 9U + 498U);
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    Flip("train/img_0_of_1.npz", byte);
    const VerifyResult result = CheckWell();
    EXPECT_EQ(result.bad, 1U) << byte;
    EXPECT_THAT(Told(result),
                ElementsAre(HasSubstr("byte " + std::to_string(byte) + " is")));
    Flip("train/img_0_of_1.npz", byte);
  }
}

TEST_F(VerifyTest, NamesEachBadObject) {
  GeneratePlan plan = TfrecordPlan();
  ASSERT_TRUE(Run(plan).ok());
  ASSERT_TRUE(backend_->Remove("train/img_1_of_7.tfrecord").ok());
  Put("train/img_2_of_7.tfrecord", "cut");
  Flip("train/img_4_of_7.tfrecord", 77);
  Put("index/train/img_5_of_7.tfrecord.idx", "0 1\n");
  Put("train/notes.txt", "x");
  const VerifyResult result = CheckWell(2);
  EXPECT_FALSE(result.whole());
  EXPECT_EQ(result.bad, 4U);
  EXPECT_EQ(result.extra, 1U);
  EXPECT_THAT(result.problems, SizeIs(5));
  EXPECT_THAT(Told(result),
              Contains("train/img_1_of_7.tfrecord: it is missing"));
  EXPECT_THAT(Told(result),
              Contains(HasSubstr("train/img_2_of_7.tfrecord: it has 3 bytes")));
  EXPECT_THAT(Told(result),
              Contains(HasSubstr("train/img_4_of_7.tfrecord: byte 77")));
  EXPECT_THAT(Told(result),
              Contains(HasSubstr("index/train/img_5_of_7.tfrecord.idx: ")));
  EXPECT_THAT(Told(result), Contains(HasSubstr("train/notes.txt: ")));
}

TEST_F(VerifyTest, TellsWhereAnObjectDiffers) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  Flip("train/img_2_of_5.npz", 211);
  ASSERT_TRUE(backend_->Remove("train/img_4_of_5.npz").ok());
  const VerifyResult result = CheckWell(2);
  ASSERT_THAT(result.problems, SizeIs(2));
  EXPECT_EQ(result.problems[0].object, "train/img_4_of_5.npz");
  EXPECT_FALSE(result.problems[0].offset.has_value());
  EXPECT_EQ(result.problems[0].reason, "it is missing");
  EXPECT_EQ(result.problems[1].object, "train/img_2_of_5.npz");
  EXPECT_EQ(result.problems[1].offset, 211U);
}

TEST_F(VerifyTest, ALinkThatBecameAFileOfItsOwnIsRead) {
  GeneratePlan plan = TfrecordPlan();
  plan.content.distinct = 2;
  ASSERT_TRUE(Run(plan).ok());
  const VerifyResult linked = CheckWell(2);
  EXPECT_EQ(linked.contents, 2U);
  EXPECT_EQ(linked.linked, 5U);
  Put("train/img_5_of_7.tfrecord", Get("train/img_5_of_7.tfrecord"));
  const VerifyResult copied = CheckWell(2);
  EXPECT_TRUE(copied.whole());
  EXPECT_EQ(copied.contents, 3U);
  EXPECT_EQ(copied.linked, 4U);
  Flip("train/img_3_of_7.tfrecord", 40);
  Flip("index/train/img_6_of_7.tfrecord.idx", 0);
  for (const int ranks : {1, 2, 4}) {
    const VerifyResult bad = CheckWell(ranks);
    EXPECT_EQ(bad.bad, 2U);
    EXPECT_THAT(Told(bad), Contains(HasSubstr("train/img_3_of_7.tfrecord: ")));
    EXPECT_THAT(Told(bad),
                Contains(HasSubstr("index/train/img_6_of_7.tfrecord.idx: ")));
  }
}

TEST_F(VerifyTest, WithoutIdentitiesEveryNameIsRead) {
  GeneratePlan plan = NpzPlan();
  plan.content.distinct = 2;
  ASSERT_TRUE(Run(plan).ok());
  backend_->knows_identity = false;
  const VerifyResult result = CheckWell(3);
  EXPECT_TRUE(result.whole());
  EXPECT_EQ(result.contents, 7U);
  EXPECT_EQ(result.linked, 0U);
  EXPECT_EQ(result.bytes, [this] {
    std::uint64_t bytes = 0;
    for (const auto& [name, content] : All()) {
      bytes += name.ends_with(".npz") ? content.size() : 0;
    }
    return bytes;
  }());
}

TEST_F(VerifyTest, TellsTwentyOfManyAndCountsAll) {
  GeneratePlan plan = NpzPlan();
  plan.train.total = 50;
  ASSERT_TRUE(Run(plan).ok());
  for (std::uint64_t i = 0; i < 50; ++i) {
    Flip(dataset::ObjectName(plan.train, i), 200);
  }
  const VerifyResult result = CheckWell();
  EXPECT_EQ(result.bad, 50U);
  EXPECT_THAT(result.problems, SizeIs(kTellAtMost));
}

TEST_F(VerifyTest, GoesOnBehindAFileThatCannotBeRead) {
  for (const std::string mode : {"counter", "dlio"}) {
    auto mem = storage::OpenBackend("mem:");
    ASSERT_TRUE(mem.ok());
    auto fault = storage::NewFaultBackend(
        {{.operation = storage::FaultRule::Operation::kRead,
          .object = "train/img_2",
          .action =
              storage::FaultRule::Error{core::Status::FromErrno(EIO, "read")}}},
        std::move(mem).value());
    ASSERT_TRUE(fault.ok()) << fault.status().ToString();
    backend_ =
        std::make_unique<testing::TunedBackend>(std::move(fault).value());
    GeneratePlan plan = NpzPlan();
    plan.content = {.mode = mode};
    ASSERT_TRUE(Run(plan).ok());
    const VerifyResult result = CheckWell();
    EXPECT_EQ(result.bad, 1U) << mode;
    EXPECT_EQ(result.contents, 7U);
  }
}

TEST_F(VerifyTest, NeedsAFinishedDataset) {
  EXPECT_EQ(Check().status().code(), Code::kNotFound);
  ASSERT_TRUE(Run(NpzPlan()).ok());
  Put("stoker_dataset.partial.json", Get("stoker_dataset.json"));
  ASSERT_TRUE(backend_->Remove("stoker_dataset.json").ok());
  EXPECT_EQ(Check().status().code(), Code::kInvalidArgument);
  Put("stoker_dataset.json", "{}");
  EXPECT_EQ(Check().status().code(), Code::kCorruption);
  Open("null:");
  EXPECT_EQ(Check().status().code(), Code::kInvalidArgument);
}

TEST_F(VerifyTest, StorageThatHangsEndsItWithTheRemedy) {
  auto mem = storage::OpenBackend("mem:");
  ASSERT_TRUE(mem.ok());
  auto fault = storage::NewFaultBackend(
      {{.operation = storage::FaultRule::Operation::kRead,
        .object = "train/img_2",
        .action = storage::FaultRule::Delay{std::chrono::hours(1)}}},
      std::move(mem).value());
  ASSERT_TRUE(fault.ok()) << fault.status().ToString();
  backend_ = std::make_unique<testing::TunedBackend>(std::move(fault).value());
  ASSERT_TRUE(Run(NpzPlan()).ok());
  io_timeout_ = std::chrono::milliseconds(1);
  const core::Status status = Check().status();
  EXPECT_EQ(status.code(), Code::kTimedOut);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--io-timeout"));
  // What hangs still holds on to it.
  static auto* const kept = new std::unique_ptr<testing::TunedBackend>();
  *kept = std::move(backend_);
}

TEST_F(VerifyTest, StopsWhenAskedTo) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  const auto result = Check(1, [&](const OwnProgress& own) {
    EXPECT_EQ(own.files_mine, 7U);
    cancel_.Set();
  });
  EXPECT_EQ(result.status().code(), Code::kCancelled);
}

}  // namespace
}  // namespace stoker::generators
