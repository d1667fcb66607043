#include "dataset/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "storage/registry.h"

namespace stoker::dataset {
namespace {

using ::testing::HasSubstr;

Manifest Example() {
  return {.version = 1,
          .tool = "stoker 0.1.0",
          .format = "npz",
          .train = {.total = 168, .subfolders = 12},
          .valid = {.set = "valid"},
          .samples_per_file = 1,
          .sizes = {.record_length = 114660.07,
                    .stdev = 68341808,
                    .resize = 2097152},
          .content = {.mode = "counter", .seed = 7, .distinct = 3},
          .payload_bytes = 25285981919,
          .stored_bytes = 999,
          .hash = ""};
}

class ManifestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = storage::OpenBackend("mem:");
    ASSERT_TRUE(opened.ok());
    backend_ = std::move(opened).value();
  }
  // Writes the example with `change` applied to its JSON.
  void WriteChanged(const std::function<void(nlohmann::json&)>& change) {
    ASSERT_TRUE(WriteManifest(*backend_, Example(), clock_).ok());
    auto text = storage::ReadObject(*backend_, kManifestName, clock_);
    ASSERT_TRUE(text.ok());
    nlohmann::json json = nlohmann::json::parse(text.value());
    change(json);
    ASSERT_TRUE(
        storage::WriteObject(*backend_, kManifestName, json.dump(), clock_)
            .ok());
  }
  core::Status Read() { return ReadManifest(*backend_, clock_).status(); }

  core::SystemClock clock_;
  std::unique_ptr<storage::Backend> backend_;
};

TEST_F(ManifestTest, ReadsBackEveryField) {
  Manifest written = Example();
  written.sizes.record_length = 1.0 / 3;  // needs all its digits
  written.content.seed = UINT64_MAX;
  ASSERT_TRUE(WriteManifest(*backend_, written, clock_).ok());
  const auto read = ReadManifest(*backend_, clock_);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_TRUE(read.value().has_value());
  const Manifest& got = *read.value();
  EXPECT_EQ(got.version, 1);
  EXPECT_EQ(got.tool, "stoker 0.1.0");
  EXPECT_EQ(got.format, "npz");
  EXPECT_EQ(got.train, written.train);
  EXPECT_EQ(got.valid, written.valid);
  EXPECT_EQ(got.samples_per_file, 1U);
  EXPECT_EQ(got.sizes.record_length, 1.0 / 3);
  EXPECT_EQ(got.sizes.stdev, 68341808);
  EXPECT_EQ(got.sizes.resize, 2097152);
  EXPECT_EQ(got.content, written.content);
  EXPECT_EQ(got.payload_bytes, 25285981919U);
  EXPECT_EQ(got.stored_bytes, 999U);
  EXPECT_EQ(got.hash, ManifestHash(written));
}

TEST_F(ManifestTest, IsEmptyWhereThereIsNone) {
  const auto read = ReadManifest(*backend_, clock_);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_FALSE(read.value().has_value());
}

TEST_F(ManifestTest, IsNotSoughtWhereNothingIsStored) {
  auto null = storage::OpenBackend("null:");
  ASSERT_TRUE(null.ok());
  const auto read = ReadManifest(*null.value(), clock_);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_FALSE(read.value().has_value());
}

TEST_F(ManifestTest, OfAnotherVersionIsRefusedByName) {
  WriteChanged([](nlohmann::json& json) { json["version"] = 2; });
  EXPECT_EQ(Read().code(), core::Code::kUnsupported);
  EXPECT_THAT(std::string(Read().message()), HasSubstr("version 2"));
}

TEST_F(ManifestTest, ThatWasChangedByHandIsCorrupt) {
  WriteChanged([](nlohmann::json& json) { json["samples_per_file"] = 2; });
  EXPECT_EQ(Read().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(Read().message()), HasSubstr("hash"));
}

TEST_F(ManifestTest, WithAMissingFieldIsCorrupt) {
  WriteChanged([](nlohmann::json& json) { json["sizes"].erase("seed"); });
  EXPECT_EQ(Read().code(), core::Code::kCorruption);
}

TEST_F(ManifestTest, WithAnotherSizeSeedIsCorrupt) {
  WriteChanged([](nlohmann::json& json) { json["sizes"]["seed"] = 11; });
  EXPECT_EQ(Read().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(Read().message()), HasSubstr("seed is 11"));
}

TEST_F(ManifestTest, ThatIsNoJsonIsCorrupt) {
  ASSERT_TRUE(
      storage::WriteObject(*backend_, kManifestName, "{\"vers", clock_).ok());
  EXPECT_EQ(Read().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(Read().message()), HasSubstr("datagen"));
}

// Computed from the definition in docs/formats.md with Python's integers.
TEST(ManifestHash, FollowsItsDefinition) {
  EXPECT_EQ(ManifestHash(Example()), "261162ed6c6c4fbb");
}

TEST(ManifestHash, ChangesWithEveryFieldButTheTool) {
  const std::vector<std::function<void(Manifest&)>> changes = {
      [](Manifest& m) { m.version = 2; },
      [](Manifest& m) { m.format = "tfrecord"; },
      [](Manifest& m) { m.train.set = "other"; },
      [](Manifest& m) { m.train.prefix = "pic"; },
      [](Manifest& m) { m.train.suffix = "np"; },
      [](Manifest& m) { m.train.total = 169; },
      [](Manifest& m) { m.train.subfolders = 13; },
      [](Manifest& m) { m.valid.set = "other"; },
      [](Manifest& m) { m.valid.prefix = "pic"; },
      [](Manifest& m) { m.valid.suffix = "np"; },
      [](Manifest& m) { m.valid.total = 1; },
      [](Manifest& m) { m.valid.subfolders = 2; },
      [](Manifest& m) { m.samples_per_file = 2; },
      [](Manifest& m) { m.sizes.record_length = 114660.08; },
      [](Manifest& m) { m.sizes.stdev = 0; },
      [](Manifest& m) { m.sizes.resize = 0; },
      [](Manifest& m) { m.content.mode = "other"; },
      [](Manifest& m) { m.content.seed = 8; },
      [](Manifest& m) { m.content.distinct = 0; },
      [](Manifest& m) { m.payload_bytes = 1; },
      [](Manifest& m) { m.stored_bytes = 1; }};
  std::set<std::string> hashes = {ManifestHash(Example())};
  for (const auto& change : changes) {
    Manifest manifest = Example();
    change(manifest);
    hashes.insert(ManifestHash(manifest));
  }
  EXPECT_EQ(hashes.size(), changes.size() + 1);
}

TEST(ManifestHash, IsTheSameForAnotherToolAndAnotherWordForFlat) {
  Manifest manifest = Example();
  manifest.tool = "stoker 9";
  manifest.valid.subfolders = 1;
  EXPECT_EQ(ManifestHash(manifest), ManifestHash(Example()));
}

TEST_F(ManifestTest, KeepsWhatOnlySomeDatasetsHave) {
  Manifest manifest = Example();
  const std::string plain = ManifestHash(manifest);
  manifest.content = {.mode = "dlio", .ranks = 16};
  manifest.chunk_edge = 724;
  ASSERT_TRUE(WriteManifest(*backend_, manifest, clock_, kPartialName).ok());
  EXPECT_FALSE(ReadManifest(*backend_, clock_).value().has_value());
  const auto read = ReadManifest(*backend_, clock_, kPartialName);
  ASSERT_TRUE(read.ok() && read.value().has_value());
  EXPECT_EQ(read.value()->content, manifest.content);
  EXPECT_EQ(read.value()->chunk_edge, 724U);
  EXPECT_NE(read.value()->hash, plain);
  Manifest other = manifest;
  other.content.ranks = 17;
  EXPECT_NE(ManifestHash(other), ManifestHash(manifest));
  other = manifest;
  other.chunk_edge = 0;
  EXPECT_NE(ManifestHash(other), ManifestHash(manifest));
}

}  // namespace
}  // namespace stoker::dataset
