#include "formats/example_wire.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "example.pb.h"

namespace stoker::formats {
namespace {

using ::testing::HasSubstr;

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> Head(const std::string& message) {
  const std::span<const std::byte> all = std::as_bytes(std::span(message));
  return all.first(std::min(all.size(), kExampleHead));
}

std::string Ours(const std::string& image, std::uint64_t size) {
  const ExampleFrame frame = FrameExample(image.size(), size);
  return Text(frame.before) + image + Text(frame.after);
}

tensorflow::Example Example(const std::string& image, std::int64_t size) {
  tensorflow::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  features["image"].mutable_bytes_list()->add_value(image);
  features["size"].mutable_int64_list()->add_value(size);
  return example;
}

// Map entries in the order of their keys.
std::string Serialize(const tensorflow::Example& example) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  example.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

TEST(FrameExample, EqualsProtobufForEveryLengthOfVarint) {
  for (const std::size_t bytes :
       {0U, 1U, 80U, 100U, 127U, 128U, 16'000U, 16'383U, 16'384U, 2'097'151U,
        2'097'152U, 3'000'000U}) {
    for (const std::uint32_t size : {1U, 127U, 128U, 338U, 16'384U, 1U << 31}) {
      const std::string image(bytes, 'i');
      EXPECT_EQ(Ours(image, size), Serialize(Example(image, size)))
          << bytes << " bytes, size " << size;
      EXPECT_EQ(ExampleBytes(bytes, size), Ours(image, size).size());
    }
  }
}

TEST(FindImage, FindsTheImageOfOurMessages) {
  for (const std::size_t bytes : {0U, 1U, 90U, 114'244U}) {
    const std::string image(bytes, 'i');
    const std::string message = Ours(image, 338);
    const core::Result<ImageField> found =
        FindImage(Head(message), message.size());
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    EXPECT_EQ(message.substr(found.value().offset, found.value().bytes), image);
    EXPECT_EQ(found.value().bytes, bytes);
  }
}

TEST(FindImage, SkipsFeaturesBeforeTheImage) {
  // Messages with one feature each concatenate to one with both.
  tensorflow::Example first;
  (*first.mutable_features()->mutable_feature())["size"]
      .mutable_int64_list()
      ->add_value(5);
  tensorflow::Example both = Example(std::string(1000, 'i'), 5);
  both.mutable_features()->mutable_feature()->erase("size");
  const std::string entries =
      Serialize(first).substr(2) + Serialize(both).substr(3);
  std::string message = "\x0A";
  const std::size_t bytes = entries.size();
  message += static_cast<char>((bytes & 0x7F) | 0x80);
  message += static_cast<char>(bytes >> 7);
  message += entries;
  tensorflow::Example parsed;
  ASSERT_TRUE(parsed.ParseFromString(message));
  ASSERT_EQ(parsed.features().feature().size(), 2U);
  const core::Result<ImageField> found =
      FindImage(Head(message), message.size());
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().bytes, 1000U);
}

TEST(FindImage, ImageFarBehindIsUnsupported) {
  tensorflow::Example example = Example(std::string(1000, 'i'), 5);
  (*example.mutable_features()->mutable_feature())["aaa"]
      .mutable_bytes_list()
      ->add_value(std::string(200, 'a'));
  const std::string message = Serialize(example);
  const core::Result<ImageField> found =
      FindImage(Head(message), message.size());
  EXPECT_EQ(found.status().code(), core::Code::kUnsupported);
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("within the first 128"));
}

TEST(FindImage, MessageWithoutImageIsCorruption) {
  tensorflow::Example example = Example("", 5);
  example.mutable_features()->mutable_feature()->erase("image");
  const std::string message = Serialize(example);
  const core::Result<ImageField> found =
      FindImage(Head(message), message.size());
  EXPECT_EQ(found.status().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("expected the feature \"image\""));
}

TEST(FindImage, ShortenedMessageIsCorruption) {
  const std::string message = Ours(std::string(20, 'i'), 5);
  // Up to the image every cut breaks a length that was given before.
  for (std::size_t bytes = 0; bytes + 1 < message.size(); ++bytes) {
    const std::string cut = message.substr(0, bytes);
    const core::Result<ImageField> found = FindImage(Head(cut), cut.size());
    EXPECT_EQ(found.status().code(), core::Code::kCorruption) << bytes;
  }
}

}  // namespace
}  // namespace stoker::formats
