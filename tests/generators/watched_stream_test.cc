#include "generators/internal/watched_stream.h"

#include <gmock/gmock.h>

#include <cstring>
#include <vector>

#include "tests/generators/scenario.h"

namespace stoker::generators::internal {
namespace {

using ::testing::ElementsAre;

constexpr std::size_t kPart = 4096;

class WatchedStreamTest : public testing::GenerateTest {
 protected:
  void SetUp() override {
    GenerateTest::SetUp();
    options_.part_size = kPart;
    auto made = backend_->Create("object", options_, clock_);
    ASSERT_TRUE(made.ok());
    inner_ = std::move(made).value();
    stream_ = std::make_unique<WatchedStream>(
        options_, clock_, *inner_, cancel_,
        [this](std::uint64_t bytes) { parts_.push_back(bytes); });
  }
  // Writes `size` patterned bytes, patches the second, and commits.
  std::string WriteAndPatch(std::size_t size) {
    std::string data(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
      data[i] = static_cast<char>('a' + i % 23);
    }
    const auto write = [&](std::string_view text) {
      return std::as_bytes(std::span(text.data(), text.size()));
    };
    EXPECT_TRUE(stream_->Write(write(data)).ok());
    EXPECT_TRUE(stream_->Patch(1, write("!")).ok());
    const auto committed = stream_->Commit();
    EXPECT_TRUE(committed.ok()) << committed.status().ToString();
    data[1] = '!';
    return data;
  }

  storage::WriteOptions options_;
  std::unique_ptr<storage::WriteStream> inner_;
  std::unique_ptr<WatchedStream> stream_;
  std::vector<std::uint64_t> parts_;
};

TEST_F(WatchedStreamTest, PassesOnOneShortPart) {
  const std::string data = WriteAndPatch(100);
  EXPECT_EQ(Get("object"), data);
  EXPECT_THAT(parts_, ElementsAre(0));
}

TEST_F(WatchedStreamTest, PassesOnExactlyOnePart) {
  const std::string data = WriteAndPatch(kPart);
  EXPECT_EQ(Get("object"), data);
}

TEST_F(WatchedStreamTest, PatchesTheFirstOfManyParts) {
  const std::string data = WriteAndPatch(3 * kPart + 17);
  EXPECT_EQ(Get("object"), data);
  EXPECT_THAT(parts_, ElementsAre(0, kPart, 2 * kPart, 3 * kPart));
  EXPECT_EQ(inner_->counters().bytes, 3 * kPart + 17);
}

TEST_F(WatchedStreamTest, EndsOnAPartsEdge) {
  const std::string data = WriteAndPatch(2 * kPart);
  EXPECT_EQ(Get("object"), data);
}

TEST_F(WatchedStreamTest, PassesOnACut) {
  const std::string data(3 * kPart, 'x');
  const auto bytes = std::as_bytes(std::span(data.data(), data.size()));
  ASSERT_TRUE(stream_->Write(bytes.first(kPart + 5)).ok());
  ASSERT_TRUE(stream_->Cut().ok());
  EXPECT_EQ(stream_->Buffer().value().size(), kPart);
  ASSERT_TRUE(stream_->Write(bytes.subspan(kPart + 5)).ok());
  ASSERT_TRUE(stream_->Commit().ok());
  EXPECT_EQ(Get("object"), data);
  // Behind the first part: 5 bytes, a whole part, the rest.
  EXPECT_THAT(parts_, ElementsAre(0, kPart, kPart + 5, 2 * kPart + 5));
}

TEST_F(WatchedStreamTest, MakesAnEmptyObject) {
  ASSERT_TRUE(stream_->Commit().ok());
  EXPECT_EQ(Get("object"), "");
}

TEST_F(WatchedStreamTest, RefusesTheNextPartOnceCancelled) {
  const std::vector<std::byte> part(kPart);
  ASSERT_TRUE(stream_->Write(part).ok());
  cancel_.Set();
  EXPECT_EQ(stream_->Write(part).code(), core::Code::kCancelled);
  EXPECT_EQ(stream_->Commit().status().code(), core::Code::kCancelled);
  EXPECT_TRUE(All().empty());
}

TEST_F(WatchedStreamTest, HandsOutTheInnerStreamsMemory) {
  auto outer = stream_->Buffer();
  auto inner = inner_->Buffer();
  ASSERT_TRUE(outer.ok() && inner.ok());
  EXPECT_EQ(outer.value().data(), inner.value().data());
}

}  // namespace
}  // namespace stoker::generators::internal
