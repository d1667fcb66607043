// Archives cut, flipped and lied about: an error or an answer within the file,
// and no request outside of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/archive.h"
#include "core/random.h"
#include "tests/checkpoint/archive_harness.h"

namespace stoker::checkpoint {
namespace {

using core::Code;
using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::kArchives;
using stoker::testing::MemorySource;
using stoker::testing::Shard;

ShardFile Small() { return Shard({"3", ""}, {5, 0, 9}); }

// Whatever is answered must lie within the file. True: an error.
bool Fails(const File& file) {
  MemorySource source(file);
  const core::Result<StoredFile> read =
      ReadArchive(source, file.size(), "file.pt");
  EXPECT_FALSE(source.outside);
  if (!read.ok()) {
    EXPECT_TRUE(read.status().code() == Code::kCorruption ||
                read.status().code() == Code::kUnsupported)
        << read.status().ToString();
    return true;
  }
  for (const StoredTensor& tensor : read.value().tensors) {
    EXPECT_LE(tensor.header_offset, tensor.offset);
    EXPECT_LE(tensor.offset, file.size());
    EXPECT_LE(tensor.bytes, file.size() - tensor.offset);
  }
  return false;
}

TEST(DamagedArchive, EveryShorterFileIsRefused) {
  for (const FileFormat format : kArchives) {
    const File whole = Encode(Small(), format);
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
      EXPECT_TRUE(Fails(File(
          whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes))))
          << bytes;
    }
  }
}

TEST(DamagedArchive, MissingFrontIsRefused) {
  const File whole = Encode(Small(), FileFormat::kTorchZip);
  for (const std::size_t bytes : {1U, 64U, 512U}) {
    EXPECT_TRUE(Fails(
        File(whole.begin() + static_cast<std::ptrdiff_t>(bytes), whole.end())));
  }
}

TEST(DamagedArchive, EveryFlippedBitOfPickleAndVersionIsNoticed) {
  File file = Encode(Small(), FileFormat::kTorchZip);
  const std::string text(reinterpret_cast<const char*>(file.data()),
                         file.size());
  // data.pkl from byte 64 to its descriptor.
  const std::size_t pickle_end = text.find("PK\x07\x08");
  const std::size_t version = text.find("3\nPK\x07\x08");
  for (std::size_t at = 64; at < file.size(); ++at) {
    const bool covered = at < pickle_end || (at >= version && at < version + 2);
    for (int bit = 0; covered && bit < 8; ++bit) {
      file[at] ^= static_cast<std::byte>(1 << bit);
      EXPECT_TRUE(Fails(file)) << at;
      file[at] ^= static_cast<std::byte>(1 << bit);
    }
  }
}

TEST(DamagedArchive, EveryFlippedBitIsAnErrorOrHarmless) {
  File file = Encode(Small(), FileFormat::kTorchZip);
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      file[at] ^= static_cast<std::byte>(1 << bit);
      Fails(file);
      file[at] ^= static_cast<std::byte>(1 << bit);
    }
  }
}

TEST(DamagedArchive, FlippedOffsetsSizesAndCountsOfTheTrailerAreErrors) {
  File file = Encode(Small(), FileFormat::kTorchZip);
  // Of the zip64 record: count, directory's size and offset; of the locator:
  // offset; of the classic record: count, size, offset, comment's length.
  const std::size_t end = file.size();
  for (const auto& [from, bytes] :
       std::vector<std::pair<std::size_t, std::size_t>>{
           {98 - 24, 32}, {42 - 8, 8}, {22 - 8, 14}}) {
    for (std::size_t i = 0; i < bytes; ++i) {
      file[end - from + i] ^= std::byte{0x01};
      EXPECT_TRUE(Fails(file)) << from << " + " << i;
      file[end - from + i] ^= std::byte{0x01};
    }
  }
}

TEST(DamagedArchive, RandomBytesInThePlacesThatMatter) {
  const File whole = Encode(Small(), FileFormat::kTorchZip);
  core::CounterRandom random(7);
  // The directory and what follows, 600 bytes and more.
  for (int round = 0; round < 20'000; ++round) {
    File file = whole;
    for (int i = 0; i < 3; ++i) {
      file[file.size() - 1 - random.Below(1'000)] =
          static_cast<std::byte>(random());
    }
    Fails(file);
  }
}

// The pickle's CRC-32 is set right again, so that the machine sees the damage.
TEST(DamagedArchive, RandomBytesInThePickle) {
  const File whole = Encode(Small(), FileFormat::kTorchZip1_13);
  const std::string text(reinterpret_cast<const char*>(whole.data()),
                         whole.size());
  const std::size_t pickle_bytes = text.find("PK\x07\x08") - 64;
  const std::size_t entry = text.find("PK\x01\x02");
  core::CounterRandom random(8);
  for (int round = 0; round < 10'000; ++round) {
    File file = whole;
    for (int i = 0; i < 2; ++i) {
      file[64 + random.Below(pickle_bytes)] = static_cast<std::byte>(random());
    }
    const std::uint32_t crc =
        core::Crc32(std::span(file).subspan(64, pickle_bytes));
    std::memcpy(&file[entry + 16], &crc, sizeof(crc));
    Fails(file);
  }
}

}  // namespace
}  // namespace stoker::checkpoint
