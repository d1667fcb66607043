#include "generators/payload.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "core/random.h"
#include "tests/generators/scenario.h"

namespace stoker::generators {
namespace {

std::vector<std::byte> Bytes(std::uint64_t seed, std::uint64_t file,
                             std::uint32_t sample, std::uint64_t offset,
                             std::size_t count) {
  std::vector<std::byte> bytes(count);
  CounterPayload(seed).Fill(file, sample, offset, bytes);
  return bytes;
}

TEST(CounterPayload, FollowsItsDefinition) {
  // Seed 7, file 5, sample 2: the first three words Mix64(key + i · golden),
  // computed with Python's integers.
  constexpr std::array<unsigned char, 24> kExpected = {
      0x06, 0x3f, 0xcc, 0x2a, 0x9e, 0xc0, 0xd6, 0x29, 0xf3, 0x36, 0xbb, 0xe9,
      0x5a, 0xa8, 0x42, 0x17, 0x83, 0x29, 0xb0, 0xf0, 0x9a, 0xa8, 0x28, 0xc7};
  const std::vector<std::byte> bytes = Bytes(7, 5, 2, 0, kExpected.size());
  EXPECT_EQ(std::memcmp(bytes.data(), kExpected.data(), kExpected.size()), 0);
}

TEST(CounterPayload, CanBeMadeAgainFromAnyOffset) {
  const std::vector<std::byte> whole = Bytes(1, 2, 3, 0, 1000);
  for (const std::size_t offset : {1U, 7U, 8U, 333U, 999U}) {
    const std::vector<std::byte> tail =
        Bytes(1, 2, 3, offset, whole.size() - offset);
    EXPECT_TRUE(std::equal(tail.begin(), tail.end(),
                           whole.begin() + static_cast<std::ptrdiff_t>(offset)))
        << offset;
  }
}

TEST(CounterPayload, DiffersForEverySeedFileAndSample) {
  std::set<std::vector<std::byte>> all;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    for (std::uint64_t file = 0; file < 20; ++file) {
      for (std::uint32_t sample = 0; sample < 20; ++sample) {
        all.insert(Bytes(seed, file, sample, 0, 16));
      }
    }
  }
  EXPECT_EQ(all.size(), 3U * 20U * 20U);
}

// numpy.random.seed(10); randint(255, size=…, dtype=uint8): the first calls.
std::vector<std::byte> Randint(core::NumpyRandom& random, std::size_t count) {
  std::vector<std::byte> bytes(count);
  random.FillBelow255(bytes);
  return bytes;
}

// 7 files of 3 samples of 5 × 5 bytes by 2 processes.
GeneratePlan DlioPlan(std::string_view format) {
  GeneratePlan plan;
  plan.format = testing::FormatNamed(format);
  plan.train.total = 5;
  plan.valid.total = 2;
  plan.samples_per_file = 3;
  plan.sizes = {.record_length = 25};
  plan.content = {.mode = "dlio", .ranks = 2};
  return plan;
}

std::vector<std::byte> Ask(DlioPayload& payload, std::uint64_t file,
                           std::uint32_t sample, std::uint64_t offset,
                           std::size_t count) {
  std::vector<std::byte> bytes(count);
  payload.Fill(file, sample, offset, bytes);
  return bytes;
}

TEST(DlioPayload, DrawsAFileAtOnceOrEachOfItsRecords) {
  core::NumpyRandom random(10);
  DlioPayload files(DlioPlan("npz"), 1);
  for (const std::uint64_t file : {1U, 3U, 5U}) {
    EXPECT_EQ(Ask(files, file, 0, 0, 75), Randint(random, 75));
  }
  random = core::NumpyRandom(10);
  DlioPayload records(DlioPlan("tfrecord"), 0);
  for (const std::uint64_t file : {0U, 2U}) {
    for (std::uint32_t sample = 0; sample < 3; ++sample) {
      EXPECT_EQ(Ask(records, file, sample, 0, 25), Randint(random, 25));
    }
  }
}

TEST(DlioPayload, IsTheSameInPiecesWithGapsAndBackwards) {
  for (const char* format : {"npz", "tfrecord"}) {
    const GeneratePlan plan = DlioPlan(format);
    DlioPayload payload(plan, 0);
    DlioPayload other(plan, 0);
    const auto first = Ask(payload, 0, 0, 0, 25);
    const auto third = Ask(payload, 4, 2, 0, 25);
    const auto last = Ask(payload, 6, 1, 0, 25);
    auto pieces = Ask(other, 4, 2, 0, 7);
    const auto rest = Ask(other, 4, 2, 7, 18);
    pieces.insert(pieces.end(), rest.begin(), rest.end());
    EXPECT_EQ(pieces, third);
    EXPECT_EQ(Ask(other, 6, 1, 3, 4),
              std::vector<std::byte>(last.begin() + 3, last.begin() + 7));
    EXPECT_EQ(Ask(other, 0, 0, 0, 25), first);
  }
}

TEST(DlioPayload, TakesTheBytesOfAChunkedSampleInAnyOrder) {
  GeneratePlan plan = DlioPlan("npz");
  DlioPayload in_order(plan, 0);
  const auto file = Ask(in_order, 2, 0, 0, 75);
  plan.chunk_edge = 2;
  DlioPayload chunked(plan, 0);
  for (const std::uint64_t offset : {20U, 0U, 10U}) {
    EXPECT_EQ(Ask(chunked, 2, 1, offset, 5),
              std::vector<std::byte>(
                  file.begin() + 25 + static_cast<std::ptrdiff_t>(offset),
                  file.begin() + 30 + static_cast<std::ptrdiff_t>(offset)));
  }
}

TEST(CheckContent, RefusesWhatCannotBeTheReferences) {
  for (const formats::FormatInfo& format : formats::Formats()) {
    const bool encoded = format.name == "jpeg" || format.name == "png" ||
                         format.name == "csv" || format.name == "synthetic";
    const core::Status status = CheckContent(DlioPlan(format.name));
    EXPECT_EQ(status.code(),
              encoded ? core::Code::kUnsupported : core::Code::kOk)
        << format.name << ": " << status.ToString();
  }
  // The reference writes few such files with all processes together.
  GeneratePlan plan = DlioPlan("indexed_binary");
  plan.content.ranks = 7;
  EXPECT_EQ(CheckContent(plan).code(), core::Code::kUnsupported);
  plan = DlioPlan("indexed_binary");
  plan.sizes.record_length = 1e9;  // of 3 samples: more than its buffer
  EXPECT_EQ(CheckContent(plan).code(), core::Code::kUnsupported);
  plan = DlioPlan("npz");
  EXPECT_TRUE(CheckContent(plan).ok());
  // 50 * 50 bytes of each of 3 samples.
  plan = DlioPlan("mmap_indexed_binary");
  plan.sizes = {.record_length = 2500};
  plan.samples_per_file = 3;
  plan.block_bytes = 7500;
  EXPECT_TRUE(CheckContent(plan).ok());
  plan.block_bytes = 7499;
  EXPECT_EQ(CheckContent(plan).code(), core::Code::kUnsupported);
  EXPECT_NE(
      CheckContent(plan).message().find("dataset.generation_buffer_size=7499"),
      std::string_view::npos);
  // Once they are made there is nothing to hold against.
  EXPECT_TRUE(CheckContent(PlanOf(ManifestOf(plan)).value()).ok());
  plan = DlioPlan("npz");
  plan.content.distinct = 2;
  EXPECT_EQ(CheckContent(plan).code(), core::Code::kInvalidArgument);
  plan = DlioPlan("npz");
  plan.content.mode = "zeros";
  EXPECT_EQ(CheckContent(plan).code(), core::Code::kInvalidArgument);
}

}  // namespace
}  // namespace stoker::generators
