#include "generators/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
      auto result = Verify(comm, *backend_, clock_, cancel_, progress);
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
  void Flip(std::string_view name, std::size_t byte) {
    std::string content = Get(name);
    ASSERT_LT(byte, content.size());
    content[byte] = static_cast<char>(content[byte] ^ 1);
    Put(name, content);
  }
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
    EXPECT_THAT(result.problems,
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
  EXPECT_THAT(result.problems,
              Contains("train/img_1_of_7.tfrecord: it is missing"));
  EXPECT_THAT(result.problems,
              Contains(HasSubstr("train/img_2_of_7.tfrecord: it has 3 bytes")));
  EXPECT_THAT(result.problems,
              Contains(HasSubstr("train/img_4_of_7.tfrecord: byte 77")));
  EXPECT_THAT(result.problems,
              Contains(HasSubstr("index/train/img_5_of_7.tfrecord.idx: ")));
  EXPECT_THAT(result.problems, Contains(HasSubstr("train/notes.txt: ")));
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
