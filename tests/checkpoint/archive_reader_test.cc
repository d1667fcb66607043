#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/archive.h"
#include "tests/checkpoint/archive_harness.h"
#include "tests/checkpoint/models.h"

namespace stoker::checkpoint {
namespace {

using core::Code;
using stoker::testing::Append;
using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::kArchives;
using stoker::testing::Llama70b;
using stoker::testing::MemorySource;
using stoker::testing::PatternOf;
using stoker::testing::ReadBack;
using stoker::testing::Shard;
using stoker::testing::SparseSource;
using ::testing::HasSubstr;

ShardFile AllTypes() {
  ShardFile shard;
  for (const DataType type :
       {DataType::kInt8, DataType::kUint8, DataType::kFp16, DataType::kBf16,
        DataType::kFp32, DataType::kFp64}) {
    shard.tensors.push_back({"12", std::string(NameOf(type)), type, 77});
  }
  shard.tensors.push_back({"", "top", DataType::kFp32, 1});
  return shard;
}

// Puts `text` over what stands at the last occurrence of `where`.
File With(File file, std::string_view where, std::string_view text) {
  const std::span<std::byte> bytes(file);
  const auto found =
      std::ranges::find_end(bytes, std::as_bytes(std::span(where)));
  EXPECT_FALSE(found.empty());
  std::ranges::copy(std::as_bytes(std::span(text)), found.begin());
  return file;
}

// Every occurrence of a text of the same length.
File Renamed(File file, std::string_view from, std::string_view to) {
  for (std::size_t i = 0; i + from.size() <= file.size(); ++i) {
    if (std::ranges::equal(std::span(file).subspan(i, from.size()),
                           std::as_bytes(std::span(from)))) {
      std::ranges::copy(std::as_bytes(std::span(to)),
                        file.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return file;
}

void ExpectError(const File& file, Code code, const std::string& words) {
  const core::Status status = ReadBack(file).status();
  EXPECT_EQ(status.code(), code) << status.ToString();
  EXPECT_THAT(std::string(status.message()), HasSubstr("file.pt: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(ReadArchive, FindsWhatWasWritten) {
  for (const ShardFile& shard :
       {AllTypes(), Shard({"0", "1"}, std::vector<std::uint64_t>(9, 13)),
        Shard({""}, {4, 0, 7}), Shard({""}, {})}) {
    for (const FileFormat format : kArchives) {
      const File file = Encode(shard, format);
      const core::Result<StoredFile> read = ReadBack(file);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_EQ(read.value().format, format);
      EXPECT_EQ(read.value().file_bytes, file.size());
      ASSERT_EQ(read.value().tensors.size(), shard.tensors.size());
      for (std::size_t i = 0; i < shard.tensors.size(); ++i) {
        const StoredTensor& tensor = read.value().tensors[i];
        EXPECT_EQ(tensor.spec, shard.tensors[i]);
        const File data = PatternOf(i, shard.tensors[i].bytes());
        ASSERT_EQ(tensor.bytes, data.size());
        EXPECT_TRUE(tensor.whole_record);
        EXPECT_EQ(tensor.crc, core::Crc32(data));
        EXPECT_TRUE(std::ranges::equal(
            data, std::span(file).subspan(tensor.offset, tensor.bytes)));
      }
    }
  }
}

TEST(ReadArchive, HeadersOfTensorsAreThoseOfTheirRecords) {
  const File file = Encode(AllTypes(), FileFormat::kTorchZip);
  const core::Result<StoredFile> read = ReadBack(file);
  ASSERT_TRUE(read.ok());
  for (const StoredTensor& tensor : read.value().tensors) {
    const auto header = std::span(file).subspan(
        tensor.header_offset, tensor.offset - tensor.header_offset);
    EXPECT_TRUE(CheckRecordHeader(tensor, header).ok());
    EXPECT_EQ(CheckRecordHeader(tensor, header.first(header.size() - 1)).code(),
              Code::kCorruption);
    EXPECT_EQ(CheckRecordHeader(tensor, std::span(file).first(29)).code(),
              Code::kCorruption);
    File damaged(header.begin(), header.end());
    damaged[1] ^= std::byte{1};
    EXPECT_EQ(CheckRecordHeader(tensor, damaged).code(), Code::kCorruption);
  }
}

TEST(ReadArchive, AsksThreeTimesWhateverTheNumberOfTensors) {
  const File file = Encode(Shard({"0"}, std::vector<std::uint64_t>(200, 8'000)),
                           FileFormat::kTorchZip);
  MemorySource source(file);
  ASSERT_TRUE(ReadArchive(source, file.size(), "file.pt").ok());
  EXPECT_EQ(source.reads, 3);  // the end, byteorder, data.pkl
}

TEST(ReadArchive, Offsets64BitsWide) {
  const stoker::testing::Case run = Llama70b();
  const ShardFile shard = FilesOf(run.model, run.layout, 5).back();
  for (const FileFormat format : kArchives) {
    SparseSource source(shard, format);
    ASSERT_EQ(source.bytes, source.layout().file_bytes());
    const core::Result<StoredFile> read =
        ReadArchive(source, source.bytes, "optim.pt");
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    ASSERT_EQ(read.value().tensors.size(), 6U);
    for (std::size_t i = 0; i < 6; ++i) {
      const StoredTensor& tensor = read.value().tensors[i];
      EXPECT_EQ(tensor.spec, shard.tensors[i]);
      EXPECT_EQ(tensor.offset, source.layout().offset(i));
      EXPECT_EQ(tensor.crc, i + 1);
      File header(tensor.offset - tensor.header_offset);
      ASSERT_TRUE(source.Read(tensor.header_offset, header).ok());
      EXPECT_TRUE(CheckRecordHeader(tensor, header).ok());
    }
    EXPECT_GT(read.value().tensors[2].header_offset, 1ULL << 32);
  }
}

TEST(ReadArchive, TopFolderMayHaveAnyName) {
  const File file = Renamed(Encode(AllTypes(), FileFormat::kTorchZip),
                            "archive/", "weights/");
  EXPECT_TRUE(ReadBack(file).ok());
}

TEST(ReadArchive, RecordsOfSeveralFoldersAreRefused) {
  // The name in the directory.
  ExpectError(With(Encode(AllTypes(), FileFormat::kTorchZip), "archive/version",
                   "brchive/version"),
              Code::kUnsupported, "in one folder");
}

TEST(ReadArchive, CommentsAtTheEndAreSkipped) {
  File file = Encode(AllTypes(), FileFormat::kTorchZip);
  file[file.size() - 2] = std::byte{5};
  Append(file, "hello");
  EXPECT_TRUE(ReadBack(file).ok());
}

TEST(ReadArchive, WithoutZip64RecordsTheClassicOnesCount) {
  File file = Encode(AllTypes(), FileFormat::kTorchZip1_13);
  file.erase(file.end() - 98, file.end() - 22);
  EXPECT_TRUE(ReadBack(file).ok());
}

TEST(ReadArchive, OtherPaddingIsFoundInTheLocalHeaders) {
  // All records 8 bytes further than torch's alignment has them: the first
  // header gets an extra field of so many bytes more.
  File file = Encode(Shard({""}, {4}), FileFormat::kTorchZip1_13);
  ASSERT_EQ(file[28], std::byte{18});  // 4 and the padding of 14 bytes
  file[28] = std::byte{26};
  ASSERT_EQ(file[48], std::byte{14});
  file[48] = std::byte{22};
  file.insert(file.begin() + 64, 8, std::byte{'Z'});
  // Offsets in the directory are below 64 KiB.
  const auto shift = [&](std::size_t at) {
    const int value = std::to_integer<int>(file[at]) +
                      256 * std::to_integer<int>(file[at + 1]) + 8;
    file[at] = static_cast<std::byte>(value % 256);
    file[at + 1] = static_cast<std::byte>(value / 256);
  };
  const std::size_t end = file.size();
  shift(end - 22 + 16);      // of the directory, classic
  shift(end - 98 + 48);      // zip64
  shift(end - 22 - 20 + 8);  // of the zip64 end record
  // Entries are 46 bytes and a name of 16, 14 and 15.
  shift(end - 98 - 61 + 42);
  shift(end - 98 - 61 - 60 + 42);
  const core::Result<StoredFile> read = ReadBack(file);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  const StoredTensor& tensor = read.value().tensors.at(0);
  EXPECT_EQ(tensor.offset % 64, 8U);
  EXPECT_TRUE(std::ranges::equal(PatternOf(0, 8),
                                 std::span(file).subspan(tensor.offset, 8)));
}

TEST(ReadArchive, OtherVersionsAndByteOrdersAreRefused) {
  // Contents change with their CRC-32s, in directory and descriptor.
  const auto changed = [](std::string_view from, std::string_view to) {
    File file = Encode(AllTypes(), FileFormat::kTorchZip);
    const auto sum = [](std::string_view text) {
      const std::uint32_t crc = core::Crc32(std::as_bytes(std::span(text)));
      return std::string(reinterpret_cast<const char*>(&crc), 4);
    };
    return Renamed(Renamed(std::move(file), from, to), sum(from), sum(to));
  };
  ExpectError(changed("3\n", "0\n"), Code::kUnsupported, "versions 1 to 10");
  ExpectError(changed("little", "biggg!"), Code::kUnsupported, "only little");
}

TEST(ReadArchive, CompressedRecordsAreRefused) {
  File file = Encode(Shard({""}, {4}), FileFormat::kTorchZip1_13);
  file[file.size() - 98 - 61 + 10] = std::byte{8};  // of the last entry
  ExpectError(file, Code::kUnsupported, "compressed (method 8)");
}

TEST(ReadArchive, DamagedPickleIsNoticed) {
  File file = Encode(AllTypes(), FileFormat::kTorchZip);
  file[200] ^= std::byte{0x10};
  ExpectError(file, Code::kCorruption, "CRC-32 of record data.pkl");
}

TEST(ReadArchive, ErrorsOfTheSourceArePassedOn) {
  class Broken final : public ByteSource {
    core::Status Read(std::uint64_t, std::span<std::byte>) override {
      return {Code::kIoError, "no such luck"};
    }
  } source;
  EXPECT_EQ(ReadArchive(source, 1'000, "file.pt").status().code(),
            Code::kIoError);
}

TEST(DescribeRaw, PutsTensorsEndToEnd) {
  ShardFile shard = Shard({"1"}, {100, 1, 64});
  const core::Result<StoredFile> file = DescribeRaw(shard, 330);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file.value().format, FileFormat::kRaw);
  ASSERT_EQ(file.value().tensors.size(), 3U);
  EXPECT_EQ(file.value().tensors[1].offset, 200U);
  EXPECT_EQ(file.value().tensors[2].offset, 202U);
  EXPECT_EQ(file.value().tensors[2].bytes, 128U);
  EXPECT_EQ(file.value().tensors[2].spec, shard.tensors[2]);
}

TEST(DescribeRaw, OtherSizesAreRefused) {
  ShardFile shard = Shard({"1"}, {100});
  shard.name = "a.pt";
  const core::Status status = DescribeRaw(shard, 199).status();
  EXPECT_EQ(status.code(), Code::kCorruption);
  EXPECT_EQ(status.message(), "a.pt: expected 200 bytes, found 199");
}

}  // namespace
}  // namespace stoker::checkpoint
