#include "generators/delete.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "storage/fault_backend.h"
#include "tests/generators/scenario.h"
#include "tests/support/temp_dir.h"

namespace stoker::generators {
namespace {

namespace fs = std::filesystem;

using core::Code;
using ::testing::Contains;
using testing::GenerateTest;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using testing::NpzPlan;
using testing::TfrecordPlan;
using ::testing::UnorderedElementsAre;

class DeleteTest : public GenerateTest {
 protected:
  core::Result<DeleteResult> Remove(int ranks = 1) {
    core::Result<DeleteResult> first = DeleteResult{};
    comm::RunThreads(ranks, clock_, &cancel_, [&](comm::Communicator& comm) {
      auto result = Delete(comm, *backend_, clock_, cancel_, {});
      if (comm.rank() == 0) {
        first = std::move(result);
      }
    });
    return first;
  }
};

TEST_F(DeleteTest, RemovesWhatTheManifestNamesAndNothingElse) {
  GeneratePlan plan = TfrecordPlan();
  plan.content.distinct = 3;
  plan.train.subfolders = 2;
  ASSERT_TRUE(Run(plan).ok());
  Put("train/notes.txt", "x");
  Put("train/1/img_1_of_8.tfrecord", "x");
  Put("mine.txt", "x");
  const auto gone = Remove(3);
  ASSERT_TRUE(gone.ok()) << gone.status().ToString();
  EXPECT_EQ(gone.value().names, 7U);
  EXPECT_EQ(gone.value().others, 7U);
  EXPECT_EQ(gone.value().foreign, 2U);
  EXPECT_THAT(All(), UnorderedElementsAre(Key("train/notes.txt"),
                                          Key("train/1/img_1_of_8.tfrecord"),
                                          Key("mine.txt")));
}

TEST_F(DeleteTest, RemovesFoldersThatAreEmpty) {
  const stoker::testing::TempDir temp;
  Open("file://" + temp.str() + "/data");
  GeneratePlan plan = TfrecordPlan();
  plan.train.subfolders = 3;
  ASSERT_TRUE(Run(plan).ok());
  Put("train/1/mine.txt", "x");
  ASSERT_TRUE(Remove(2).ok());
  const fs::path data = temp.path() / "data";
  EXPECT_TRUE(fs::exists(data / "train/1/mine.txt"));
  EXPECT_FALSE(fs::exists(data / "train/0"));
  EXPECT_FALSE(fs::exists(data / "valid"));
  EXPECT_FALSE(fs::exists(data / "index"));
  EXPECT_FALSE(fs::exists(data / "stoker_dataset.json"));
  EXPECT_FALSE(fs::exists(data / "stoker_dataset.partial.json"));
}

// As a process leaves it that is killed while it writes.
void LeaveUnfinished(std::string_view uri, std::string_view object) {
  const pid_t child = ::fork();
  if (child == 0) {
    core::SystemClock clock;
    auto backend = storage::OpenBackend(uri);
    if (!backend.ok()) {
      ::_exit(1);
    }
    const auto stream = backend.value()->Create(object, {}, clock);
    ::_exit(stream.ok() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
}

std::ptrdiff_t Hidden(const fs::path& folder) {
  return std::ranges::count_if(
      fs::directory_iterator(folder), [](const fs::directory_entry& entry) {
        return entry.path().filename().string().starts_with('.');
      });
}

TEST_F(DeleteTest, WhatKilledWritersLeftGoesWithTheDataset) {
  const stoker::testing::TempDir temp;
  Open("file://" + temp.str() + "/data");
  ASSERT_TRUE(Run(NpzPlan()).ok());
  const fs::path train = temp.path() / "data/train";
  LeaveUnfinished(backend_->uri(), "train/img_1_of_5.npz");
  EXPECT_EQ(Hidden(train), 1);
  const auto gone = Remove(2);
  ASSERT_TRUE(gone.ok()) << gone.status().ToString();
  EXPECT_EQ(gone.value().swept.objects, 1U);
  EXPECT_FALSE(fs::exists(train));
}

TEST_F(DeleteTest, GeneratingAgainRemovesWhatKilledWritersLeft) {
  const stoker::testing::TempDir temp;
  Open("file://" + temp.str() + "/data");
  LeaveUnfinished(backend_->uri(), "valid/img_1_of_2.npz");
  EXPECT_EQ(RunWell(3, NpzPlan()).swept.objects, 1U);
  EXPECT_EQ(Hidden(temp.path() / "data/valid"), 0);
  EXPECT_EQ(RunWell(3, NpzPlan()).swept.objects, 0U);
}

TEST_F(DeleteTest, KeepsTheMarkerWhileFilesOfTheDatasetAreThere) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  const auto self = comm::MakeSelf(nullptr);
  // Somebody writes what is being deleted.
  const auto gone = Delete(
      *self, *backend_, clock_, cancel_,
      [this](const OwnProgress&) { Put("train/img_0_of_5.npz", "again"); });
  EXPECT_EQ(gone.status().code(), Code::kIoError);
  EXPECT_THAT(std::string(gone.status().message()),
              ::testing::HasSubstr("1 files of the dataset are still there"));
  EXPECT_THAT(All(), Contains(Key("stoker_dataset.partial.json")));
  ASSERT_TRUE(Remove().ok());
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(DeleteTest, RemovesWhatAnInterruptedGenerationLeft) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  Put("stoker_dataset.partial.json", Get("stoker_dataset.json"));
  ASSERT_TRUE(backend_->Remove("stoker_dataset.json").ok());
  ASSERT_TRUE(backend_->Remove("train/img_2_of_5.npz").ok());
  const auto gone = Remove();
  ASSERT_TRUE(gone.ok()) << gone.status().ToString();
  EXPECT_EQ(gone.value().names, 6U);
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(DeleteTest, InterruptedDoesNotLookWholeAndCanBeRepeated) {
  ASSERT_TRUE(Run(NpzPlan()).ok());
  cancel_.Set();
  const auto self = comm::MakeSelf(nullptr);
  EXPECT_EQ(Delete(*self, *backend_, clock_, cancel_, {}).status().code(),
            Code::kCancelled);
  EXPECT_FALSE(HasManifest());
  EXPECT_THAT(All(), Contains(Key("stoker_dataset.partial.json")));
  EXPECT_FALSE(
      dataset::Discover(*backend_, {.format = "npz", .files_train = 5}, clock_)
          .ok());
  core::CancelFlag go_on;
  EXPECT_TRUE(Delete(*self, *backend_, clock_, go_on, {}).ok());
  EXPECT_THAT(All(), IsEmpty());
}

TEST_F(DeleteTest, RefusesWhereNoDatasetOfOursIs) {
  Put("train/img_0_of_5.npz", "somebody's");
  const auto gone = Remove(2);
  EXPECT_EQ(gone.status().code(), Code::kNotFound);
  EXPECT_THAT(All(), Contains(Key("train/img_0_of_5.npz")));
  Put("stoker_dataset.json", "{}");
  EXPECT_EQ(Remove().status().code(), Code::kCorruption);
  EXPECT_THAT(All(), Contains(Key("train/img_0_of_5.npz")));
  Open("null:");
  EXPECT_EQ(Remove().status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace stoker::generators
