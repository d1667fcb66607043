#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "config/load.h"
#include "tests/config/load_helpers.h"

namespace stoker::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

core::Result<std::vector<SiteEntry>> Site(std::string_view text) {
  const stoker::testing::TempDir dir;
  testing::WriteText(dir.str() + "/site.yaml", text);
  return LoadSiteFile(dir.str() + "/site.yaml");
}

TEST(LoadSiteFile, ListsValuesInFileOrder) {
  const auto site = Site(
      "hosts: [a:4, b]\ndata_dir: /mnt/x\noversubscribe: yes\nloops: 010\n"
      "results_dir:\nstorage:\n  uri: file:///x\n  model: {latency: 1ms}\n");
  ASSERT_TRUE(site.ok()) << site.status().ToString();
  const auto& entries = site.value();
  ASSERT_EQ(entries.size(), 6U);  // the null is left out
  EXPECT_EQ(entries[0].key, "hosts");
  EXPECT_THAT(entries[0].values, ElementsAre("a:4", "b"));
  EXPECT_EQ(entries[0].line, 1);
  EXPECT_THAT(entries[2].values, ElementsAre("true"));
  EXPECT_THAT(entries[3].values, ElementsAre("010"));  // as written
  EXPECT_EQ(entries[4].key, "storage.uri");
  EXPECT_THAT(entries[4].values, ElementsAre("file:///x"));
  EXPECT_EQ(entries[4].line, 7);
  EXPECT_EQ(entries[5].key, "storage.model.latency");
}

TEST(LoadSiteFile, ParamsBecomeOverrides) {
  const auto site = Site(
      "params:\n  reader.read_threads: 8\n  dataset: {file_prefix: 'a b', "
      "num_files_train: 0x10}\n");
  ASSERT_TRUE(site.ok());
  EXPECT_EQ(site.value()[0].key, "params");
  EXPECT_THAT(site.value()[0].values,
              ElementsAre("reader.read_threads=8", "dataset.file_prefix='a b'",
                          "dataset.num_files_train=16"));
}

TEST(LoadSiteFile, NamesFileLineAndColumnOfEveryMistake) {
  const auto site = Site("a: {b: 1}\nc: [[1]]\nc: 2\n");
  const std::string message(site.status().message());
  EXPECT_EQ(site.status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(message, HasSubstr("site.yaml:1:4: a: allowed: a value"));
  EXPECT_THAT(message, HasSubstr("site.yaml:2:5: c: allowed: a value"));
  EXPECT_THAT(message, HasSubstr("site.yaml:3:1: 'c' is given twice"));
  EXPECT_EQ(LoadSiteFile("/nonexistent.yaml").status().code(),
            core::Code::kNotFound);
}

TEST(LoadSiteFile, TheShippedFilesLoad) {
  const auto site = LoadSiteFile(STOKER_SOURCE_DIR "/configs/local.yaml");
  ASSERT_TRUE(site.ok()) << site.status().ToString();
  EXPECT_EQ(site.value()[0].key, "hosts");
  int files = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(STOKER_SOURCE_DIR "/configs")) {
    if (file.path().extension() == ".yaml") {
      const auto loaded = LoadSiteFile(file.path().string());
      EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
      ++files;
    }
  }
  EXPECT_GE(files, 4);
}

}  // namespace
}  // namespace stoker::config
