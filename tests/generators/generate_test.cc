#include "generators/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/random.h"
#include "dataset/names.h"
#include "tests/generators/scenario.h"

namespace stoker::generators {
namespace {

using testing::FormatNamed;
using testing::GenerateTest;
using ::testing::Key;
using testing::NpzPlan;
using testing::TfrecordPlan;
using ::testing::UnorderedElementsAre;

TEST_F(GenerateTest, MakesBothSetsAndTheManifest) {
  const Outcome made = Run(NpzPlan());
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(made.value().files, 7U);
  EXPECT_FALSE(made.value().reused);
  EXPECT_THAT(All(),
              UnorderedElementsAre(
                  Key("stoker_dataset.json"), Key("train/img_0_of_5.npz"),
                  Key("train/img_1_of_5.npz"), Key("train/img_2_of_5.npz"),
                  Key("train/img_3_of_5.npz"), Key("train/img_4_of_5.npz"),
                  Key("valid/img_0_of_2.npz"), Key("valid/img_1_of_2.npz")));
  const auto manifest = dataset::ReadManifest(*backend_, clock_);
  ASSERT_TRUE(manifest.ok() && manifest.value().has_value());
  EXPECT_EQ(made.value().bytes, manifest.value()->stored_bytes);
}

TEST_F(GenerateTest, MakesTheSameObjectsOnAnyNumberOfRanks) {
  GeneratePlan linked = TfrecordPlan();
  linked.content.distinct = 3;
  linked.train.subfolders = 2;
  for (const GeneratePlan& plan : {NpzPlan(), TfrecordPlan(), linked}) {
    Open("mem:");
    ASSERT_TRUE(Run(plan).ok());
    const Objects alone = All();
    for (const int ranks : {2, 4, 11}) {
      Open("mem:");
      std::uint64_t files = 0;
      for (const Outcome& outcome : RunOn(ranks, plan)) {
        ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
        files += outcome.value().files;
      }
      EXPECT_EQ(All(), alone);
      EXPECT_EQ(files, plan.train.total + plan.valid.total);
    }
  }
}

TEST_F(GenerateTest, FillsEveryFileWithContentOfItsOwn) {
  GeneratePlan plan = NpzPlan();
  plan.train.total = 30;
  plan.sizes.stdev = 0;
  ASSERT_TRUE(Run(plan).ok());
  std::set<std::string> contents;
  for (const auto& [name, content] : All("train/")) {
    contents.insert(content);
  }
  for (const auto& [name, content] : All("valid/")) {
    contents.insert(content);
  }
  EXPECT_EQ(contents.size(), 32U);
}

TEST_F(GenerateTest, LetsAReaderMakeThePayloadAgain) {
  // npz: the array begins at byte 183; file 1 of the eval set is file 6.
  GeneratePlan plan = NpzPlan();
  plan.sizes.stdev = 0;
  ASSERT_TRUE(Run(plan).ok());
  const std::string file = Get("valid/img_1_of_2.npz");
  ASSERT_EQ(file.size(), 10000U + 498U);
  std::string expected(5000, '\0');
  core::FillCounterStream(
      core::StreamKey(7, 6, 0), 3333,
      std::as_writable_bytes(std::span(expected.data(), expected.size())));
  EXPECT_EQ(file.substr(183 + 3333, 5000), expected);
}

TEST_F(GenerateTest, GivesFilesTheDrawnSizes) {
  const GeneratePlan plan = NpzPlan();
  ASSERT_TRUE(Run(plan).ok());
  const dataset::Shapes shapes = dataset::Shapes::Make(plan.sizes, 7);
  EXPECT_EQ(Get("train/img_3_of_5.npz").size(), shapes.at(3).bytes() + 498);
  EXPECT_EQ(Get("valid/img_0_of_2.npz").size(), shapes.at(5).bytes() + 498);
}

TEST_F(GenerateTest, LinksTheNamesBeyondTheDistinctContents) {
  GeneratePlan plan = NpzPlan();
  plan.train.total = 8;
  plan.valid.total = 4;
  plan.content.distinct = 3;
  const Outcome made = Run(plan);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(made.value().files, 12U);
  EXPECT_EQ(backend_->links, 6);
  Objects train = All("train/");
  for (std::uint64_t i = 3; i < 8; ++i) {
    EXPECT_EQ(train[dataset::ObjectName(plan.train, i)],
              train[dataset::ObjectName(plan.train, i % 3)]);
  }
  EXPECT_NE(train[dataset::ObjectName(plan.train, 0)],
            train[dataset::ObjectName(plan.train, 1)]);
  EXPECT_EQ(Get("valid/img_3_of_4.npz"), Get("valid/img_0_of_4.npz"));
  EXPECT_NE(Get("valid/img_0_of_4.npz"), Get("train/img_0_of_8.npz"));
}

TEST_F(GenerateTest, NeedsNoLinksWithAsManyContentsAsFiles) {
  GeneratePlan plan = NpzPlan();
  plan.content.distinct = 5;
  backend_->tuned_capabilities = {.links = false};
  EXPECT_TRUE(Run(plan).ok());
  EXPECT_EQ(backend_->links, 0);
}

TEST_F(GenerateTest, WritesAnIndexBesideEveryTfrecord) {
  GeneratePlan plan = TfrecordPlan();
  plan.content.distinct = 2;
  plan.train.subfolders = 3;
  ASSERT_TRUE(Run(plan).ok());
  EXPECT_EQ(All("index/train/").size(), 7U);
  const std::string data = Get("train/1/img_4_of_7.tfrecord");
  // Three records of equal size, one line each: offset and framed size.
  const std::uint64_t record = data.size() / 3;
  EXPECT_EQ(Get("index/train/img_4_of_7.tfrecord.idx"),
            "0 " + std::to_string(record) + "\n" + std::to_string(record) +
                " " + std::to_string(record) + "\n" +
                std::to_string(2 * record) + " " + std::to_string(record) +
                "\n");
}

TEST_F(GenerateTest, WritesLinksCountsAndKeepsSidecars) {
  const testing::SidecarFormat format;
  GeneratePlan plan = NpzPlan();
  plan.format = &format;
  plan.valid.total = 0;
  plan.sizes.stdev = 0;
  plan.content.distinct = 2;
  plan.samples_per_file = 3;
  const Outcome made = Run(plan);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  // npz: the array, 490 bytes and 8 for each of the 3 labels.
  EXPECT_EQ(made.value().bytes, 2U * (30000 + 490 + 24 + 5 + 24));
  EXPECT_EQ(ManifestOf(plan).stored_bytes, made.value().bytes);
  EXPECT_EQ(All("train/").size(), 15U);
  EXPECT_EQ(Get("train/img_4_of_5.npz.sz").size(), 24U);
  EXPECT_EQ(backend_->links, 3 * 3);
  // A file without one of its sidecars is not whole.
  const Objects whole = All();
  EXPECT_TRUE(Run(plan).value().reused);
  ASSERT_TRUE(backend_->Remove("train/img_1_of_5.npz.five").ok());
  Put("train/img_3_of_5.npz.sz", "cut");
  backend_->creates = 0;
  const Outcome again = Run(plan);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again.value().kept, 3U);
  EXPECT_EQ(backend_->creates, 3 + 2);
  EXPECT_EQ(All(), whole);
}

TEST_F(GenerateTest, LeavesAWholeDatasetAlone) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  backend_->creates = 0;
  for (const Outcome& outcome : RunOn(3, NpzPlan())) {
    ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
    EXPECT_TRUE(outcome.value().reused);
    EXPECT_EQ(outcome.value().files, 0U);
    EXPECT_EQ(outcome.value().bytes, 0U);
  }
  EXPECT_EQ(backend_->creates, 0);
}

TEST_F(GenerateTest, AddsAMissingIndexToAWholeDataset) {
  GeneratePlan plan = TfrecordPlan();
  plan.write_index = false;
  ASSERT_TRUE(Run(plan).ok());
  plan.write_index = true;
  backend_->creates = 0;
  const Outcome made = Run(plan);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_TRUE(made.value().reused);
  EXPECT_EQ(backend_->creates, 7);
  EXPECT_EQ(All("index/train/").size(), 7U);
}

TEST_F(GenerateTest, RepairsADatasetWithFilesMissingOrCut) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  const Objects whole = All();
  ASSERT_TRUE(backend_->Remove("train/img_2_of_5.npz").ok());
  Put("valid/img_1_of_2.npz", "cut");
  const Outcome made = Run(NpzPlan());
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_FALSE(made.value().reused);
  EXPECT_EQ(All(), whole);
}

TEST_F(GenerateTest, ReplacesWhatNothingVouchesForIfToldTo) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  const Objects whole = All();
  Open("mem:");
  Put("train/img_0_of_5.npz", whole.at("train/img_0_of_5.npz"));
  Put("train/img_3_of_5.npz", "of older content");
  GeneratePlan plan = NpzPlan();
  plan.replace = true;
  EXPECT_EQ(RunWell(2, plan).replaced, 2U);
  EXPECT_EQ(All(), whole);
}

TEST_F(GenerateTest, WritesWithoutChecksWhereNothingIsStored) {
  Open("null:");
  backend_->tuned_free_bytes = 0;
  const Outcome made = Run(NpzPlan());
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(made.value().files, 7U);
  EXPECT_GT(made.value().bytes, 0U);
}

TEST_F(GenerateTest, ReportsProgressUpToTheOwnShare) {
  GeneratePlan plan = NpzPlan();
  plan.content.distinct = 2;
  std::vector<std::uint64_t> done;
  std::uint64_t mine = 0;
  std::uint64_t bytes = 0;
  const Outcome made = Run(plan, [&](const OwnProgress& own) {
    done.push_back(own.files_done);
    mine = own.files_mine;
    EXPECT_GE(own.bytes_done, bytes);
    EXPECT_LE(own.bytes_done, own.bytes_mine);
    bytes = own.bytes_done;
  });
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(mine, 7U);
  EXPECT_EQ(done.front(), 0U);
  EXPECT_EQ(done.back(), 7U);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(bytes, made.value().bytes);
  EXPECT_EQ(bytes, made.value().all_bytes);
}

}  // namespace
}  // namespace stoker::generators
