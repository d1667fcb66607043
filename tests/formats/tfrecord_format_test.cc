#include "formats/tfrecord_format.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/crc.h"
#include "example.pb.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::PatternPayload;

template <class T>
T At(const File& file, std::size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

TEST(TfrecordFormat, RecordBytesAreThoseOfTheWorkloads) {
  const TfrecordFormat format;
  // resnet50: 338² = 114,244 bytes, 1251 records of 114,303.
  const FileSpec resnet50{
      .samples = 1251, .rows = 338, .columns = 338, .nominal_edge = 338};
  EXPECT_EQ(TfrecordBytes(resnet50), 114'303U);
  EXPECT_EQ(format.FileBytes(resnet50), 142'993'053U);
  // 65,536 bytes and size 256.
  EXPECT_EQ(TfrecordBytes({.rows = 256, .columns = 256, .nominal_edge = 256}),
            65'595U);
  // cosmoflow: 1681² = 2,825,761.
  EXPECT_EQ(
      format.FileBytes({.rows = 1681, .columns = 1681, .nominal_edge = 1681}),
      2'825'825U);
}

TEST(TfrecordFormat, FramingHasMaskedChecksums) {
  const TfrecordFormat format;
  const File file = Encode(
      format, {.samples = 2, .rows = 3, .columns = 5, .nominal_edge = 4}, 4096);
  const std::size_t record = file.size() / 2;
  for (const std::size_t at : {std::size_t{0}, record}) {
    const std::span<const std::byte> bytes = std::span(file).subspan(at);
    EXPECT_EQ(At<std::uint64_t>(file, at), record - 16);
    EXPECT_EQ(At<std::uint32_t>(file, at + 8),
              core::MaskCrc32c(core::Crc32c(bytes.first(8))));
    EXPECT_EQ(At<std::uint32_t>(file, at + record - 4),
              core::MaskCrc32c(core::Crc32c(bytes.subspan(12, record - 16))));
  }
}

TEST(TfrecordFormat, ProtobufFindsImageAndNominalEdge) {
  const TfrecordFormat format;
  const FileSpec spec{
      .index = 6, .samples = 3, .rows = 129, .columns = 128, .nominal_edge = 9};
  const File file = Encode(format, spec);
  const std::uint64_t record = TfrecordBytes(spec);
  for (std::uint32_t sample = 0; sample < spec.samples; ++sample) {
    tensorflow::Example example;
    ASSERT_TRUE(example.ParseFromArray(file.data() + sample * record + 12,
                                       static_cast<int>(record - 16)));
    const auto& features = example.features().feature();
    std::vector<std::byte> expected(spec.sample_bytes());
    PatternPayload().Fill(spec.index, sample, 0, expected);
    const std::string& image = features.at("image").bytes_list().value(0);
    ASSERT_EQ(image.size(), expected.size());
    EXPECT_EQ(std::memcmp(image.data(), expected.data(), expected.size()), 0);
    EXPECT_EQ(features.at("size").int64_list().value(0), 9);
  }
}

TEST(TfrecordIndex, HasOffsetAndBytesOfEachRecord) {
  EXPECT_EQ(
      TfrecordIndex(
          {.samples = 3, .rows = 256, .columns = 256, .nominal_edge = 256}),
      "0 65595\n65595 65595\n131190 65595\n");
}

}  // namespace
}  // namespace stoker::formats
