#include "run/place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace stoker::run {
namespace {

std::string UriOf(std::string_view data_dir, std::string_view model) {
  const auto uri = DatasetUri(data_dir, model, {});
  EXPECT_TRUE(uri.ok()) << uri.status().ToString();
  return uri.ok() ? uri.value() : "";
}

TEST(DatasetUri, AppendsTheModel) {
  EXPECT_EQ(UriOf("data", "unet3d"), "data/unet3d");
  EXPECT_EQ(UriOf("/mnt/ml/data", "resnet50"), "/mnt/ml/data/resnet50");
  EXPECT_EQ(UriOf("/", "unet3d"), "//unet3d");
}

TEST(DatasetUri, KeepsAFolderNamedAfterAModel) {
  EXPECT_EQ(UriOf("/mnt/unet3d", "unet3d"), "/mnt/unet3d");
  EXPECT_EQ(UriOf("/mnt/cosmoflow", "unet3d"), "/mnt/cosmoflow");
  EXPECT_EQ(UriOf("unet3d", "unet3d"), "unet3d");
  EXPECT_EQ(UriOf("/mnt/mine", "mine"), "/mnt/mine");
}

TEST(DatasetUri, OnlyTheWholeNameOfTheLastFolderCounts) {
  EXPECT_EQ(UriOf("/mnt/my_unet3d", "unet3d"), "/mnt/my_unet3d/unet3d");
  EXPECT_EQ(UriOf("/unet3d/data", "unet3d"), "/unet3d/data/unet3d");
}

TEST(DatasetUri, TrailingSlashesDoNotMatter) {
  EXPECT_EQ(UriOf("/mnt/unet3d/", "unet3d"), "/mnt/unet3d");
  EXPECT_EQ(UriOf("data//", "unet3d"), "data/unet3d");
}

TEST(DatasetUri, OptionsStayBehindThePlace) {
  EXPECT_EQ(UriOf("file:///mnt/x?engine=threads", "unet3d"),
            "file:///mnt/x/unet3d?engine=threads");
  EXPECT_EQ(UriOf("file:///mnt/unet3d/?engine=threads", "unet3d"),
            "file:///mnt/unet3d?engine=threads");
}

TEST(DatasetUri, WrappersKeepTheirTextAndTheInnermostPlaceGrows) {
  EXPECT_EQ(UriOf("model:?latency=1ms,/mnt/x", "unet3d"),
            "model:?latency=1ms,/mnt/x/unet3d");
  EXPECT_EQ(UriOf("fault:?op=read,model:?latency=1ms,file:///mnt/x", "unet3d"),
            "fault:?op=read,model:?latency=1ms,file:///mnt/x/unet3d");
}

TEST(DatasetUri, StoresWithoutAPlaceStayAsTheyAre) {
  EXPECT_EQ(UriOf("null:", "unet3d"), "null:");
  EXPECT_EQ(UriOf("mem:", "unet3d"), "mem:");
  EXPECT_EQ(UriOf("model:?latency=1ms,null:", "unet3d"),
            "model:?latency=1ms,null:");
}

TEST(DatasetUri, WithoutDataDirItIsTheWorkloadsFolder) {
  config::WorkloadConfig workload;
  workload.storage.storage_root = "/mnt/store";
  workload.dataset.data_folder = "data/unet3d";
  const auto below = DatasetUri("", "unet3d", workload);
  workload.dataset.data_folder = "/elsewhere/unet3d";
  const auto absolute = DatasetUri("", "unet3d", workload);

  EXPECT_EQ(below.value(), "/mnt/store/data/unet3d");
  EXPECT_EQ(absolute.value(), "/elsewhere/unet3d");
}

TEST(DatasetUri, WithStorageTypeS3PathsAreBelowTheBucket) {
  config::WorkloadConfig workload;
  workload.storage.storage_type = "s3";
  workload.storage.storage_root = "bucket/some/";
  workload.dataset.data_folder = "./data/unet3d/";
  EXPECT_EQ(DatasetUri("", "unet3d", workload).value(),
            "s3://bucket/some/data/unet3d");
  EXPECT_EQ(DatasetUri("prefix", "unet3d", workload).value(),
            "s3://bucket/some/prefix/unet3d");
  EXPECT_EQ(DatasetUri("file:///mnt", "unet3d", workload).value(),
            "file:///mnt/unet3d");
  workload.storage.storage_root = "s3://bucket";
  EXPECT_EQ(DatasetUri("", "unet3d", workload).value(),
            "s3://bucket/data/unet3d");
  workload.storage.storage_root = "./";
  EXPECT_EQ(DatasetUri("", "unet3d", workload).status().code(),
            core::Code::kInvalidArgument);
}

TEST(DatasetUri, ADataFolderMayNameItsBackEnd) {
  config::WorkloadConfig workload;
  workload.dataset.data_folder = "s3://bucket/data/unet3d";
  EXPECT_EQ(DatasetUri("", "unet3d", workload).value(),
            "s3://bucket/data/unet3d");
}

std::string CheckpointUriOf(std::string_view folder) {
  const auto uri = CheckpointUri(folder, "llama3-8b", {});
  EXPECT_TRUE(uri.ok()) << uri.status().ToString();
  return uri.ok() ? uri.value() : "";
}

TEST(CheckpointUri, AppendsTheModelWhateverTheFolderIsCalled) {
  EXPECT_EQ(CheckpointUriOf("/mnt/ck"), "/mnt/ck/llama3-8b");
  EXPECT_EQ(CheckpointUriOf("/mnt/llama3-8b/"), "/mnt/llama3-8b/llama3-8b");
  EXPECT_EQ(CheckpointUriOf("file:///mnt/x?engine=threads"),
            "file:///mnt/x/llama3-8b?engine=threads");
  EXPECT_EQ(CheckpointUriOf("model:?latency=1ms,/mnt/x"),
            "model:?latency=1ms,/mnt/x/llama3-8b");
  EXPECT_EQ(CheckpointUriOf("null:"), "null:");
}

TEST(CheckpointUri, WithoutAFolderTheWorkloadsIsMeant) {
  config::WorkloadConfig workload;
  workload.checkpoint.checkpoint_folder = "checkpoints/llama_8b";

  EXPECT_EQ(CheckpointUri("", "llama3-8b", workload).value(),
            "checkpoints/llama_8b");
}

TEST(CheckStorage, RefusesMemoryOfOneProcessForSeveral) {
  EXPECT_TRUE(CheckStorage("mem:x", 1).ok());
  EXPECT_EQ(CheckStorage("mem:x", 2).code(), core::Code::kInvalidArgument);
  EXPECT_TRUE(CheckStorage("null:", 2).ok());
}

TEST(CheckStorage, RefusesBackEndsAndOptionsThatDoNotExist) {
  EXPECT_TRUE(CheckStorage("/mnt/nothing/there", 2).ok());
  EXPECT_TRUE(CheckStorage("model:?latency=1ms,null:", 2).ok());
  EXPECT_EQ(CheckStorage("fil:///mnt/x", 2).code(),
            core::Code::kInvalidArgument);
  EXPECT_EQ(CheckStorage("file:///mnt/x?engin=threads", 2).code(),
            core::Code::kInvalidArgument);
}

TEST(DatasetUri, BrokenOptionsAreAnError) {
  const auto uri = DatasetUri("file:///mnt/x?engine", "unet3d", {});

  ASSERT_FALSE(uri.ok());
  EXPECT_EQ(uri.status().code(), core::Code::kInvalidArgument);
}

}  // namespace
}  // namespace stoker::run
