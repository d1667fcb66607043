// Saving, finding and restoring, on memory and with scripted failures.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "checkpoint/restore.h"
#include "checkpoint/save.h"
#include "core/crc.h"
#include "tests/checkpoint/scenario.h"
#include "tests/storage/holding_backend.h"

namespace stoker::checkpoint {
namespace {

using testing::Content;
using ::testing::HasSubstr;
using testing::OpenOrDie;
using testing::Replace;
using testing::Scenario;

std::vector<std::string> Names(storage::Backend& backend,
                               const std::string& prefix) {
  std::vector<std::string> names;
  EXPECT_TRUE(backend
                  .List(prefix,
                        [&](const storage::ObjectInfo& info) {
                          names.emplace_back(info.name);
                          return true;
                        })
                  .ok());
  std::ranges::sort(names);
  return names;
}

TEST(HeldBuffers, ARestoreReadsIntoOthersAndLeavesThemBehind) {
  auto holding =
      std::make_unique<stoker::testing::HoldingBackend>(OpenOrDie("mem:"), 2);
  stoker::testing::HoldingBackend& backend = *holding;
  Scenario scenario(std::move(holding));
  const auto saved = scenario.Save(1);
  ASSERT_TRUE(saved.ok()) << saved.status().ToString();
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  // Every byte is compared.
  const auto restored = scenario.Restore(found.value().at(0));
  EXPECT_TRUE(restored.ok()) << restored.status().ToString();
  EXPECT_GE(backend.Scribble(), 2U);
}

constexpr const char* kFile =
    "global_epoch1_step1/zero_pp_rank_0_mp_rank_3_optim_states.pt";

struct Way {
  FileFormat format;
  IoStyle style;
};

class EveryWay : public ::testing::TestWithParam<Way> {};

TEST_P(EveryWay, WhatWasSavedIsRestoredWithEveryByteCompared) {
  Scenario scenario(OpenOrDie("mem:"));
  scenario.context.style = GetParam().style;
  scenario.save.format = GetParam().format;
  const auto saved = scenario.Save(1);
  ASSERT_TRUE(saved.ok()) << saved.status().ToString();
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  const auto restored = scenario.Restore(found.value().at(0));
  ASSERT_TRUE(restored.ok()) << restored.status().ToString();
  std::uint64_t payload = 0;
  for (const ShardFile& file : FilesOf(scenario.spec, scenario.layout, 0)) {
    payload += file.payload_bytes();
  }
  EXPECT_EQ(saved.value().payload_bytes, payload);
  EXPECT_EQ(restored.value().payload_bytes, payload);
  EXPECT_EQ(restored.value().verified_bytes, payload);
  EXPECT_LE(restored.value().start, restored.value().first_byte);
  EXPECT_LE(restored.value().first_byte, restored.value().last_byte);
  EXPECT_LE(restored.value().last_byte, restored.value().end);
}

TEST_P(EveryWay, ASinglePoolOfPagesSuffices) {
  Scenario scenario(OpenOrDie("mem:"));
  scenario.context.style = GetParam().style;
  scenario.context.pool_bytes = 64U << 10;
  scenario.save.format = GetParam().format;
  ASSERT_TRUE(scenario.Save(1).ok());
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  const auto restored = scenario.Restore(found.value().at(0));
  EXPECT_TRUE(restored.ok()) << restored.status().ToString();
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, EveryWay,
    ::testing::Values(Way{FileFormat::kTorchZip, IoStyle::kLean},
                      Way{FileFormat::kTorchZip, IoStyle::kReference},
                      Way{FileFormat::kTorchZip21, IoStyle::kLean},
                      Way{FileFormat::kTorchZip113, IoStyle::kReference},
                      Way{FileFormat::kTorchZip113, IoStyle::kLean},
                      Way{FileFormat::kRaw, IoStyle::kLean},
                      Way{FileFormat::kRaw, IoStyle::kReference}));

TEST(Saver, StylesWriteTheSameBytes) {
  std::vector<std::string> contents;
  for (const IoStyle style : {IoStyle::kLean, IoStyle::kReference}) {
    Scenario scenario(OpenOrDie("mem:"));
    scenario.context.style = style;
    ASSERT_TRUE(scenario.Save(1).ok());
    contents.push_back(Content(*scenario.backend, kFile));
  }
  EXPECT_EQ(contents[0], contents[1]);
}

TEST(Saver, TheManifestNamesEveryFileWithItsSizeAndSum) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  const auto manifest =
      ReadManifest(*scenario.backend, "global_epoch1_step1", scenario.clock);
  ASSERT_TRUE(manifest.ok() && manifest.value().has_value());
  std::set<std::string> named;
  for (const ManifestFile& file : manifest.value()->files) {
    const std::string name = "global_epoch1_step1/" + file.name;
    const std::string content = Content(*scenario.backend, name);
    EXPECT_EQ(content.size(), file.bytes);
    EXPECT_EQ(core::Crc32(std::as_bytes(std::span(content))), file.crc);
    named.insert(name);
  }
  named.insert("global_epoch1_step1/stoker_checkpoint.json");
  const auto there = Names(*scenario.backend, "global_epoch1_step1/");
  EXPECT_EQ(std::vector(named.begin(), named.end()), there);
}

TEST(Saver, AFailedSaveLeavesNoManifestEvenOverAnEarlierOne) {
  core::SystemClock clock;
  Scenario scenario(
      OpenOrDie("fault:?op=write&object=step1/zero_pp_rank_0_mp_rank_3&nth=1"
                "&error=ENOSPC,mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  const auto failed = scenario.Save(1, 2);
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("rank 3"));
  const auto manifest =
      ReadManifest(*scenario.backend, "global_epoch1_step1", clock);
  ASSERT_TRUE(manifest.ok());
  EXPECT_FALSE(manifest.value().has_value());
  const auto found = scenario.Find(1);
  EXPECT_EQ(found.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("saving was interrupted"));
  // Nor with leave to take others' files: these are ours, and not whole.
  EXPECT_FALSE(scenario.Find(1, /*foreign=*/true).ok());
}

TEST(FindCheckpoints, TheVeryStepFoldersAreAskedFor) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  ASSERT_TRUE(scenario.Save(3).ok());
  Replace(*scenario.backend, "something/else", "x");
  const auto found = scenario.Find(2);
  EXPECT_EQ(found.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("global_epoch1_step2"));
}

TEST(FindCheckpoints, AnotherModelIsRefusedWithBoth) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  scenario.spec.hidden = 128;
  const auto found = scenario.Find(1);
  EXPECT_EQ(found.status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("hidden size 64"));
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("hidden size 128"));
}

TEST(FindCheckpoints, AShortOrMissingFileOfAnyRankIsFound) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  const std::string content = Content(*scenario.backend, kFile);
  Replace(*scenario.backend, kFile, content.substr(1));
  EXPECT_EQ(scenario.Find(1).status().code(), core::Code::kCorruption);
  ASSERT_TRUE(scenario.backend->Remove(kFile).ok());
  EXPECT_EQ(scenario.Find(1).status().code(), core::Code::kNotFound);
}

TEST(Restorer, FullFindsAnyChangedByteOfAFile) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok());
  const std::string content = Content(*scenario.backend, kFile);
  // Headers, tensors, directory: ends and in between.
  for (std::size_t at = 0; at < content.size();
       at += std::max<std::size_t>(1, content.size() / 97)) {
    std::string changed = content;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    Replace(*scenario.backend, kFile, changed);
    const auto restored = scenario.Restore(found.value()[0]);
    EXPECT_EQ(restored.status().code(), core::Code::kCorruption) << at;
    EXPECT_THAT(std::string(restored.status().message()),
                HasSubstr("mp_rank_3_optim_states.pt"));
  }
}

TEST(Restorer, SampleFindsChangedEndsOfEveryTensor) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  scenario.restore.verify = Verify::kSample;
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok());
  const std::string content = Content(*scenario.backend, kFile);
  const ShardFile file = FilesOf(scenario.spec, scenario.layout, 3).back();
  const FileLayout layout(file, FileFormat::kTorchZip);
  for (std::size_t i = 0; i < layout.tensors(); ++i) {
    const std::uint64_t last =
        layout.offset(i) + file.tensors[layout.index(i)].bytes() - 1;
    for (const std::uint64_t at : {layout.offset(i), last}) {
      std::string changed = content;
      changed[at] = static_cast<char>(changed[at] ^ 1);
      Replace(*scenario.backend, kFile, changed);
      EXPECT_FALSE(scenario.Restore(found.value()[0]).ok()) << at;
    }
  }
}

TEST(Restorer, AFileOfAnEarlierSaveIsNotTakenForThisOnes) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1, /*save_id=*/1).ok());
  const std::string stale = Content(*scenario.backend, kFile);
  ASSERT_TRUE(scenario.Save(1, /*save_id=*/2).ok());
  Replace(*scenario.backend, kFile, stale);
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok());
  for (const Verify verify : {Verify::kSample, Verify::kFull}) {
    scenario.restore.verify = verify;
    EXPECT_EQ(scenario.Restore(found.value()[0]).status().code(),
              core::Code::kCorruption);
  }
}

TEST(Restorer, AReadErrorOfOneRankEndsTheRestoreOfAll) {
  Scenario scenario(
      OpenOrDie("fault:?op=read&object=mp_rank_2_optim&error=EIO,mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  const auto restored = scenario.Restore(found.value()[0]);
  EXPECT_EQ(restored.status().code(), core::Code::kIoError);
  EXPECT_THAT(std::string(restored.status().message()), HasSubstr("rank 2"));
}

TEST(Restorer, ForeignArchivesAreHeldAgainstTheirOwnSums) {
  Scenario scenario(OpenOrDie("mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  ASSERT_TRUE(
      scenario.backend->Remove("global_epoch1_step1/stoker_checkpoint.json")
          .ok());
  EXPECT_EQ(scenario.Find(1).status().code(), core::Code::kNotFound);
  const auto found = scenario.Find(1, /*foreign=*/true);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  const auto restored = scenario.Restore(found.value()[0]);
  ASSERT_TRUE(restored.ok()) << restored.status().ToString();
  EXPECT_EQ(restored.value().verified_bytes, restored.value().payload_bytes);
  std::string changed = Content(*scenario.backend, kFile);
  const ShardFile file = FilesOf(scenario.spec, scenario.layout, 3).back();
  const std::uint64_t at = FileLayout(file, FileFormat::kTorchZip).offset(0);
  changed[at + 5] = static_cast<char>(changed[at + 5] ^ 1);
  Replace(*scenario.backend, kFile, changed);
  const auto bad = scenario.Restore(found.value()[0]);
  EXPECT_EQ(bad.status().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("CRC-32"));
}

TEST(Restorer, WithAShiftEachRankReadsAnothersFiles) {
  Scenario scenario(
      OpenOrDie("fault:?op=read&object=mp_rank_3_optim&error=EIO,mem:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  scenario.restore.rank_shift = 2;
  const auto found = scenario.Find(1);
  ASSERT_TRUE(found.ok());
  const auto restored = scenario.Restore(found.value()[0]);
  // The file of rank 3 is read by rank (3 - 2) mod 4.
  EXPECT_THAT(std::string(restored.status().message()), HasSubstr("rank 1"));
}

TEST(Saver, StoresWithoutDataSaveAndRestoreAllTheSame) {
  Scenario scenario(OpenOrDie("null:"));
  ASSERT_TRUE(scenario.Save(1).ok());
  const auto found = scenario.Find(2);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  ASSERT_EQ(found.value().size(), 2U);
  for (const IoStyle style : {IoStyle::kLean, IoStyle::kReference}) {
    scenario.context.style = style;
    const auto restored = scenario.Restore(found.value()[1]);
    ASSERT_TRUE(restored.ok()) << restored.status().ToString();
    EXPECT_GT(restored.value().payload_bytes, 0U);
    EXPECT_EQ(restored.value().verified_bytes, 0U);
  }
}

TEST(Saver, ACancelledSaveEndsAndLeavesNoManifest) {
  Scenario scenario(OpenOrDie("mem:"));
  scenario.cancel.Set();
  EXPECT_EQ(scenario.Save(1).status().code(), core::Code::kCancelled);
  const auto manifest =
      ReadManifest(*scenario.backend, "global_epoch1_step1", scenario.clock);
  EXPECT_TRUE(!manifest.ok() || !manifest.value().has_value());
}

}  // namespace
}  // namespace stoker::checkpoint
