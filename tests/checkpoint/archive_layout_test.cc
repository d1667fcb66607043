// Sizes are those of torch.save's own files; the interoperability tests compare
// bytes.

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

using stoker::testing::Case;
using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::kArchives;
using stoker::testing::Llama1t;
using stoker::testing::Llama405b;
using stoker::testing::Llama70b;
using stoker::testing::Llama8b;
using stoker::testing::PatternOf;
using stoker::testing::Shard;
using stoker::testing::SparseSource;
using ::testing::HasSubstr;
using Sizes = std::vector<std::uint64_t>;

// In the 1.13, the 2.1 and the newest layout.
Sizes SizesOf(const ShardFile& file) {
  Sizes sizes;
  for (const FileFormat format : kArchives) {
    sizes.push_back(FileLayout(file, format).file_bytes());
  }
  return sizes;
}

Sizes Overheads(const ShardFile& file) {
  Sizes sizes = SizesOf(file);
  for (std::uint64_t& size : sizes) {
    size -= file.payload_bytes();
  }
  return sizes;
}

ShardFile FileOf(const Case& run, std::uint32_t rank, std::size_t file) {
  return FilesOf(run.model, run.layout, rank).at(file);
}

TEST(FileFormat, NamesGoBothWays) {
  for (const char* name :
       {"torchzip", "torchzip-2.1", "torchzip-1.13", "raw"}) {
    const core::Result<FileFormat> format = ParseFileFormat(name);
    ASSERT_TRUE(format.ok()) << name;
    EXPECT_EQ(NameOf(format.value()), name);
  }
  const core::Status status = ParseFileFormat("zip").status();
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("torchzip, torchzip-2.1, torchzip-1.13, raw"));
}

TEST(FileLayout, OverheadOfTheFourModelsFiles) {
  EXPECT_EQ(Overheads(FileOf(Llama8b(), 0, 0)),
            (Sizes{53'819, 54'252, 54'649}));
  EXPECT_EQ(Overheads(FileOf(Llama8b(), 0, 1)), (Sizes{1'935, 2'380, 2'777}));
  EXPECT_EQ(Overheads(FileOf(Llama70b(), 0, 0)),
            (Sizes{134'715, 135'148, 135'545}));
  EXPECT_EQ(Overheads(FileOf(Llama70b(), 0, 1)), (Sizes{2'139, 2'584, 2'981}));
  const Case b = Llama405b();
  EXPECT_EQ(Overheads(FileOf(b, 0, 0)), (Sizes{747, 1'180, 1'577}));
  EXPECT_EQ(Overheads(FileOf(b, 0, 1)), (Sizes{1'687, 2'120, 2'517}));
  EXPECT_EQ(Overheads(FileOf(b, 255, 3)), (Sizes{747, 1'180, 1'577}));
  EXPECT_EQ(Overheads(FileOf(b, 255, 4)), (Sizes{747, 1'180, 1'577}));
  EXPECT_EQ(Overheads(FileOf(b, 511, 0)), (Sizes{1'935, 2'380, 2'777}));
  const Case t = Llama1t();
  EXPECT_EQ(Overheads(FileOf(t, 0, 0)), (Sizes{747, 1'180, 1'577}));
  EXPECT_EQ(Overheads(FileOf(t, 0, 1)), (Sizes{1'751, 2'184, 2'581}));
  EXPECT_EQ(Overheads(FileOf(t, 504, 2)), (Sizes{747, 1'180, 1'577}));
  EXPECT_EQ(Overheads(FileOf(t, 504, 3)), (Sizes{715, 1'148, 1'545}));
  EXPECT_EQ(Overheads(FileOf(t, 1023, 0)), (Sizes{2'079, 2'524, 2'921}));
}

TEST(FileLayout, ToyFiles) {
  EXPECT_EQ(SizesOf(Shard({"0", "1", "2"},
                          {512, 31'457, 20'971, 512, 146'800, 73'400})),
            (Sizes{1'646'447, 1'646'880, 1'647'277}));
  EXPECT_EQ(SizesOf(Shard(
                {""}, {3'000'001, 20'480, 3'000'001, 20'480, 3'000'001, 20'480},
                DataType::kFp32)),
            (Sizes{36'247'639, 36'248'072, 36'248'469}));
  EXPECT_EQ(SizesOf(Shard({""}, {1'091'915'904, 40'960, 7}, DataType::kFp32)),
            (Sizes{4'367'828'771, 4'367'829'216, 4'367'829'613}));
}

std::uint64_t StoredBytes(const Case& run, FileFormat format) {
  std::uint64_t sum = 0;
  for (std::uint32_t rank = 0; rank < run.layout.ranks; ++rank) {
    for (const ShardFile& file : FilesOf(run.model, run.layout, rank)) {
      sum += FileLayout(file, format).file_bytes();
    }
  }
  return sum;
}

TEST(FileLayout, WholeCheckpointsOnStorage) {
  EXPECT_EQ(StoredBytes(Llama8b(), FileFormat::kTorchZip2_1), 112'426'076'608U);
  EXPECT_EQ(StoredBytes(Llama8b(), FileFormat::kTorchZip), 112'426'082'960U);
  EXPECT_EQ(StoredBytes(Llama70b(), FileFormat::kTorchZip2_1),
            978'415'386'880U);
  EXPECT_EQ(StoredBytes(Llama70b(), FileFormat::kTorchZip), 978'415'437'696U);
  EXPECT_EQ(StoredBytes(Llama405b(), FileFormat::kTorchZip2_1),
            5'682'512'175'648U);
  EXPECT_EQ(StoredBytes(Llama405b(), FileFormat::kTorchZip),
            5'682'512'788'616U);
  EXPECT_EQ(StoredBytes(Llama1t(), FileFormat::kTorchZip2_1),
            16'564'178'943'648U);
  EXPECT_EQ(StoredBytes(Llama1t(), FileFormat::kTorchZip), 16'564'179'766'232U);
}

TEST(FileLayout, PayloadsAreAligned) {
  for (const FileFormat format : kArchives) {
    for (std::uint64_t elements = 1; elements < 70; ++elements) {
      const FileLayout layout(Shard({"7", ""}, {elements, 3, elements * 37}),
                              format);
      for (std::size_t i = 0; i < layout.tensors(); ++i) {
        EXPECT_EQ(layout.offset(i) % 64, 0U) << elements;
      }
    }
  }
}

TEST(FileLayout, PickleStandsAtByte64) {
  for (const FileFormat format : kArchives) {
    const std::string head =
        FileLayout(Shard({""}, {5}), format).Between(0, {});
    EXPECT_EQ(head.substr(64, 3), std::string("\x80\x02}"));
    // 30 bytes, the name of 16, "FB" and the length of 14 bytes of padding.
    EXPECT_EQ(head.substr(30, 34), std::string("archive/data.pkl") + "FB" +
                                       std::string("\x0e\0", 2) +
                                       std::string(14, 'Z'));
  }
}

TEST(FileLayout, BytesBetweenEndWhereTheTensorsBegin) {
  ShardFile many = Shard({"a", ""}, {5, 0, 1'000, 33});
  for (const FileFormat format : kArchives) {
    for (const ShardFile& shard : {Shard({""}, {}), Shard({""}, {0}), many}) {
      const SparseSource file(shard, format);
      EXPECT_EQ(file.bytes, file.layout().file_bytes());
    }
  }
}

TEST(FileLayout, BytesBetweenPutTensorsAtTheirOffsets) {
  const ShardFile shard = Shard({"1", "2"}, {100, 1, 64});
  for (const FileFormat format :
       {FileFormat::kTorchZip1_13, FileFormat::kTorchZip2_1,
        FileFormat::kTorchZip, FileFormat::kRaw}) {
    const File file = Encode(shard, format);
    const FileLayout layout(shard, format);
    ASSERT_EQ(file.size(), layout.file_bytes());
    for (std::size_t i = 0; i < layout.tensors(); ++i) {
      const std::size_t index = layout.index(i);
      const File data = PatternOf(index, shard.tensors[index].bytes());
      EXPECT_TRUE(std::ranges::equal(
          data, std::span(file).subspan(layout.offset(i), data.size())));
    }
  }
}

TEST(FileLayout, SizesAndOffsetsOf64BitsEqualTorchs) {
  // torch 1.13 wrote these three uint8 tensors of zeros; the bytes around them
  // have this CRC-32. That of 2^32 - 1 zeros is 0, of 2^20 a738ea1c.
  const ShardFile shard =
      Shard({""}, {0xFFFFFFFF, 1 << 20, 0}, DataType::kUint8);
  const FileLayout layout(shard, FileFormat::kTorchZip1_13);
  const std::vector<std::uint32_t> crcs{0, 0xA738EA1C, 0};
  std::string text;
  for (std::size_t i = 0; i <= 3; ++i) {
    text += layout.Between(i, crcs);
  }
  EXPECT_EQ(layout.file_bytes(), 4'296'017'123U);
  EXPECT_EQ(text.size(), 1'252U);
  EXPECT_EQ(core::Crc32(std::as_bytes(std::span(text))), 0xBB77641CU);
}

TEST(FileLayout, OlderLayoutsSortStoragesByTheirText) {
  const ShardFile shard = Shard({""}, std::vector<std::uint64_t>(12, 1));
  const auto order = [&](FileFormat format) {
    const FileLayout layout(shard, format);
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < layout.tensors(); ++i) {
      indices.push_back(layout.index(i));
    }
    return indices;
  };
  const std::vector<std::size_t> by_text{0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9};
  const std::vector<std::size_t> by_number{0, 1, 2, 3, 4,  5,
                                           6, 7, 8, 9, 10, 11};
  EXPECT_EQ(order(FileFormat::kTorchZip1_13), by_text);
  EXPECT_EQ(order(FileFormat::kTorchZip2_1), by_text);
  EXPECT_EQ(order(FileFormat::kTorchZip), by_number);
}

TEST(FileLayout, SerializationIdIsFortyDigitsOfNamesAndSums) {
  const FileLayout layout(Shard({""}, {5}), FileFormat::kTorchZip);
  const auto id = [&](std::uint32_t crc) {
    const std::string tail = layout.Between(1, std::vector{crc});
    const std::string name = "archive/.data/serialization_id";
    std::size_t at = tail.find(name) + name.size();
    at = tail.find_first_of("0123456789", tail.find_first_not_of('Z', at + 4));
    return tail.substr(at, 40);
  };
  EXPECT_EQ(id(1).find_first_not_of("0123456789"), std::string::npos);
  EXPECT_EQ(id(1).substr(0, 20), id(2).substr(0, 20));
  EXPECT_NE(id(1), id(2));
}

TEST(FileLayout, RawHasNothingBetween) {
  const ShardFile shard = Shard({"1"}, {100, 1, 64});
  const FileLayout layout(shard, FileFormat::kRaw);
  EXPECT_EQ(layout.file_bytes(), 330U);
  EXPECT_EQ(layout.offset(2), 202U);
  EXPECT_EQ(layout.Between(3, std::vector<std::uint32_t>{1, 2, 3}), "");
}

}  // namespace
}  // namespace stoker::checkpoint
