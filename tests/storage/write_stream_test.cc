#include "storage/write_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <optional>

#include "storage/internal/part_memory.h"
#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using testing::AsBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Letters;
using ::testing::Pair;

// Puts the parts together in a string; every call takes 1 us.
class StringStream final : public WriteStream {
 public:
  StringStream(const WriteOptions& options, core::Clock& clock)
      : WriteStream(options, clock) {}

  std::string content;
  std::vector<std::pair<std::uint64_t, std::size_t>> parts;
  std::optional<std::uint64_t> committed_size;
  core::Status send_fails;

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    Tick();
    return memory_.For(options(), IsKeptBack(offset));
  }
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    Tick();
    STOKER_TRY(send_fails);
    parts.emplace_back(offset, part.size());
    content.resize(std::max(content.size(), offset + part.size()), '?');
    std::memcpy(content.data() + offset, part.data(), part.size());
    return {};
  }
  core::Status DoCommit(std::uint64_t size, WriteTimes& times) override {
    Tick();
    if (options().durable) {
      times.synced = clock().Now();
    }
    Tick();
    committed_size = size;
    return {};
  }
  void Tick() {
    clock().SleepUntil(clock().Now() + std::chrono::microseconds(1));
  }

  internal::PartMemory memory_{std::make_shared<internal::PartPool>()};
};

constexpr std::size_t kPart = 4096;

class WriteStreamTest : public ::testing::Test {
 protected:
  core::VirtualClock clock_;
  StringStream stream_{{.part_size = kPart}, clock_};
};

TEST_F(WriteStreamTest, SendsWholePartsThenTheShortOneThenTheFirst) {
  const std::string text = Letters(2 * kPart + 100);
  ASSERT_TRUE(stream_.Write(AsBytes(text)).ok());
  EXPECT_THAT(stream_.parts, ElementsAre(Pair(kPart, kPart)));
  ASSERT_TRUE(stream_.Commit().ok());
  EXPECT_THAT(stream_.parts, ElementsAre(Pair(kPart, kPart),
                                         Pair(2 * kPart, 100), Pair(0, kPart)));
  EXPECT_EQ(stream_.content, text);
  EXPECT_EQ(stream_.committed_size, 2 * kPart + 100);
  EXPECT_EQ(stream_.position(), 2 * kPart + 100);
}

TEST_F(WriteStreamTest, ACutSendsWhatIsThereAndTheNextPartIsWhole) {
  ASSERT_TRUE(stream_.Write(AsBytes(Letters(kPart + 7))).ok());
  ASSERT_TRUE(stream_.Cut().ok());
  EXPECT_THAT(stream_.parts, ElementsAre(Pair(kPart, 7)));
  const auto next = stream_.Buffer().value();
  EXPECT_EQ(next.size(), kPart);
  EXPECT_EQ(std::bit_cast<std::uintptr_t>(next.data()) % 4096, 0U);
  ASSERT_TRUE(stream_.Write(AsBytes(Letters(kPart + 3, kPart + 7))).ok());
  ASSERT_TRUE(stream_.Commit().ok());
  EXPECT_THAT(stream_.parts,
              ElementsAre(Pair(kPart, 7), Pair(kPart + 7, kPart),
                          Pair(2 * kPart + 7, 3), Pair(0, kPart)));
  EXPECT_EQ(stream_.committed_size, 2 * kPart + 10);
}

TEST_F(WriteStreamTest, ACutOfNothingDoesNothing) {
  ASSERT_TRUE(stream_.Cut().ok());
  ASSERT_TRUE(stream_.Write(AsBytes(Letters(2 * kPart))).ok());
  ASSERT_TRUE(stream_.Cut().ok());
  ASSERT_TRUE(stream_.Buffer().ok());
  ASSERT_TRUE(stream_.Cut().ok());
  EXPECT_THAT(stream_.parts, ElementsAre(Pair(kPart, kPart)));
  ASSERT_TRUE(stream_.Commit().ok());
  EXPECT_EQ(stream_.Cut().code(), core::Code::kInvalidArgument);
}

TEST_F(WriteStreamTest, ACutWithinThePartThatIsKeptBackDoesNothing) {
  ASSERT_TRUE(stream_.Write(AsBytes(Letters(10))).ok());
  ASSERT_TRUE(stream_.Cut().ok());
  ASSERT_TRUE(stream_.Patch(2, AsBytes("!")).ok());
  EXPECT_EQ(stream_.Buffer().value().size(), kPart - 10);
  ASSERT_TRUE(stream_.Commit().ok());
  EXPECT_THAT(stream_.parts, ElementsAre(Pair(0, 10)));
}

TEST_F(WriteStreamTest, WithoutPatchThePartsGoInOrderAndPatchIsRefused) {
  StringStream plain({.part_size = kPart, .patch = false}, clock_);
  ASSERT_TRUE(plain.Write(AsBytes(Letters(5))).ok());
  ASSERT_TRUE(plain.Cut().ok());
  ASSERT_TRUE(plain.Write(AsBytes(Letters(kPart + 1, 5))).ok());
  EXPECT_EQ(plain.Patch(0, AsBytes("x")).code(), core::Code::kInvalidArgument);
  ASSERT_TRUE(plain.Commit().ok());
  EXPECT_THAT(plain.parts,
              ElementsAre(Pair(0, 5), Pair(5, kPart), Pair(kPart + 5, 1)));
  EXPECT_EQ(plain.content, Letters(5) + Letters(kPart + 1, 5));
}

TEST_F(WriteStreamTest, RefusesMorePartsInFlightThanItsLimit) {
  StringStream many({.part_size = kPart, .in_flight = 1025}, clock_);
  EXPECT_EQ(many.Buffer().status().code(), core::Code::kInvalidArgument);
}

TEST_F(WriteStreamTest, BufferIsAlignedAndNeverEmpty) {
  const auto first = stream_.Buffer().value();
  EXPECT_EQ(first.size(), kPart);
  EXPECT_EQ(std::bit_cast<std::uintptr_t>(first.data()) % 4096, 0U);
  ASSERT_TRUE(stream_.Append(kPart - 1).ok());
  EXPECT_EQ(stream_.Buffer().value().size(), 1U);
  ASSERT_TRUE(stream_.Append(1).ok());
  const auto second = stream_.Buffer().value();
  EXPECT_EQ(second.size(), kPart);
  EXPECT_EQ(std::bit_cast<std::uintptr_t>(second.data()) % 4096, 0U);
}

TEST_F(WriteStreamTest, PatchChangesTheFirstPartUntilCommit) {
  ASSERT_TRUE(stream_.Write(AsBytes(Letters(kPart + 10))).ok());
  ASSERT_TRUE(stream_.Patch(2, AsBytes("PATCH")).ok());
  ASSERT_TRUE(stream_.Patch(kPart - 1, AsBytes("!")).ok());
  ASSERT_TRUE(stream_.Commit().ok());
  std::string expected = Letters(kPart + 10);
  expected.replace(2, 5, "PATCH");
  expected[kPart - 1] = '!';
  EXPECT_EQ(stream_.content, expected);
}

TEST_F(WriteStreamTest, PatchRefusesBytesNotAppendedOrBehindTheFirstPart) {
  ASSERT_TRUE(stream_.Write(AsBytes("0123456789")).ok());
  EXPECT_EQ(stream_.Patch(8, AsBytes("abc")).code(),
            core::Code::kInvalidArgument);
  EXPECT_EQ(stream_.Patch(UINT64_MAX, AsBytes("a")).code(),
            core::Code::kInvalidArgument);
  ASSERT_TRUE(stream_.Write(AsBytes(Letters(kPart))).ok());
  const core::Status status = stream_.Patch(kPart - 1, AsBytes("ab"));
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the 4096 bytes"));
  EXPECT_TRUE(stream_.Commit().ok());
}

TEST_F(WriteStreamTest, AppendRefusesMoreThanTheBufferHolds) {
  EXPECT_EQ(stream_.Append(1).code(), core::Code::kInvalidArgument);
  ASSERT_TRUE(stream_.Buffer().ok());
  EXPECT_EQ(stream_.Append(kPart + 1).code(), core::Code::kInvalidArgument);
  EXPECT_TRUE(stream_.Append(kPart).ok());
}

TEST_F(WriteStreamTest, AnEmptyObjectIsCommittedWithoutParts) {
  ASSERT_TRUE(stream_.Commit().ok());
  EXPECT_TRUE(stream_.parts.empty());
  EXPECT_EQ(stream_.committed_size, 0U);
}

TEST_F(WriteStreamTest, TheFirstErrorStaysAndPreventsCommit) {
  stream_.send_fails = core::Status(core::Code::kIoError, "disk gone");
  EXPECT_EQ(stream_.Write(AsBytes(Letters(2 * kPart))).message(), "disk gone");
  stream_.send_fails = {};
  EXPECT_EQ(stream_.Write(AsBytes("x")).message(), "disk gone");
  EXPECT_EQ(stream_.Commit().status().message(), "disk gone");
  EXPECT_FALSE(stream_.committed_size.has_value());
}

TEST_F(WriteStreamTest, NothingWorksAfterCommit) {
  ASSERT_TRUE(stream_.Commit().ok());
  EXPECT_EQ(stream_.Commit().status().code(), core::Code::kInvalidArgument);
  EXPECT_EQ(stream_.Write(AsBytes("x")).code(), core::Code::kInvalidArgument);
}

TEST_F(WriteStreamTest, RefusesAPartSizeThatIsNoMultipleOf4096) {
  StringStream odd({.part_size = 5000}, clock_);
  EXPECT_EQ(odd.Buffer().status().code(), core::Code::kInvalidArgument);
}

TEST_F(WriteStreamTest, WithoutAPartSizePartsAreOfAnySizeAndTheFirstComesLast) {
  StringStream own({}, clock_);
  const std::string text = Letters(1'000'000);
  ASSERT_TRUE(own.Write(AsBytes(text)).ok());
  ASSERT_TRUE(own.Patch(65'535, AsBytes("!")).ok());
  ASSERT_TRUE(own.Commit().ok());
  std::string expected = text;
  expected[65'535] = '!';
  EXPECT_EQ(own.content, expected);
  EXPECT_EQ(own.parts.back().first, 0U);
  for (const auto& [offset, size] : own.parts) {
    EXPECT_EQ(offset % 4096, 0U);
    EXPECT_LE(size, 1U << 20);
  }
}

TEST(PartPool, HandsOutTheMemoryOfStreamsThatEnded) {
  const auto pool = std::make_shared<internal::PartPool>();
  const std::byte* first = nullptr;
  const std::byte* later = nullptr;
  {
    internal::PartMemory memory(pool);
    first = memory.For({.part_size = 8192}, true).value().data();
    later = memory.For({.part_size = 8192}, false).value().data();
    EXPECT_NE(first, later);
  }
  internal::PartMemory memory(pool);
  const std::byte* const again =
      memory.For({.part_size = 8192}, true).value().data();
  EXPECT_TRUE(again == first || again == later);
  // Another size is other memory.
  EXPECT_EQ(memory.For({.part_size = 4096}, false).value().size(), 4096U);
}

TEST(PartPool, KeepsNoMoreThanSixteenMebibytes) {
  constexpr std::size_t kBufferBytes = 6U << 20;
  internal::PartPool pool;
  std::vector<core::AlignedBuffer> buffers;
  std::vector<const std::byte*> places;
  for (int i = 0; i < 3; ++i) {
    buffers.push_back(pool.Take(kBufferBytes).value());
    buffers.back().bytes()[0] = std::byte{1};
  }
  for (core::AlignedBuffer& buffer : buffers) {
    pool.Give(std::move(buffer));
  }
  // Two of the three come back as they were; fresh pages are zero.
  int kept = 0;
  for (core::AlignedBuffer& buffer : buffers) {
    buffer = pool.Take(kBufferBytes).value();
    kept += std::to_integer<int>(buffer.bytes()[0]);
  }
  EXPECT_EQ(kept, 2);
}

TEST_F(WriteStreamTest, StampsAndCounts) {
  StringStream durable({.part_size = kPart, .durable = true}, clock_);
  ASSERT_TRUE(durable.Write(AsBytes(Letters(kPart + 1))).ok());
  const auto micros = [](core::TimePoint when) {
    return when.time_since_epoch().count() / 1000;
  };
  // Buffer 0-1, buffer 1-2, short part 2-3 (the first one sent), first part
  // 3-4, sync 4-5, and the rest of the commit 5-6.
  const WriteTimes times = durable.Commit().value();
  EXPECT_EQ(micros(times.first), 2);
  EXPECT_EQ(micros(times.last), 4);
  EXPECT_EQ(micros(times.synced), 5);
  EXPECT_EQ(micros(times.committed), 6);
  EXPECT_EQ(durable.counters().parts, 2U);
  EXPECT_EQ(durable.counters().bytes, kPart + 1);
  EXPECT_EQ(durable.counters().busy, std::chrono::microseconds(6));
}

}  // namespace
}  // namespace stoker::storage
