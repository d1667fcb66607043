#include "storage/internal/uring_ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage::internal {
namespace {

using Completion = UringRing::Completion;

// The suite runs where the kernel allows io_uring: once, or not at all.
std::vector<bool> WhereAllowed() {
  return ProbeUring().ok() ? std::vector<bool>{true} : std::vector<bool>{};
}

class UringRingTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(::pipe2(pipe_.data(), O_CLOEXEC), 0);
    auto ring = UringRing::Make(8);
    ASSERT_TRUE(ring.ok()) << ring.status().ToString();
    ring_ = std::move(ring).value();
  }
  void TearDown() override {
    CloseWriter();
    ring_.reset();
    ::close(pipe_[0]);
  }
  void CloseWriter() {
    if (pipe_[1] >= 0) {
      ::close(pipe_[1]);
    }
    pipe_[1] = -1;
  }
  void WriteToPipe(std::string_view text) const {
    ASSERT_EQ(::write(pipe_[1], text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  // Waits until `count` completions are there.
  std::vector<Completion> Finish(std::size_t count) {
    std::vector<Completion> all;
    while (all.size() < count) {
      EXPECT_TRUE(ring_->Wait(std::nullopt).ok());
      std::array<Completion, 4> some;
      const std::size_t taken = ring_->Take(some);
      all.insert(all.end(), some.begin(), some.begin() + taken);
    }
    return all;
  }

  std::array<int, 2> pipe_{-1, -1};
  std::unique_ptr<UringRing> ring_;
  std::array<std::byte, 16> buffer_{};
};

TEST_P(UringRingTest, ReadsFromAPipeOnceBytesArrive) {
  ring_->PrepareRead(pipe_[0], buffer_, 0, 42);
  ASSERT_TRUE(ring_->Submit().ok());
  std::array<Completion, 1> none;
  EXPECT_EQ(ring_->Take(none), 0U);
  WriteToPipe("hello");
  const auto done = Finish(1);
  EXPECT_EQ(done[0].user_data, 42U);
  EXPECT_EQ(done[0].result, 5);
  EXPECT_EQ(static_cast<char>(buffer_[4]), 'o');
}

TEST_P(UringRingTest, OpensAndReadsAFileAtAnOffset) {
  const testing::TempDir dir;
  const std::string path = dir.str() + "/digits";
  std::ofstream(path) << "0123456789";
  ring_->PrepareOpen(path.c_str(), O_RDONLY | O_CLOEXEC, 1);
  ASSERT_TRUE(ring_->Submit().ok());
  const int fd = Finish(1)[0].result;
  ASSERT_GE(fd, 0);

  ring_->PrepareRead(fd, std::span(buffer_).first(4), 3, 2);
  ring_->PrepareRead(fd, std::span(buffer_).subspan(4), 8, 3);
  ASSERT_TRUE(ring_->Submit().ok());
  for (const Completion& done : Finish(2)) {
    EXPECT_EQ(done.result, done.user_data == 2 ? 4 : 2);
  }
  EXPECT_EQ(static_cast<char>(buffer_[0]), '3');
  EXPECT_EQ(static_cast<char>(buffer_[5]), '9');
  ::close(fd);
}

TEST_P(UringRingTest, ReadsIntoMemoryThatIsRegisteredAndIntoAnyOther) {
  const testing::TempDir dir;
  const std::string path = dir.str() + "/digits";
  std::ofstream(path) << "0123456789";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const auto pool = core::AlignedBuffer::Make(8192, true);
  const std::span<std::byte> memory = pool.value().bytes();
  ASSERT_TRUE(ring_->RegisterBuffers(memory).ok());
  ring_->PrepareRead(fd, memory.subspan(4094, 4), 2, 1);
  ring_->PrepareRead(fd, memory.last(1), 9, 2);
  ring_->PrepareRead(fd, buffer_, 0, 3);
  ASSERT_TRUE(ring_->Submit().ok());
  for (const Completion& done : Finish(3)) {
    constexpr std::array kWanted{0, 4, 1, 10};
    EXPECT_EQ(done.result, kWanted[done.user_data]);
  }
  EXPECT_EQ(static_cast<char>(memory[4094]), '2');
  EXPECT_EQ(static_cast<char>(memory[4097]), '5');
  EXPECT_EQ(static_cast<char>(memory[8191]), '9');
  EXPECT_EQ(static_cast<char>(buffer_[9]), '9');
  ::close(fd);
}

TEST_P(UringRingTest, WritesFromMemoryThatIsRegisteredAndFromAnyOther) {
  const testing::TempDir dir;
  const std::string path = dir.str() + "/letters";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  const auto pool = core::AlignedBuffer::Make(8192, true);
  const std::span<std::byte> memory = pool.value().bytes();
  ASSERT_TRUE(ring_->RegisterBuffers(memory).ok());
  std::ranges::fill(memory, std::byte{'r'});
  std::ranges::fill(buffer_, std::byte{'o'});
  ring_->PrepareWrite(fd, memory.subspan(4094, 4), 2, 1);
  ring_->PrepareWrite(fd, memory.last(1), 9, 2);
  ring_->PrepareWrite(fd, std::span(buffer_).first(2), 0, 3);
  ring_->PrepareWrite(fd, std::span(buffer_).first(3), 6, 4);
  ASSERT_TRUE(ring_->Submit().ok());
  for (const Completion& done : Finish(4)) {
    constexpr std::array kWanted{0, 4, 1, 2, 3};
    EXPECT_EQ(done.result, kWanted[done.user_data]);
  }
  std::string content;
  std::getline(std::ifstream(path), content);
  EXPECT_EQ(content, "oorrrrooor");
  ::close(fd);
}

TEST_P(UringRingTest, ReportsErrorsAsNegativeErrno) {
  ring_->PrepareOpen("/nowhere/at/all", O_RDONLY, 1);
  ring_->PrepareRead(-1, buffer_, 0, 2);
  ring_->PrepareWrite(-1, buffer_, 0, 3);
  ASSERT_TRUE(ring_->Submit().ok());
  for (const Completion& done : Finish(3)) {
    EXPECT_EQ(done.result, done.user_data == 1 ? -ENOENT : -EBADF);
  }
}

TEST_P(UringRingTest, AWaitEndsAfterItsTime) {
  ring_->PrepareRead(pipe_[0], buffer_, 0, 1);
  ASSERT_TRUE(ring_->Wait(core::Nanos(1000)).ok());
  std::array<Completion, 1> none;
  EXPECT_EQ(ring_->Take(none), 0U);
  EXPECT_FALSE(ring_->TakeWoken());
}

TEST_P(UringRingTest, WakeEndsAWaitAgainAndAgain) {
  std::array<Completion, 1> none;
  for (int round = 0; round < 3; ++round) {
    std::thread other([this] { ring_->Wake(); });
    bool woken = false;
    while (!woken) {
      ASSERT_TRUE(ring_->Wait(std::nullopt).ok());
      EXPECT_EQ(ring_->Take(none), 0U);
      woken = ring_->TakeWoken();
    }
    other.join();
    EXPECT_FALSE(ring_->TakeWoken());
  }
}

TEST_P(UringRingTest, MayBeUsedByAnotherThreadThanTheOneThatMadeIt) {
  WriteToPipe("x");
  std::thread user([this] {
    ring_->PrepareRead(pipe_[0], buffer_, 0, 7);
    ASSERT_TRUE(ring_->Submit().ok());
    EXPECT_EQ(Finish(1)[0].result, 1);
  });
  user.join();
}

TEST_P(UringRingTest, DrainWaitsForWhatTheKernelHasAndDropsTheRest) {
  ring_->PrepareRead(pipe_[0], buffer_, 0, 1);
  ASSERT_TRUE(ring_->Submit().ok());
  ring_->PrepareRead(pipe_[0], buffer_, 0, 2);  // never submitted
  CloseWriter();                                // ends the first read
  std::array<Completion, 2> done;
  ASSERT_EQ(ring_->Drain(done), 1U);
  EXPECT_EQ(done[0].user_data, 1U);
  EXPECT_EQ(done[0].result, 0);
  EXPECT_EQ(ring_->Drain(done), 0U);
}

TEST_P(UringRingTest, EndsAfterItsThreadHasEnded) {
  std::thread user([this] {
    ring_->PrepareRead(pipe_[0], buffer_, 0, 1);
    ASSERT_TRUE(ring_->Submit().ok());
  });
  user.join();
  CloseWriter();
  std::array<Completion, 2> done;
  EXPECT_EQ(ring_->Drain(done), 1U);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(UringRingTest);
INSTANTIATE_TEST_SUITE_P(Allowed, UringRingTest,
                         ::testing::ValuesIn(WhereAllowed()),
                         [](const auto&) { return "Uring"; });

TEST(ProbeUring, SaysWhatMakeDoes) {
  const core::Status probed = ProbeUring();
  EXPECT_EQ(UringRing::Make(32).ok(), probed.ok());
  if (!probed.ok()) {
    EXPECT_EQ(probed.code(), core::Code::kUnsupported);
  }
}

}  // namespace
}  // namespace stoker::storage::internal
