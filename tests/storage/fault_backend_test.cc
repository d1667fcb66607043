#include "storage/fault_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <utility>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using std::chrono::milliseconds;
using testing::AsBytes;
using testing::AtMillis;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Letters;
using testing::ListAll;
using testing::NewQueue;
using testing::Open;
using testing::ReadInto;
using Operation = FaultRule::Operation;

class FaultBackendTest : public ::testing::Test {
 protected:
  FaultBackendTest() { clock_.Attach(); }
  ~FaultBackendTest() override { clock_.Detach(); }

  // Over memory with the objects img_1 and img_2, ten letters each.
  void Use(std::string_view fault) {
    const std::string place = "mem:fault-test";
    const auto plain = Open(place);
    for (const auto& [name, size] : ListAll(*plain, "")) {
      ASSERT_TRUE(plain->Remove(name).ok());
    }
    for (const char* name : {"img_1", "img_2"}) {
      ASSERT_TRUE(WriteObject(*plain, name, Letters(10), clock_).ok());
    }
    Use(Open(std::string(fault) + "," + place));
  }
  void Use(std::unique_ptr<Backend> backend) {
    backend_ = std::move(backend);
    queue_ = NewQueue(*backend_, clock_);
    one_ = backend_->Resolve("img_1");
    two_ = backend_->Resolve("img_2");
  }
  // "ok" or the error's message, for `count` reads of the whole object.
  std::vector<std::string> Reads(ObjectId object, int count) {
    std::vector<std::string> outcomes;
    for (int i = 0; i < count; ++i) {
      const ReadDone done = ReadInto(text_, *queue_, object, 0, 10);
      outcomes.emplace_back(done.status.ok() ? "ok" : done.status.message());
    }
    return outcomes;
  }

  core::VirtualClock clock_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ReadQueue> queue_;
  ObjectId one_{};
  ObjectId two_{};
  std::string text_;
};

TEST_F(FaultBackendTest, HitsTheNthMatchingReadAndSoManyMore) {
  Use("fault:?op=read&object=img_2&nth=1&count=2&error=EIO");
  EXPECT_THAT(Reads(one_, 3), ElementsAre("ok", "ok", "ok"));
  const std::string message =
      "img_2: scripted fault in read: Input/output error";
  EXPECT_THAT(Reads(two_, 4), ElementsAre("ok", message, message, "ok"));
  EXPECT_EQ(queue_->counters().errors, 2U);
}

TEST_F(FaultBackendTest, CountsOverAllQueues) {
  Use("fault:?nth=1&error=ENOENT");
  const auto other = NewQueue(*backend_, clock_);
  EXPECT_TRUE(ReadInto(text_, *other, one_, 0, 10).status.ok());
  const ReadDone done = ReadInto(text_, *queue_, one_, 0, 10);
  EXPECT_EQ(done.status.code(), core::Code::kNotFound);
  EXPECT_EQ(done.status.os_error(), ENOENT);
}

TEST_F(FaultBackendTest, EagainMayBeTriedAgain) {
  Use("fault:?error=EAGAIN&count=all");
  EXPECT_TRUE(ReadInto(text_, *queue_, one_, 0, 10).status.Retryable());
  EXPECT_TRUE(ReadInto(text_, *queue_, one_, 0, 10).status.Retryable());
}

TEST_F(FaultBackendTest, AShortReadReportsNoMoreThanItsBytes) {
  Use("fault:?short=3");
  ReadInto(text_, *queue_, one_, 0, 10);
  EXPECT_EQ(text_, "abc");
  ReadInto(text_, *queue_, one_, 0, 10);
  EXPECT_EQ(text_, "abcdefghij");
}

TEST_F(FaultBackendTest, AFlipTurnsOneBitInTheFirstReadThatCoversIt) {
  Use("fault:?flip=6");
  ReadInto(text_, *queue_, one_, 0, 6);  // bytes 0 to 5
  EXPECT_EQ(text_, "abcdef");
  ReadInto(text_, *queue_, one_, 4, 4);
  EXPECT_EQ(text_, "effh");  // 'g' is 0x67, 'f' 0x66
  ReadInto(text_, *queue_, one_, 4, 4);
  EXPECT_EQ(text_, "efgh");
}

TEST_F(FaultBackendTest, ADelayHoldsOneReadBackAndNoOther) {
  Use("fault:?delay=50ms&object=img_1");
  std::array<std::byte, 4> a;
  std::array<std::byte, 4> b;
  const std::array ops{ReadOp{.object = one_, .buffer = a, .tag = 1},
                       ReadOp{.object = two_, .buffer = b, .tag = 2}};
  ASSERT_EQ(queue_->Submit(ops).value(), 2U);
  std::array<ReadDone, 2> done;
  ASSERT_EQ(queue_->Reap(done, 1, core::kNever).value(), 1U);
  EXPECT_EQ(done[0].tag, 2U);
  EXPECT_EQ(done[0].finished, AtMillis(0));
  EXPECT_EQ(queue_->Reap(done, 1, AtMillis(20)).value(), 0U);
  EXPECT_EQ(clock_.Now(), AtMillis(20));
  ASSERT_EQ(queue_->Reap(done, 1, core::kNever).value(), 1U);
  EXPECT_EQ(done[0].finished, AtMillis(50));
}

TEST_F(FaultBackendTest, ADelayedReadOverAModelWaitsForTheLater) {
  Use("fault:?delay=2ms,model:?latency=5ms&servers=2");
  EXPECT_THAT(Reads(one_, 1), ElementsAre("ok"));
  EXPECT_EQ(clock_.Now(), AtMillis(5));
}

TEST_F(FaultBackendTest, SizesFailToo) {
  Use("fault:?op=size&error=ESTALE");
  const ReadOp op{.kind = ReadOp::Kind::kSize, .object = one_};
  EXPECT_EQ(testing::RunOne(*queue_, op).status.os_error(), ESTALE);
  EXPECT_EQ(testing::RunOne(*queue_, op).bytes, 10U);
}

TEST_F(FaultBackendTest, AFullDiskWhileWritingLeavesNoObject) {
  Use("fault:?op=write&object=img_3&nth=1&error=ENOSPC");
  // Sent: part 1 at once; then, by Commit, part 2 (hit) before part 0.
  auto stream = backend_->Create("img_3", {.part_size = 4096}, clock_).value();
  ASSERT_TRUE(stream->Write(AsBytes(Letters(9000))).ok());
  const core::Status status = stream->Commit().status();
  EXPECT_EQ(status.os_error(), ENOSPC);
  EXPECT_THAT(std::string(status.message()), HasSubstr("img_3"));
  stream.reset();
  EXPECT_THAT(ListAll(*backend_, "img_3"), IsEmpty());
}

TEST_F(FaultBackendTest, AFailedCommitOrCreateLeavesNoObject) {
  Use("fault:?op=commit&object=img_3&error=EIO");
  EXPECT_EQ(WriteObject(*backend_, "img_3", "text", clock_).os_error(), EIO);
  EXPECT_THAT(ListAll(*backend_, "img_3"), IsEmpty());
  EXPECT_TRUE(WriteObject(*backend_, "img_4", "text", clock_).ok());
  Use("fault:?op=create&error=EACCES");
  EXPECT_EQ(WriteObject(*backend_, "img_5", "text", clock_).code(),
            core::Code::kPermission);
}

TEST_F(FaultBackendTest, ListLinkAndRemoveFail) {
  Use("fault:?op=list&object=img&error=EIO");
  EXPECT_EQ(
      backend_->List("img", [](const ObjectInfo&) { return true; }).os_error(),
      EIO);
  Use("fault:?op=link&object=img_9&error=EIO");
  EXPECT_TRUE(backend_->Link("img_1", "img_8").ok());
  EXPECT_EQ(backend_->Link("img_1", "img_9").os_error(), EIO);
  Use("fault:?op=remove&error=EACCES");
  EXPECT_EQ(backend_->Remove("img_1").os_error(), EACCES);
  EXPECT_TRUE(backend_->Remove("img_1").ok());
}

TEST_F(FaultBackendTest, ADelayedWriteTakesThatMuchLonger) {
  Use("fault:?op=write&delay=30ms");
  ASSERT_TRUE(WriteObject(*backend_, "img_3", "text", clock_).ok());
  EXPECT_EQ(clock_.Now(), AtMillis(30));
}

TEST_F(FaultBackendTest, EveryNthOfTheMatchingReadsIsHitToTheEnd) {
  Use("fault:?object=img_2&every=3&error=ENOENT");
  const std::string hit =
      "img_2: scripted fault in read: No such file or directory";
  EXPECT_THAT(Reads(two_, 7),
              ElementsAre("ok", "ok", hit, "ok", "ok", hit, "ok"));
}

TEST_F(FaultBackendTest, ARateHitsItsPartTheSameForEqualSeeds) {
  // One byte at each of 2000 offsets; the second time backwards.
  const auto hits = [this](std::string_view uri, bool backwards) {
    Use(uri);
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < 2000; ++i) {
      const std::uint64_t offset = backwards ? 1999 - i : i;
      if (!ReadInto(text_, *queue_, one_, offset, 1).status.ok()) {
        offsets.push_back(offset);
      }
    }
    std::ranges::sort(offsets);
    return offsets;
  };
  const auto first = hits("fault:?rate=0.05&seed=4&error=EIO", false);
  EXPECT_EQ(hits("fault:?rate=0.05&seed=4&error=EIO", true), first);
  EXPECT_NE(hits("fault:?rate=0.05&seed=5&error=EIO", false), first);
  // Binomial: 100 with a deviation of 9.7; four of them either way.
  EXPECT_GT(first.size(), 61U);
  EXPECT_LT(first.size(), 139U);
}

TEST_F(FaultBackendTest, AFlipAnywhereTurnsOneBitOfTheRead) {
  Use("fault:?flip=any&rate=1&seed=9");
  ReadInto(text_, *queue_, one_, 0, 10);
  const std::string sound = "abcdefghij";
  int bits = 0;
  for (std::size_t i = 0; i < sound.size(); ++i) {
    bits += std::popcount(static_cast<unsigned char>(text_[i] ^ sound[i]));
  }
  EXPECT_EQ(bits, 1);
}

TEST_F(FaultBackendTest, NothingIsDoneOutsideOfItsWindow) {
  // Opened at 5 s: from 15 s to 20 s.
  clock_.SleepUntil(AtMillis(5000));
  const auto fault = OpenBackend(
      "fault:?from=10s&for=5s&count=all&error=EIO,"
      "mem:fault-test",
      {.clock = &clock_});
  Use("fault:");  // the objects
  ASSERT_TRUE(fault.ok());
  const auto queue = NewQueue(*fault.value(), clock_);
  const ObjectId object = fault.value()->Resolve("img_1");
  for (const auto& [millis, fails] :
       {std::pair(14'999, false), std::pair(15'000, true),
        std::pair(19'999, true), std::pair(20'000, false)}) {
    clock_.SleepUntil(AtMillis(millis));
    EXPECT_EQ(ReadInto(text_, *queue, object, 0, 10).status.ok(), !fails)
        << millis << " ms";
  }
}

TEST_F(FaultBackendTest, WithoutAClockAWindowBeginsWithTheFirstRead) {
  Use("fault:?for=1s&count=all&error=EIO");
  clock_.SleepUntil(AtMillis(3000));
  EXPECT_FALSE(ReadInto(text_, *queue_, one_, 0, 10).status.ok());
  clock_.SleepUntil(AtMillis(4000));
  EXPECT_TRUE(ReadInto(text_, *queue_, one_, 0, 10).status.ok());
}

TEST_F(FaultBackendTest, LatencyAndBandwidthActOnReadsAndWrites) {
  // 10 B at 1 kB/s are 10 ms. Two reads at once: 20 ms and 10 ms, then 10 more.
  Use("fault:?latency=20ms&bandwidth=1kB");
  std::array<std::byte, 10> a;
  std::array<std::byte, 10> b;
  const std::array ops{ReadOp{.object = one_, .buffer = a, .tag = 1},
                       ReadOp{.object = two_, .buffer = b, .tag = 2}};
  ASSERT_EQ(queue_->Submit(ops).value(), 2U);
  std::array<ReadDone, 2> done;
  ASSERT_EQ(queue_->Reap(done, 2, core::kNever).value(), 2U);
  EXPECT_EQ(clock_.Now(), AtMillis(40));
  // Create, 10 B, Commit: 20 + 30 + 20 ms.
  ASSERT_TRUE(WriteObject(*backend_, "img_1", Letters(10), clock_).ok());
  EXPECT_EQ(clock_.Now(), AtMillis(110));
}

TEST_F(FaultBackendTest, SaysThatFaultsArePutInWhereTheyAre) {
  Use("fault:");
  EXPECT_EQ(NotesOn(backend_->capabilities()), "");
  Use("fault:?latency=1ms");
  EXPECT_EQ(NotesOn(backend_->capabilities()), "faults put in");
  Use("fault:?error=EIO,model:?latency=1ms");
  EXPECT_EQ(NotesOn(backend_->capabilities()),
            "simulated store, faults put in");
}

TEST_F(FaultBackendTest, AScriptMayHaveManyRules) {
  FaultScript script(2);
  script[0] = {.operation = Operation::kRead,
               .object = "img_1",
               .first = 1,
               .action = FaultRule::Error{
                   {core::Code::kUnavailable, "come back later"}}};
  script[1] = {.operation = Operation::kRead,
               .object = "",
               .first = 0,
               .count = FaultRule::kAlways,
               .action = FaultRule::Short{4}};
  auto inner = Open("mem:");
  ASSERT_TRUE(WriteObject(*inner, "img_1", Letters(10), clock_).ok());
  Use(NewFaultBackend(std::move(script), std::move(inner)).value());
  EXPECT_THAT(Reads(one_, 3),
              ElementsAre("ok", "img_1: come back later", "ok"));
  EXPECT_EQ(text_, "abcd");
}

TEST(NewFaultBackend, RefusesActionsTheOperationCannotHave) {
  for (const Operation operation : {Operation::kSize, Operation::kWrite}) {
    FaultScript script(1);
    script[0] = {.operation = operation, .action = FaultRule::Short{1}};
    EXPECT_EQ(NewFaultBackend(script, Open("mem:")).status().code(),
              core::Code::kInvalidArgument);
  }
  FaultScript script(1);
  script[0] = {.operation = Operation::kList,
               .action = FaultRule::Delay{milliseconds(1)}};
  EXPECT_EQ(NewFaultBackend(script, Open("mem:")).status().code(),
            core::Code::kInvalidArgument);
}

TEST(OpenFaultBackend, RefusesRulesItCannotUnderstand) {
  const auto error = [](const std::string& options) {
    const auto backend = OpenBackend("fault:?" + options + ",mem:");
    EXPECT_EQ(backend.status().code(), core::Code::kInvalidArgument);
    return std::string(backend.status().message());
  };
  EXPECT_THAT(error("op=read"), HasSubstr("exactly one of error"));
  EXPECT_THAT(error("error=EIO&short=1"), HasSubstr("exactly one of error"));
  EXPECT_THAT(error("error=EWHAT"), HasSubstr("allowed are EIO, ENOSPC"));
  EXPECT_THAT(error("op=reed&error=EIO"), HasSubstr("allowed are read, size"));
  EXPECT_THAT(error("op=list&delay=1s"), HasSubstr("list takes an error"));
  EXPECT_THAT(error("count=0&error=EIO"), HasSubstr("count=0"));
  EXPECT_THAT(error("rate=0.5"), HasSubstr("exactly one of error"));
  EXPECT_THAT(error("rate=0.5&every=2&error=EIO"), HasSubstr("exclude"));
  EXPECT_THAT(error("nth=3&every=2&error=EIO"), HasSubstr("exclude"));
  EXPECT_THAT(error("rate=2&error=EIO"), HasSubstr("0 to 1"));
  EXPECT_THAT(error("seed=2&error=EIO"), HasSubstr("only with rate"));
  EXPECT_THAT(error("bandwidth=0"), HasSubstr("bandwidth=0"));
  EXPECT_THAT(error("from=3s"), HasSubstr("nothing to be done"));
  EXPECT_THAT(error("for=0s&error=EIO"), HasSubstr("for=0s"));
}

}  // namespace
}  // namespace stoker::storage
