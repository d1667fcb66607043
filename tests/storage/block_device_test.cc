// What holds of every block device.

#include "storage/block_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage/internal/file_paths.h"
#include "tests/storage/block_support.h"
#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using Place = testing::BlockKind::Place;
using testing::AllKinds;
using testing::AllOk;
using testing::Blocks;
using testing::kBlock;
using testing::NewQueue;
using testing::ReadOf;
using testing::RunAll;
using testing::RunOne;
using ::testing::StartsWith;
using testing::WriteOf;

class BlockDeviceTest : public ::testing::TestWithParam<testing::BlockKind> {
 protected:
  // Of files with so many blocks each, the first of which has the most.
  void Open(const std::vector<std::uint64_t>& blocks) {
    std::vector<std::uint64_t> bytes;
    for (const std::uint64_t count : blocks) {
      bytes.push_back(count * kBlock);
    }
    if (GetParam().place == Place::kMemory) {
      device_ = MakeMemoryDevice(std::reduce(bytes.begin(), bytes.end()));
      return;
    }
    paths_ = folder_.Make(bytes);
    auto opened = OpenBlockFiles(paths_, bytes.front(), GetParam().engine);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    device_ = std::move(opened).value();
  }
  // The clock that Reap's deadlines are waited for on.
  core::Clock& deadline_clock() {
    if (GetParam().place == Place::kMemory) {
      return virtual_clock_;
    }
    return clock_;
  }
  bool IsDirect() const {
    return GetParam().place == Place::kDisk && testing::DirectIsAllowed() &&
           !internal::FileSystemOf(folder_.str()).starts_with("tmpfs");
  }

  testing::BlockFolder folder_{GetParam().place};
  std::vector<std::string> paths_;
  core::SystemClock clock_;
  core::VirtualClock virtual_clock_;
  std::unique_ptr<BlockDevice> device_;
};

TEST_P(BlockDeviceTest, WhatIsWrittenIsReadBackAtAnyBlock) {
  Open({32});
  const auto queue = NewQueue(*device_, clock_);
  const Blocks written(32);
  written.Number(1);
  // 1 + 2 + … + 7 + 4 = 32 blocks, the last of them first.
  std::vector<BlockOp> ops;
  std::size_t end = 32;
  for (const std::size_t count : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 4U}) {
    end -= count;
    ops.push_back(WriteOf(end, written.at(end, count), ops.size()));
  }
  ASSERT_EQ(end, 0U);
  EXPECT_TRUE(AllOk(RunAll(*queue, ops)));
  EXPECT_TRUE(device_->Flush().ok());

  const Blocks read(32);
  ops.clear();
  for (std::size_t i = 0; i < 32; ++i) {
    const std::size_t block = i * 13 % 32;  // each once, 13 being odd
    ops.push_back(ReadOf(block, read.at(block), i));
  }
  EXPECT_TRUE(AllOk(RunAll(*queue, ops)));
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(Blocks::NumberOf(read.at(i)), 1 + i);
  }
  read.Clear();
  EXPECT_TRUE(RunOne(*queue, ReadOf(0, read.all())).ok());
  EXPECT_EQ(Blocks::NumberOf(read.at(31)), 32U);
}

TEST_P(BlockDeviceTest, IsZerosUntilItIsWritten) {
  Open({4});
  const auto queue = NewQueue(*device_, clock_);
  const Blocks memory(4);
  memory.Number(1);
  EXPECT_TRUE(RunOne(*queue, WriteOf(2, memory.at(2))).ok());
  EXPECT_TRUE(RunOne(*queue, ReadOf(0, memory.all())).ok());
  EXPECT_TRUE(Blocks::IsZero(memory.at(0, 2)));
  EXPECT_EQ(Blocks::NumberOf(memory.at(2)), 3U);
  EXPECT_TRUE(Blocks::IsZero(memory.at(3)));
}

TEST_P(BlockDeviceTest, SaysItsSizeAndWhetherADiskAnswers) {
  Open({2, 2, 1});
  EXPECT_EQ(device_->size(), 5 * kBlock);
  EXPECT_EQ(device_->direct(), IsDirect());
}

TEST_P(BlockDeviceTest, AQueueTakesNoMoreThanItsDepthUntilOpsAreReaped) {
  Open({32});
  const auto queue = NewQueue(*device_, clock_, 4);
  EXPECT_EQ(queue->capacity(), 4U);
  const Blocks memory(32);
  std::vector<BlockOp> ops;
  for (std::size_t i = 0; i < 32; ++i) {
    ops.push_back(ReadOf(i * 11 % 32, memory.at(i), 100 + i));
  }
  EXPECT_EQ(queue->Submit(ops).value(), 4U);
  EXPECT_EQ(queue->in_flight(), 4U);
  EXPECT_EQ(queue->Submit(std::span(ops).subspan(4)).value(), 0U);

  std::set<std::uint64_t> tags;
  std::size_t begun = 4;
  std::array<BlockDone, 3> done;
  while (tags.size() < ops.size()) {
    const std::size_t count = queue->Reap(done, 1, core::kNever).value();
    ASSERT_GE(count, 1U);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(done[i].status.ok());
      EXPECT_TRUE(tags.insert(done[i].tag).second);
    }
    const auto rest = std::span(ops).subspan(begun);
    const std::size_t taken = queue->Submit(rest).value();
    EXPECT_EQ(taken, std::min(count, rest.size()));
    begun += taken;
  }
  EXPECT_EQ(*tags.begin(), 100U);
  EXPECT_EQ(*tags.rbegin(), 131U);
  EXPECT_EQ(queue->in_flight(), 0U);
}

TEST_P(BlockDeviceTest, QueuesOfSeveralThreadsDoNotMeet) {
  constexpr std::size_t kThreads = 3;
  constexpr std::size_t kEach = 16;
  Open({kThreads * kEach});
  std::atomic<std::size_t> right = 0;
  const auto work = [this, &right](std::size_t self) {
    const auto queue = NewQueue(*device_, clock_);
    const Blocks memory(kEach);
    for (std::uint64_t round = 1; round <= 3; ++round) {
      memory.Number(round * 1000 + self * kEach);
      std::vector<BlockOp> writes;
      std::vector<BlockOp> reads;
      for (std::size_t i = 0; i < kEach; ++i) {
        writes.push_back(WriteOf(i * kThreads + self, memory.at(i), i));
        reads.push_back(ReadOf(i * kThreads + self, memory.at(i), i));
      }
      EXPECT_TRUE(AllOk(RunAll(*queue, writes)));
      memory.Clear();
      EXPECT_TRUE(AllOk(RunAll(*queue, reads)));
      for (std::size_t i = 0; i < kEach; ++i) {
        right +=
            Blocks::NumberOf(memory.at(i)) == round * 1000 + self * kEach + i;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back(work, i);
    }
  }
  EXPECT_EQ(right, kThreads * kEach * 3);
}

TEST_P(BlockDeviceTest, AnOpMayCrossTheEndsOfFiles) {
  Open({2, 2, 1});
  const auto queue = NewQueue(*device_, clock_);
  const Blocks memory(5);
  memory.Number(1);
  EXPECT_TRUE(RunOne(*queue, WriteOf(0, memory.all())).ok());
  memory.Clear();
  EXPECT_TRUE(RunOne(*queue, ReadOf(1, memory.at(0, 4))).ok());
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(Blocks::NumberOf(memory.at(i)), 2 + i);
  }
  // File 0 has the blocks 0 and 1, file 1 has 2 and 3, file 2 has 4.
  std::uint64_t number = 0;
  for (const std::string& path : paths_) {
    const std::string content = testing::ReadFile(path);
    const auto bytes = std::as_bytes(std::span(content));
    for (std::size_t at = 0; at < bytes.size(); at += kBlock) {
      EXPECT_EQ(Blocks::NumberOf(bytes.subspan(at, kBlock)), ++number);
    }
  }
  EXPECT_EQ(number, paths_.empty() ? 0U : 5U);
}

TEST_P(BlockDeviceTest, WakeEndsAReapNowOrTheNext) {
  Open({1});
  const auto queue = NewQueue(*device_, clock_);
  std::array<BlockDone, 1> done;
  queue->Wake();
  EXPECT_EQ(queue->Reap(done, 1, core::kNever).value(), 0U);
  for (int round = 0; round < 3; ++round) {
    const std::jthread other([&queue] { queue->Wake(); });
    EXPECT_EQ(queue->Reap(done, 1, core::kNever).value(), 0U);
  }
}

TEST_P(BlockDeviceTest, ReapWaitsForItsDeadlineWithNothingInFlight) {
  Open({1});
  core::Clock& clock = deadline_clock();
  const auto queue = NewQueue(*device_, clock);
  std::array<BlockDone, 1> done;
  const core::TimePoint deadline = clock.Now() + std::chrono::microseconds(50);
  EXPECT_EQ(queue->Reap(done, 1, deadline).value(), 0U);
  EXPECT_GE(clock.Now(), deadline);
  EXPECT_EQ(queue->Reap(done, 1, deadline).value(), 0U);
  EXPECT_EQ(queue->Reap(done, 0, core::kNever).value(), 0U);
}

TEST_P(BlockDeviceTest, ReapWaitsForItsDeadlineWithLessInFlightThanItWants) {
  Open({1});
  core::Clock& clock = deadline_clock();
  const auto queue = NewQueue(*device_, clock);
  const Blocks memory(1);
  const BlockOp op = ReadOf(0, memory.all());
  ASSERT_EQ(queue->Submit(std::span(&op, 1)).value(), 1U);
  std::array<BlockDone, 2> done;
  const core::TimePoint deadline = clock.Now() + std::chrono::microseconds(50);
  const std::size_t count = queue->Reap(done, 2, deadline).value();
  EXPECT_GE(clock.Now(), deadline);
  // A disk may take longer.
  EXPECT_LE(count, 1U);
  if (count == 0) {
    EXPECT_EQ(queue->Reap(done, 1, core::kNever).value(), 1U);
  }
}

TEST_P(BlockDeviceTest, ReapWaitsForNoMoreThanItCanHandBack) {
  Open({1});
  const auto queue = NewQueue(*device_, clock_);
  const Blocks memory(2);
  const std::array ops{ReadOf(0, memory.at(0)), ReadOf(0, memory.at(1))};
  ASSERT_EQ(queue->Submit(ops).value(), 2U);
  std::array<BlockDone, 1> done;
  EXPECT_EQ(queue->Reap(done, 5, core::kNever).value(), 1U);
  EXPECT_EQ(queue->Reap(done, 5, core::kNever).value(), 1U);
  EXPECT_EQ(queue->in_flight(), 0U);
}

TEST_P(BlockDeviceTest, AnOpBeyondTheEndOrNotOfWholeBlocksIsItsOwnError) {
  Open({4});
  const auto queue = NewQueue(*device_, clock_);
  const Blocks memory(3);
  const std::span<std::byte> all = memory.all();
  std::array ops{ReadOf(3, memory.at(0, 2), 0),
                 ReadOf(0, memory.at(0), 1),
                 ReadOf(0, all.subspan(8, kBlock), 2),
                 WriteOf(0, all.first(100), 3),
                 WriteOf(1, memory.at(0), 4),
                 WriteOf(0, memory.at(0), 5),
                 ReadOf(4, {}, 6)};
  ops[4].offset += 512;
  ops[5].offset = UINT64_MAX - (kBlock - 1);
  const std::vector<core::Status> outcomes = RunAll(*queue, ops);
  for (const std::size_t bad : {0U, 2U, 3U, 4U, 5U}) {
    EXPECT_EQ(outcomes[bad].code(), core::Code::kInvalidArgument) << bad;
  }
  EXPECT_EQ(outcomes[0].message(),
            "read 8 KiB at 12 KiB of a device of 16 KiB: that reaches beyond "
            "its end");
  EXPECT_EQ(outcomes[4].message(),
            "write 4 KiB at 4608 B of a device of 16 KiB: offset, size and "
            "address must be multiples of 4 KiB");
  EXPECT_TRUE(outcomes[1].ok());
  EXPECT_TRUE(outcomes[6].ok());
}

TEST_P(BlockDeviceTest, AQueueHasADepthThatTheKernelAllows) {
  Open({1});
  for (const std::size_t depth : {std::size_t{0}, std::size_t{32'767}}) {
    EXPECT_EQ(device_->NewQueue(depth, clock_).status().code(),
              core::Code::kInvalidArgument);
  }
  EXPECT_TRUE(device_->NewQueue(1, clock_).ok());
}

TEST_P(BlockDeviceTest, AQueuesEndWaitsForWhatIsInFlight) {
  Open({16});
  const Blocks memory(16);
  const auto submit_and_end = [&](const auto& op_of) {
    const auto queue = NewQueue(*device_, clock_, 16);
    std::vector<BlockOp> ops;
    for (std::size_t i = 0; i < 16; ++i) {
      ops.push_back(op_of(i, memory.at(i), i));
    }
    EXPECT_EQ(queue->Submit(ops).value(), 16U);
  };
  for (std::uint64_t round = 1; round <= 5; ++round) {
    memory.Number(round * 100);
    submit_and_end(WriteOf);
    memory.Clear();
    submit_and_end(ReadOf);
    for (std::size_t i = 0; i < 16; ++i) {
      EXPECT_EQ(Blocks::NumberOf(memory.at(i)), round * 100 + i);
    }
  }
}

TEST_P(BlockDeviceTest, RegisteredMemoryIsUsedAndOtherMemoryWorksToo) {
  Open({8});
  const auto queue = NewQueue(*device_, clock_);
  const Blocks registered(4);
  const Blocks other(4);
  queue->RegisterMemory(registered.all());
  registered.Number(1);
  other.Number(5);
  const std::array writes{WriteOf(0, registered.all(), 0),
                          WriteOf(4, other.all(), 1)};
  EXPECT_TRUE(AllOk(RunAll(*queue, writes)));
  registered.Clear();
  other.Clear();
  const std::array reads{ReadOf(0, other.all(), 0),
                         ReadOf(4, registered.at(0, 2), 1),
                         ReadOf(6, registered.at(2, 2), 2)};
  EXPECT_TRUE(AllOk(RunAll(*queue, reads)));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(Blocks::NumberOf(other.at(i)), 1 + i);
    EXPECT_EQ(Blocks::NumberOf(registered.at(i)), 5 + i);
  }
}

TEST_P(BlockDeviceTest, AQueueSaysHowItWorks) {
  Open({1});
  const auto queue = NewQueue(*device_, clock_);
  if (GetParam().engine != BlockEngine::kUring) {
    const auto* const expected =
        GetParam().place == Place::kMemory ? "" : "threads";
    EXPECT_EQ(queue->engine(), expected);
    queue->RegisterMemory(Blocks(1).all());
    EXPECT_EQ(queue->engine(), expected);
    return;
  }
  EXPECT_EQ(queue->engine(), "uring");
  const Blocks memory(1);
  queue->RegisterMemory(memory.all());
  if (IsDirect()) {
    EXPECT_EQ(queue->engine(), "uring, registered buffers");
  } else {
    EXPECT_THAT(std::string(queue->engine()),
                StartsWith("uring, buffers not registered: the page cache"));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BlockDeviceTest,
                         ::testing::ValuesIn(AllKinds()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace stoker::storage
