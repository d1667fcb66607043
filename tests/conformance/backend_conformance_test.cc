// What every back end promises, run over all of them. A row says how a back end
// is opened and where it legitimately differs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "storage/backend.h"
#include "storage/registry.h"
#include "tests/conformance/backend_rows.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

using testing::AsBytes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Letters;
using testing::ListAll;
using testing::NewQueue;
using testing::ReadInto;
using Listing = std::map<std::string, std::uint64_t>;

class BackendConformance : public ::testing::TestWithParam<Row> {
 protected:
  static constexpr std::size_t kPart = 4096;

  void Put(std::string_view name, std::string_view content) {
    const core::Status status =
        WriteObject(*backend_, name, content, clock_, {.part_size = kPart});
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  std::unique_ptr<WriteStream> Create(std::string_view name,
                                      const WriteOptions& options = {
                                          .part_size = kPart}) {
    auto stream = backend_->Create(name, options, clock_);
    STOKER_CHECK(stream.ok());
    return std::move(stream).value();
  }
  std::unique_ptr<ReadQueue> Queue(std::size_t depth = 4) {
    return NewQueue(*backend_, clock_, depth, GetParam().access);
  }
  bool stores() const { return GetParam().can.stores_data; }
  // What a size query answers for an object of `size` bytes.
  std::uint64_t Size(std::uint64_t size) const { return stores() ? size : 0; }
  // What a read of `wanted` bytes reports where `there` bytes are left.
  std::uint64_t Delivered(std::uint64_t wanted, std::uint64_t there) const {
    return stores() ? std::min(wanted, there) : wanted;
  }
  std::string Content(std::string_view content) const {
    return stores() ? std::string(content) : "";
  }
  Listing Listed(const Listing& objects) const {
    return stores() ? objects : Listing{};
  }
  std::string Read(std::string_view name) {
    const auto content = ReadObject(*backend_, name, clock_);
    return content.ok() ? content.value() : content.status().ToString();
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ = testing::Open(GetParam().uri(dir_));
  std::string text_;
};

TEST_P(BackendConformance, SaysWhatItIs) {
  EXPECT_EQ(backend_->scheme(), GetParam().scheme);
  EXPECT_EQ(Queue()->engine(), GetParam().engine);
  const Capabilities can = backend_->capabilities();
  EXPECT_EQ(can.stores_data, GetParam().can.stores_data);
  EXPECT_EQ(can.links, GetParam().can.links);
  EXPECT_EQ(can.shared, GetParam().can.shared);
  EXPECT_GE(can.max_links, 2U);
  EXPECT_TRUE(OpenBackend(backend_->uri()).ok()) << backend_->uri();
}

TEST_P(BackendConformance, ReadsBackWhatWasCommitted) {
  const std::string text = Letters(3 * kPart + 123);
  Put("object", text);
  EXPECT_EQ(Read("object"), Content(text));
}

TEST_P(BackendConformance, AnEmptyObjectExists) {
  Put("empty", "");
  EXPECT_EQ(Read("empty"), "");
  EXPECT_EQ(ListAll(*backend_, ""), Listed({{"empty", 0}}));
}

TEST_P(BackendConformance, AnUncommittedObjectLeavesNothing) {
  Put("train/kept", "text");
  auto stream = Create("train/dropped");
  ASSERT_TRUE(stream->Write(AsBytes(Letters(3 * kPart))).ok());
  EXPECT_EQ(ListAll(*backend_, "train/"), Listed({{"train/kept", 4}}));
  stream.reset();
  EXPECT_EQ(ListAll(*backend_, "train/"), Listed({{"train/kept", 4}}));
}

TEST_P(BackendConformance, AnObjectIsReplacedAtCommitAndNotBefore) {
  Put("object", "old");
  const auto stream = Create("object");
  ASSERT_TRUE(stream->Write(AsBytes(Letters(2 * kPart))).ok());
  EXPECT_EQ(Read("object"), Content("old"));
  ASSERT_TRUE(stream->Commit().ok());
  EXPECT_EQ(Read("object"), Content(Letters(2 * kPart)));
}

TEST_P(BackendConformance, PatchReachesTheFirstPartAfterLaterOnesWereSent) {
  const auto stream = Create("object");
  ASSERT_TRUE(stream->Write(AsBytes(Letters(2 * kPart + 10))).ok());
  ASSERT_TRUE(stream->Patch(14, AsBytes("CRC!")).ok());
  EXPECT_EQ(stream->Patch(kPart, AsBytes("x")).code(),
            core::Code::kInvalidArgument);
  ASSERT_TRUE(stream->Commit().ok());
  std::string expected = Letters(2 * kPart + 10);
  expected.replace(14, 4, "CRC!");
  EXPECT_EQ(Read("object"), Content(expected));
}

TEST_P(BackendConformance, PartsInFlightArriveWhole) {
  const std::string text = Letters(50 * kPart + 77);
  for (const bool patch : {true, false}) {
    const auto stream = Create("object", {.expected_size = text.size(),
                                          .part_size = kPart,
                                          .in_flight = 3,
                                          .patch = patch});
    // In pieces that end anywhere.
    for (std::size_t at = 0; at < text.size(); at += 5000) {
      ASSERT_TRUE(stream
                      ->Write(AsBytes(text).subspan(at).first(
                          std::min<std::size_t>(5000, text.size() - at)))
                      .ok());
    }
    const WriteTimes times = stream->Commit().value();
    EXPECT_TRUE(Read("object") == Content(text));
    EXPECT_EQ(stream->counters().parts, 51U);
    EXPECT_EQ(stream->counters().bytes, text.size());
    EXPECT_LE(times.first, times.last);
    EXPECT_LE(times.last, times.synced);
    EXPECT_LE(times.synced, times.committed);
    EXPECT_LE(stream->counters().idle, times.last - times.first);
    EXPECT_LE(stream->counters().waited, stream->counters().busy);
  }
}

TEST_P(BackendConformance, ACutMakesAPartOfItsOwnWhereverItIs) {
  const std::string text = Letters(9 * kPart);
  for (const std::size_t in_flight : {0U, 3U}) {
    const auto stream = Create(
        "object", {.part_size = kPart, .in_flight = in_flight, .patch = false});
    std::size_t at = 0;
    // Parts of 1, 999, 4096, 904, 4096, 4096 and 10 bytes.
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{999},
                                    kPart + 904, 2 * kPart, std::size_t{10}}) {
      ASSERT_TRUE(stream->Write(AsBytes(text).subspan(at, bytes)).ok());
      ASSERT_TRUE(stream->Cut().ok());
      EXPECT_EQ(stream->Buffer().value().size(), kPart);
      at += bytes;
    }
    EXPECT_EQ(stream->counters().parts, 7U);
    ASSERT_TRUE(stream->Write(AsBytes(text).subspan(at, 100)).ok());
    ASSERT_TRUE(stream->Commit().ok());
    EXPECT_EQ(stream->counters().parts, 8U);
    EXPECT_EQ(Read("object"), Content(text.substr(0, at + 100)));
  }
}

TEST_P(BackendConformance, ACutLeavesThePartForPatchAsItIs) {
  const auto stream = Create("object", {.part_size = kPart, .in_flight = 2});
  ASSERT_TRUE(stream->Write(AsBytes(Letters(100))).ok());
  ASSERT_TRUE(stream->Cut().ok());
  EXPECT_EQ(stream->Buffer().value().size(), kPart - 100);
  ASSERT_TRUE(stream->Write(AsBytes(Letters(kPart))).ok());
  ASSERT_TRUE(stream->Cut().ok());
  EXPECT_EQ(stream->counters().parts, 1U);
  ASSERT_TRUE(stream->Patch(99, AsBytes("!!")).ok());
  ASSERT_TRUE(stream->Commit().ok());
  std::string expected = Letters(100) + Letters(kPart);
  expected.replace(99, 2, "!!");
  EXPECT_EQ(Read("object"), Content(expected));
}

TEST_P(BackendConformance, WithoutPatchNothingIsKeptBack) {
  const auto stream = Create("object", {.part_size = kPart, .patch = false});
  ASSERT_TRUE(stream->Write(AsBytes(Letters(kPart))).ok());
  EXPECT_EQ(stream->counters().parts, 1U);
  EXPECT_EQ(stream->Patch(0, AsBytes("x")).code(),
            core::Code::kInvalidArgument);
  ASSERT_TRUE(stream->Commit().ok());
  EXPECT_EQ(Read("object"), Content(Letters(kPart)));
}

TEST_P(BackendConformance, AFailedPartInFlightLeavesNoObject) {
  backend_ =
      testing::Open("fault:?op=write&nth=7&error=EIO," + GetParam().uri(dir_));
  auto stream =
      Create("a", {.part_size = kPart, .in_flight = 3, .patch = false});
  core::Status status = stream->Write(AsBytes(Letters(20 * kPart)));
  if (status.ok()) {
    status = stream->Commit().status();
  }
  EXPECT_EQ(status.os_error(), EIO);
  EXPECT_EQ(stream->Commit().status().os_error(), EIO);
  stream.reset();
  ASSERT_TRUE(backend_->EnsureFolder("").ok());
  EXPECT_THAT(ListAll(*backend_, ""), IsEmpty());
}

TEST_P(BackendConformance, ADropWithPartsInFlightLeavesNothing) {
  Put("train/kept", "text");
  auto stream = Create("train/dropped", {.part_size = kPart, .in_flight = 3});
  ASSERT_TRUE(stream->Write(AsBytes(Letters(10 * kPart))).ok());
  stream.reset();
  EXPECT_EQ(ListAll(*backend_, "train/"), Listed({{"train/kept", 4}}));
}

TEST_P(BackendConformance, ForgettingAnObjectLeavesItAsItIs) {
  Put("a", Letters(3 * kPart));
  const auto cached = backend_->CachedBytes("a");
  ASSERT_TRUE(cached.ok()) << cached.status().ToString();
  EXPECT_EQ(cached.value().has_value(), GetParam().has_folders);
  EXPECT_LE(cached.value().value_or(0), 3 * kPart);
  ASSERT_TRUE(backend_->Forget("a").ok());
  EXPECT_EQ(Read("a"), Content(Letters(3 * kPart)));
}

TEST_P(BackendConformance, CountsWhatIsWritten) {
  const auto stream = Create("object");
  ASSERT_TRUE(stream->Write(AsBytes(Letters(2 * kPart + 10))).ok());
  const WriteTimes times = stream->Commit().value();
  EXPECT_EQ(stream->position(), 2 * kPart + 10);
  EXPECT_EQ(stream->counters().parts, 3U);
  EXPECT_EQ(stream->counters().bytes, 2 * kPart + 10);
  EXPECT_LE(times.first, times.last);
  EXPECT_LE(times.last, times.synced);
  EXPECT_LE(times.synced, times.committed);
}

TEST_P(BackendConformance, ListsByPrefixThroughSubfolders) {
  for (const char* name :
       {"train/img_0.npz", "train/0/img_1.npz", "train/0/1/img_2.npz",
        "train/other", "valid/img_3.npz", "root"}) {
    Put(name, name);
  }
  EXPECT_EQ(ListAll(*backend_, ""), Listed({{"train/img_0.npz", 15},
                                            {"train/0/img_1.npz", 17},
                                            {"train/0/1/img_2.npz", 19},
                                            {"train/other", 11},
                                            {"valid/img_3.npz", 15},
                                            {"root", 4}}));
  EXPECT_EQ(ListAll(*backend_, "train/0/"),
            Listed({{"train/0/img_1.npz", 17}, {"train/0/1/img_2.npz", 19}}));
  EXPECT_EQ(ListAll(*backend_, "train/im"), Listed({{"train/img_0.npz", 15}}));
}

TEST_P(BackendConformance, AListEndsWhenTheVisitorSaysSo) {
  Put("a", "1");
  Put("b", "2");
  int visits = 0;
  ASSERT_TRUE(backend_
                  ->List("",
                         [&visits](const ObjectInfo&) {
                           ++visits;
                           return false;
                         })
                  .ok());
  EXPECT_EQ(visits, stores() ? 1 : 0);
}

TEST_P(BackendConformance, AMissingFolderIsReportedWhereThereAreFolders) {
  Put("train/a", "1");
  const core::Status status =
      backend_->List("valid/", [](const ObjectInfo&) { return true; });
  EXPECT_EQ(status.code(),
            GetParam().has_folders ? core::Code::kNotFound : core::Code::kOk);
  ASSERT_TRUE(backend_->EnsureFolder("valid/").ok());
  EXPECT_THAT(ListAll(*backend_, "valid/"), IsEmpty());
}

TEST_P(BackendConformance, ALinkIsASecondNameAndReplaces) {
  Put("a", "first");
  Put("other/b", "will be replaced");
  ASSERT_TRUE(backend_->Link("a", "other/b").ok());
  ASSERT_TRUE(backend_->Link("a", "new/c").ok());
  ASSERT_TRUE(backend_->Link("a", "new/c").ok());
  EXPECT_EQ(Read("other/b"), Content("first"));
  ASSERT_TRUE(backend_->Remove("a").ok());
  EXPECT_EQ(Read("new/c"), Content("first"));
  EXPECT_EQ(ListAll(*backend_, ""), Listed({{"other/b", 5}, {"new/c", 5}}));
}

TEST_P(BackendConformance, NamesOfTheSameBytesAreAlikeWhereItCanTell) {
  Put("a", "same");
  Put("copy", "same");
  ASSERT_TRUE(backend_->Link("a", "b").ok());
  const auto identity = [&](std::string_view name) {
    auto known = backend_->Identity(name);
    EXPECT_TRUE(known.ok()) << known.status().ToString();
    return known.ok() ? known.value() : std::nullopt;
  };
  EXPECT_EQ(identity("a"), identity("b"));
  if (identity("a").has_value()) {
    EXPECT_NE(identity("a"), identity("copy"));
    EXPECT_EQ(backend_->Identity("none").status().code(),
              core::Code::kNotFound);
  }
}

TEST_P(BackendConformance, NothingUnfinishedStaysOfAStreamThatWasDropped) {
  {
    auto stream = backend_->Create("train/a", {}, clock_);
    ASSERT_TRUE(stream.ok());
  }
  const auto left = backend_->SweepUnfinished("train/", Sweep::kCount);
  ASSERT_TRUE(left.ok()) << left.status().ToString();
  EXPECT_EQ(left.value().objects + left.value().busy, 0U);
}

TEST_P(BackendConformance, WhatDoesNotExistCanBeNeitherLinkedNorRemoved) {
  const core::Code expected =
      stores() ? core::Code::kNotFound : core::Code::kOk;
  EXPECT_EQ(backend_->Link("none", "b").code(), expected);
  EXPECT_EQ(backend_->Remove("none").code(), expected);
}

TEST_P(BackendConformance, RefusesNamesThatLeaveThePlace) {
  for (const char* name : {"", "/a", "a/../../b", "a//b", "./a", "a/"}) {
    EXPECT_EQ(backend_->Create(name, {}, clock_).status().code(),
              core::Code::kInvalidArgument)
        << name;
    EXPECT_EQ(backend_->Remove(name).code(), core::Code::kInvalidArgument);
  }
}

TEST_P(BackendConformance, AnswersSizes) {
  Put("a", Letters(12'345));
  const auto queue = Queue();
  const ReadOp op{
      .kind = ReadOp::Kind::kSize, .object = backend_->Resolve("a"), .tag = 7};
  for (int i = 0; i < 2; ++i) {
    const ReadDone done = testing::RunOne(*queue, op);
    EXPECT_TRUE(done.status.ok());
    EXPECT_EQ(done.bytes, Size(12'345));
    EXPECT_EQ(done.tag, 7U);
    EXPECT_EQ(done.kind, ReadOp::Kind::kSize);
  }
  backend_->Release(op.object);
}

TEST_P(BackendConformance, AReadAcrossTheEndReportsTheBytesThatAreThere) {
  const std::string content = Letters(1000);
  Put("a", content);
  const auto queue = Queue();
  const ObjectId a = backend_->Resolve("a");
  const ReadDone done = ReadInto(text_, *queue, a, 990, 64);
  EXPECT_TRUE(done.status.ok());
  EXPECT_EQ(done.bytes, Delivered(64, 10));
  EXPECT_EQ(text_, stores() ? content.substr(990) : std::string(64, '?'));
  backend_->Release(a);
}

TEST_P(BackendConformance, AReadAtTheEndOrBehindItGivesNothing) {
  Put("a", Letters(1000));
  const auto queue = Queue();
  const ObjectId a = backend_->Resolve("a");
  for (const std::uint64_t offset : {1000U, 1001U, 1'000'000U}) {
    const ReadDone done = ReadInto(text_, *queue, a, offset, 8);
    EXPECT_TRUE(done.status.ok());
    EXPECT_EQ(done.bytes, Delivered(8, 0));
  }
  backend_->Release(a);
}

TEST_P(BackendConformance, AReadOfNoBytesIsDone) {
  Put("a", "text");
  const auto queue = Queue();
  const ReadDone done =
      testing::RunOne(*queue, {.object = backend_->Resolve("a"), .tag = 3});
  EXPECT_TRUE(done.status.ok());
  EXPECT_EQ(done.bytes, 0U);
  EXPECT_EQ(done.tag, 3U);
}

TEST_P(BackendConformance, AMissingObjectFailsItsOwnOpOnly) {
  Put("a", "text");
  const auto queue = Queue();
  const ObjectId none = backend_->Resolve("none");
  const ObjectId a = backend_->Resolve("a");
  const ReadDone missing = ReadInto(text_, *queue, none, 0, 4);
  EXPECT_EQ(missing.status.code(),
            stores() ? core::Code::kNotFound : core::Code::kOk);
  EXPECT_THAT(missing.status.ToString(), HasSubstr(stores() ? "none" : "ok"));
  EXPECT_TRUE(ReadInto(text_, *queue, a, 0, 4).status.ok());
  EXPECT_EQ(queue->counters().errors, stores() ? 1U : 0U);
}

TEST_P(BackendConformance, AnObjectMadeAfterItWasMissedIsFound) {
  const auto queue = Queue();
  const ObjectId late = backend_->Resolve("late");
  ReadInto(text_, *queue, late, 0, 4);
  Put("late", "text");
  const ReadDone done = ReadInto(text_, *queue, late, 0, 4);
  EXPECT_TRUE(done.status.ok());
  EXPECT_EQ(text_, stores() ? "text" : "????");
}

TEST_P(BackendConformance, TakesNoMoreOpsThanItsDepthAndFinishesAll) {
  constexpr std::size_t kOps = 50;
  constexpr std::size_t kSize = 4096;
  const std::string content = Letters(kOps * kSize);
  Put("a", content);
  const auto queue = Queue(4);
  EXPECT_EQ(queue->limits().capacity, 4U);
  const ObjectId a = backend_->Resolve("a");
  const auto pages = core::AlignedBuffer::Make(content.size(), true);
  const std::span<std::byte> memory = pages.value().bytes();
  std::vector<ReadOp> ops;
  for (std::size_t i = 0; i < kOps; ++i) {
    ops.push_back({.object = a,
                   .offset = i * kSize,
                   .buffer = memory.subspan(i * kSize, kSize),
                   .tag = 1000 + i});
  }
  ASSERT_EQ(queue->Submit(ops).value(), 4U);
  EXPECT_EQ(queue->Submit(std::span(ops).subspan(4)).value(), 0U);
  EXPECT_EQ(queue->in_flight(), 4U);

  std::size_t submitted = 4;
  std::set<std::uint64_t> tags;
  std::array<ReadDone, 3> done;
  while (queue->in_flight() > 0) {
    const std::size_t count = queue->Reap(done, 1, core::kNever).value();
    for (const ReadDone& one : std::span(done).first(count)) {
      EXPECT_EQ(one.bytes, kSize);
      tags.insert(one.tag);
    }
    submitted += queue->Submit(std::span(ops).subspan(submitted)).value();
  }
  EXPECT_EQ(tags.size(), kOps);
  EXPECT_EQ(*tags.begin(), 1000U);
  const std::string read(reinterpret_cast<const char*>(memory.data()),
                         memory.size());
  EXPECT_EQ(read, stores() ? content : std::string(content.size(), '\0'));
  backend_->Release(a);
}

TEST_P(BackendConformance, CountsAndTimesItsOps) {
  Put("a", Letters(6000));
  const auto queue = Queue();
  const ObjectId a = backend_->Resolve("a");
  const auto page = core::AlignedBuffer::Make(4096, true);
  ReadOp op{.object = a, .buffer = page.value().bytes()};
  const ReadDone done = testing::RunOne(*queue, op);
  EXPECT_LE(done.submitted, done.finished);
  op.offset = 4096;
  testing::RunOne(*queue, op);
  testing::RunOne(*queue, {.kind = ReadOp::Kind::kSize, .object = a});
  const ReadCounters& counters = queue->counters();
  EXPECT_EQ(counters.reads, 2U);
  EXPECT_EQ(counters.size_queries, 1U);
  EXPECT_EQ(counters.bytes, 4096 + Delivered(4096, 1904));
  EXPECT_EQ(counters.errors, 0U);
  EXPECT_LE(counters.latency_max, counters.latency_sum);
  backend_->Release(a);
}

TEST_P(BackendConformance, ServesTwoQueuesInTwoThreads) {
  const std::string content = Letters(20'000);
  Put("shared", content);
  Put("own0", content);
  Put("own1", content);
  const ObjectId shared = backend_->Resolve("shared");
  const auto work = [&](const std::string& own) {
    const auto queue = Queue();
    std::string text;
    for (std::size_t i = 0; i < 100; ++i) {
      const ObjectId mine = backend_->Resolve(own);
      for (const ObjectId object : {mine, shared}) {
        const ReadDone done = ReadInto(text, *queue, object, 100 * i, 100);
        EXPECT_TRUE(done.status.ok());
        EXPECT_EQ(text, stores() ? content.substr(100 * i, 100)
                                 : std::string(100, '?'));
      }
      backend_->Release(mine);
    }
    EXPECT_EQ(queue->counters().reads, 200U);
  };
  std::thread other([&] { work("own1"); });
  work("own0");
  other.join();
  backend_->Release(shared);
}

TEST_P(BackendConformance, AQueueMayBeMadeInOneThreadAndUsedInAnother) {
  Put("a", "text");
  const ObjectId a = backend_->Resolve("a");
  const auto queue = Queue();
  std::thread user(
      [&] { EXPECT_EQ(ReadInto(text_, *queue, a, 0, 4).bytes, 4U); });
  user.join();
  EXPECT_EQ(queue->counters().reads, 1U);
}

TEST_P(BackendConformance, AReapWithoutOpsEndsAtOnce) {
  const auto queue = Queue();
  std::array<ReadDone, 1> done;
  EXPECT_EQ(queue->Reap(done, 1, core::kNever).value(), 0U);
}

TEST_P(BackendConformance, AWakeWithoutAWaiterDoesNoHarm) {
  Put("a", "text");
  const auto queue = Queue();
  queue->Wake();
  queue->Wake();
  EXPECT_EQ(ReadInto(text_, *queue, backend_->Resolve("a"), 0, 4).bytes, 4U);
}

TEST_P(BackendConformance, RefusesAQueueWithoutDepth) {
  EXPECT_EQ(backend_->NewReadQueue({.depth = 0}, clock_).status().code(),
            core::Code::kInvalidArgument);
}

TEST_P(BackendConformance, KnowsItsFreeSpace) {
  const std::uint64_t free_bytes = backend_->FreeBytes().value();
  EXPECT_EQ(free_bytes == UINT64_MAX, !GetParam().has_free_bytes);
}

INSTANTIATE_TEST_SUITE_P(AllBackends, BackendConformance,
                         ::testing::ValuesIn(Rows()), RowName);

// Those whose ops can be made to hang.
class WaitingConformance : public ::testing::TestWithParam<Row> {
 protected:
  WaitingConformance()
      : stuck_(GetParam().stuck(dir_)),
        backend_(testing::Open(stuck_.uri)),
        queue_(NewQueue(*backend_, clock_)) {
    const ReadOp op{.kind = stuck_.kind,
                    .object = backend_->Resolve(stuck_.object),
                    .buffer = std::span(memory_),
                    .tag = 5};
    STOKER_CHECK(queue_->Submit(std::span(&op, 1)).value() == 1);
  }
  ~WaitingConformance() override { stuck_.release(); }

  testing::TempDir dir_;
  core::SystemClock clock_;
  Stuck stuck_;
  std::array<std::byte, 4> memory_{};
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ReadQueue> queue_;
  std::array<ReadDone, 1> done_;
};

TEST_P(WaitingConformance, ADeadlineEndsAReap) {
  const core::TimePoint deadline = clock_.Now() + std::chrono::milliseconds(1);
  EXPECT_EQ(queue_->Reap(done_, 1, deadline).value(), 0U);
  EXPECT_GE(clock_.Now(), deadline);
  EXPECT_EQ(queue_->in_flight(), 1U);
}

TEST_P(WaitingConformance, APassedDeadlineEndsAReapAtOnce) {
  EXPECT_EQ(queue_->Reap(done_, 1, clock_.Now()).value(), 0U);
  EXPECT_EQ(queue_->Reap(done_, 0, core::kNever).value(), 0U);
}

TEST_P(WaitingConformance, AnEarlierWakeEndsTheNextReapAndOnlyThat) {
  queue_->Wake();
  EXPECT_EQ(queue_->Reap(done_, 1, core::kNever).value(), 0U);
  const core::TimePoint deadline = clock_.Now() + std::chrono::milliseconds(1);
  EXPECT_EQ(queue_->Reap(done_, 1, deadline).value(), 0U);
  EXPECT_GE(clock_.Now(), deadline);
}

TEST_P(WaitingConformance, AnotherThreadsWakeEndsAReap) {
  std::thread other([this] { queue_->Wake(); });
  EXPECT_EQ(queue_->Reap(done_, 1, core::kNever).value(), 0U);
  other.join();
  EXPECT_EQ(queue_->in_flight(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Waiting, WaitingConformance,
                         ::testing::ValuesIn(WaitingRows()), RowName);

}  // namespace
}  // namespace stoker::storage
