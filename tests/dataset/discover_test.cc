#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "dataset/manifest.h"
#include "dataset/spec.h"
#include "formats/registry.h"
#include "storage/registry.h"
#include "tests/support/temp_dir.h"

namespace stoker::dataset {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DiscoverTest : public ::testing::Test {
 protected:
  void SetUp() override { Open("mem:"); }

  void Open(std::string_view uri) {
    auto opened = storage::OpenBackend(uri);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    backend_ = std::move(opened).value();
  }
  void Put(std::string_view name, std::size_t bytes = 1) {
    ASSERT_TRUE(
        storage::WriteObject(*backend_, name, std::string(bytes, 'x'), clock_)
            .ok());
  }
  void PutSet(const Naming& naming) {
    for (std::uint64_t i = 0; i < naming.total; ++i) {
      Put(ObjectName(naming, i));
    }
  }
  // Files of the sizes the manifest calls for: edge 4, so 16 + 498 bytes.
  void PutDataset() {
    manifest_.format = "npz";
    manifest_.train = {.total = 40, .subfolders = 2};
    manifest_.valid = {.set = "valid", .total = 3};
    manifest_.sizes.record_length = 16;
    for (std::uint64_t i = 0; i < 40; ++i) {
      Put(ObjectName(manifest_.train, i), 514);
    }
    for (std::uint64_t i = 0; i < 3; ++i) {
      Put(ObjectName(manifest_.valid, i), 514);
    }
    ASSERT_TRUE(WriteManifest(*backend_, manifest_, clock_).ok());
    options_.files_train = 40;
    options_.files_eval = 3;
    options_.subfolders_train = 2;
  }
  core::Result<Discovered> Find() {
    return Discover(*backend_, options_, clock_);
  }
  std::string Message() { return std::string(Find().status().message()); }

  core::SystemClock clock_;
  std::unique_ptr<storage::Backend> backend_;
  DiscoverOptions options_ = {.format = "npz", .files_train = 4};
  Manifest manifest_;
};

// --- Without a manifest -----------------------------------------------------

TEST_F(DiscoverTest, ListsAFlatDataset) {
  PutSet({.prefix = "pic", .total = 4});
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().train, (Naming{.prefix = "pic", .total = 4}));
  EXPECT_EQ(found.value().valid.total, 0U);
  EXPECT_EQ(found.value().samples_per_file, 0U);
  EXPECT_FALSE(found.value().manifest.has_value());
  EXPECT_THAT(found.value().warnings, IsEmpty());
}

TEST_F(DiscoverTest, TakesOneSubfolderForFlat) {
  PutSet({.total = 4});
  options_.subfolders_train = 1;
  EXPECT_TRUE(Find().ok()) << Message();
}

TEST_F(DiscoverTest, ListsSubfoldersAndTheEvalSet) {
  PutSet({.total = 12, .subfolders = 11});
  PutSet({.set = "valid", .total = 2});
  options_ = {.format = "npz",
              .files_train = 12,
              .files_eval = 2,
              .subfolders_train = 11,
              .subfolders_eval = 0};
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().train, (Naming{.total = 12, .subfolders = 11}));
  EXPECT_EQ(found.value().valid, (Naming{.set = "valid", .total = 2}));
}

TEST_F(DiscoverTest, WarnsOfMoreFilesAndUsesTheFirst) {
  PutSet({.total = 6});
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().train.total, 6U);
  ASSERT_EQ(found.value().warnings.size(), 1U);
  EXPECT_THAT(found.value().warnings[0],
              AllOf(HasSubstr("holds 6 files"), HasSubstr("first 4")));
}

TEST_F(DiscoverTest, WarnsOfOtherObjectsAndIgnoresThem) {
  PutSet({.total = 4});
  Put("train/README.txt");
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  ASSERT_EQ(found.value().warnings.size(), 1U);
  EXPECT_THAT(found.value().warnings[0], HasSubstr("train/README.txt"));
}

TEST_F(DiscoverTest, OfAnEmptyPlaceNamesTheRemedy) {
  EXPECT_EQ(Find().status().code(), core::Code::kNotFound);
  EXPECT_THAT(Message(), AllOf(HasSubstr("stoker training datagen"),
                               HasSubstr("dataset.num_files_train=4")));
}

TEST_F(DiscoverTest, OfAMissingEvalSetNamesItsKey) {
  PutSet({.total = 4});
  options_.files_eval = 2;
  EXPECT_EQ(Find().status().code(), core::Code::kNotFound);
  EXPECT_THAT(Message(), AllOf(HasSubstr("valid/"),
                               HasSubstr("dataset.num_files_eval=2")));
}

TEST_F(DiscoverTest, OfTooFewFilesNamesBothCounts) {
  PutSet({.total = 3});
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), HasSubstr("3 of the 4 files"));
}

TEST_F(DiscoverTest, NamesTheFirstHole) {
  PutSet({.total = 6});
  ASSERT_TRUE(backend_->Remove("train/img_2_of_6.npz").ok());
  EXPECT_EQ(Find().status().code(), core::Code::kNotFound);
  EXPECT_THAT(Message(), HasSubstr("train/img_2_of_6.npz is missing"));
}

TEST_F(DiscoverTest, AllowsAHoleBehindTheFilesWanted) {
  PutSet({.total = 6});
  ASSERT_TRUE(backend_->Remove("train/img_4_of_6.npz").ok());
  EXPECT_TRUE(Find().ok()) << Message();
}

TEST_F(DiscoverTest, RefusesTwoDatasetsInOneFolder) {
  PutSet({.total = 4});
  PutSet({.total = 5});
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), AllOf(HasSubstr("two datasets in one folder"),
                               HasSubstr("_of_4.npz"), HasSubstr("_of_5.npz")));
}

TEST_F(DiscoverTest, RefusesTwoPrefixesInOneFolder) {
  PutSet({.total = 4});
  Put("train/pic_0_of_4.npz");
  EXPECT_THAT(Message(), HasSubstr("two datasets in one folder"));
}

TEST_F(DiscoverTest, RefusesNamesOfAnotherForm) {
  PutSet({.total = 4});
  Put("train/img_00_of_4.npz");
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), HasSubstr("train/img_00_of_4.npz"));
}

TEST_F(DiscoverTest, RefusesAnAbsurdTotal) {
  Put("train/img_0000000000000_of_9999999999999.npz");
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
}

TEST_F(DiscoverTest, RefusesAnotherSubfolderCount) {
  PutSet({.total = 4, .subfolders = 2});
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), AllOf(HasSubstr("dataset.num_subfolders_train=0"),
                               HasSubstr("train/0/img_0_of_4.npz")));
}

// --- With a manifest --------------------------------------------------------

TEST_F(DiscoverTest, BelievesTheManifest) {
  PutDataset();
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().train, manifest_.train);
  EXPECT_EQ(found.value().valid, manifest_.valid);
  EXPECT_EQ(found.value().samples_per_file, 1U);
  EXPECT_TRUE(found.value().manifest.has_value());
  EXPECT_THAT(found.value().warnings, IsEmpty());
}

TEST_F(DiscoverTest, DoesNotListWhereThereIsAManifest) {
  PutDataset();
  Put("train/img_00_of_41.npz");  // a listing would refuse this
  EXPECT_TRUE(Find().ok()) << Message();
}

TEST_F(DiscoverTest, LooksOnlyAtTheSetsThatAreWanted) {
  PutDataset();
  options_.files_eval = 0;
  ASSERT_TRUE(backend_->Remove("valid/img_0_of_3.npz").ok());
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().valid.total, 0U);
}

TEST_F(DiscoverTest, WithAManifestWarnsOfMoreFiles) {
  PutDataset();
  options_.files_train = 7;
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().warnings.size(), 1U);
}

TEST_F(DiscoverTest, WithAManifestChecksCountFormatAndFolders) {
  PutDataset();
  options_.files_train = 41;
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), HasSubstr("40 of the 41 files"));
  options_.files_train = 40;
  options_.format = "tfrecord";
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), HasSubstr("format is npz"));
  options_.format = "npz";
  options_.subfolders_train = 4;
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), HasSubstr("dataset.num_subfolders_train=2"));
}

TEST_F(DiscoverTest, FindsTheFirstAndTheLastFileMissing) {
  for (const std::uint64_t index : {0U, 39U}) {
    PutDataset();
    const std::string name = ObjectName(manifest_.train, index);
    ASSERT_TRUE(backend_->Remove(name).ok());
    EXPECT_EQ(Find().status().code(), core::Code::kNotFound);
    EXPECT_THAT(Message(), AllOf(HasSubstr(name), HasSubstr("datagen")));
  }
}

TEST_F(DiscoverTest, NamesAFileOfAnotherSize) {
  PutDataset();
  Put("valid/img_1_of_3.npz", 513);
  EXPECT_EQ(Find().status().code(), core::Code::kCorruption);
  EXPECT_THAT(Message(), AllOf(HasSubstr("valid/img_1_of_3.npz has 513 bytes"),
                               HasSubstr("514")));
}

TEST_F(DiscoverTest, ReportsADamagedManifest) {
  PutDataset();
  Put(kManifestName);
  EXPECT_EQ(Find().status().code(), core::Code::kCorruption);
}

// --- Without data -----------------------------------------------------------

TEST_F(DiscoverTest, GrantsEveryWishWhereNothingIsStored) {
  Open("null:");
  options_ = {.format = "tfrecord",
              .files_train = 1000,
              .files_eval = 10,
              .subfolders_train = 5,
              .subfolders_eval = 1};
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().train,
            (Naming{.suffix = "tfrecord", .total = 1000, .subfolders = 5}));
  EXPECT_EQ(found.value().valid,
            (Naming{.set = "valid", .suffix = "tfrecord", .total = 10}));
}

TEST_F(DiscoverTest, RefusesADatasetThatIsNotFinished) {
  PutDataset();
  ASSERT_TRUE(backend_->Remove(kManifestName).ok());
  ASSERT_TRUE(WriteManifest(*backend_, manifest_, clock_, kPartialName).ok());
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), AllOf(HasSubstr("stoker_dataset.partial.json"),
                               HasSubstr("datagen"), HasSubstr("--delete")));
}

TEST_F(DiscoverTest, TakesTheFirstFilesOfALargerDatasetWithLinks) {
  manifest_.content.distinct = 3;
  PutDataset();
  options_.files_train = 13;
  options_.files_eval = 0;
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().train, manifest_.train);
  ASSERT_EQ(found.value().warnings.size(), 1U);
  EXPECT_THAT(found.value().warnings[0],
              AllOf(HasSubstr("40"), HasSubstr("only the first 13")));
}

// --- On a file system -------------------------------------------------------

// Makes the file as long as it was, with nothing in it.
void Hollow(const std::filesystem::path& path) {
  const std::uintmax_t size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, 0);
  std::filesystem::resize_file(path, size);
}

TEST_F(DiscoverTest, RefusesAFileThatNobodyWrote) {
  const testing::TempDir dir;
  Open("file://" + dir.str());
  PutDataset();
  EXPECT_TRUE(Find().ok()) << Message();
  Hollow(dir.path() / "train/1/img_39_of_40.npz");
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(
      Message(),
      AllOf(HasSubstr("514 bytes of train/1/img_39_of_40.npz were never"),
            HasSubstr("datagen"), HasSubstr("cp --sparse=never")));
}

TEST_F(DiscoverTest, RefusesAFileThatNobodyWroteWithoutAManifest) {
  const testing::TempDir dir;
  Open("file://" + dir.str());
  PutSet({.total = 4});
  EXPECT_TRUE(Find().ok()) << Message();
  Hollow(dir.path() / "train/img_0_of_4.npz");
  EXPECT_EQ(Find().status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(Message(), HasSubstr("1 bytes of train/img_0_of_4.npz"));
}

TEST_F(DiscoverTest, LooksAtASampleOfALargeDataset) {
  const testing::TempDir dir;
  Open("file://" + dir.str());
  PutSet({.total = 132});
  options_.files_train = 132;
  // Of 132 files 66 are looked at: every second one, roughly, and both ends.
  Hollow(dir.path() / "train/img_001_of_132.npz");
  EXPECT_TRUE(Find().ok()) << Message();
  Hollow(dir.path() / "train/img_131_of_132.npz");
  EXPECT_THAT(Message(), HasSubstr("img_131_of_132.npz"));
}

}  // namespace
}  // namespace stoker::dataset
