// What the store behind a cache does wrong stays the store's: it is told as
// such, and nothing of it is kept that is not what the store gave.

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "storage/fault_backend.h"
#include "tests/cache/cache_faults_support.h"

namespace stoker::cache {
namespace {

using storage::FaultRule;

class CacheStoreFaults : public CacheFaults {
 protected:
  std::unique_ptr<storage::Backend> OpenFaulty(FaultRule rule) {
    return OpenOver(
        storage::NewFaultBackend({std::move(rule)},
                                 storage::OpenBackend(store_uri()).value())
            .value());
  }
  core::Status ReadStatus(storage::Backend& backend,
                          const std::string& name = "object") {
    return storage::ReadObject(backend, name, clock_).status();
  }
  // Every block whose fetch failed can be had afterwards, and nothing waits.
  void CheckAfter(storage::Backend& backend) {
    EXPECT_TRUE(Read(backend));
    Index& index = *TierOf(backend)->units()[0].index;
    while (index.Count().filling > 0) {  // read, and not yet kept
      clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
    }
    EXPECT_EQ(index.Count().evicting + index.Count().quarantined, 0U);
    EXPECT_EQ(CountersOf(backend)->checksum_misses.load(), 0U);
  }
};

TEST_F(CacheStoreFaults, AnErrorIsTheReadersAndTheNextReadIsRight) {
  for (const int number : {EIO, ETIMEDOUT, EAGAIN, ENOENT}) {
    const core::Status told = core::Status::FromErrno(number, "get");
    const auto backend =
        OpenFaulty({.count = 1, .action = FaultRule::Error{told}});
    const core::Status status = ReadStatus(*backend);
    EXPECT_EQ(status.code(), told.code());
    EXPECT_NE(status.ToString().find("object"), std::string::npos)
        << status.ToString();
    CheckAfter(*backend);
    ASSERT_TRUE(ClearUnit(TierOf(*backend)->units()[0]).ok());
  }
}

TEST_F(CacheStoreFaults, ABurstOfErrorsLeavesNoClaimBehind) {
  const auto backend = OpenFaulty(
      {.count = 12,
       .action = FaultRule::Error{core::Status::FromErrno(EIO, "get")}});
  int failed = 0;
  while (!ReadStatus(*backend).ok()) {
    ++failed;
    ASSERT_LE(failed, 12);
  }
  EXPECT_GE(failed, 3);  // of four blocks at once
  CheckAfter(*backend);
}

TEST_F(CacheStoreFaults, ATruncatedBodyIsCorruptAndNotKept) {
  const auto backend =
      OpenFaulty({.count = 1, .action = FaultRule::Short{.bytes = 1000}});
  const core::Status status = ReadStatus(*backend);
  ASSERT_EQ(status.code(), core::Code::kCorruption) << status.ToString();
  EXPECT_NE(status.ToString().find("changed meanwhile"), std::string::npos);
  CheckAfter(*backend);
}

TEST_F(CacheStoreFaults, ASlowBodyIsWaitedForAndRight) {
  const auto backend = OpenFaulty(
      {.count = 4,
       .action = FaultRule::Delay{.time = std::chrono::milliseconds(200)}});
  CheckAfter(*backend);
}

// The fault: a bit of what the first fetch brings. There is no checksum of the
// store's to compare it with; a run's own checks of content find it.
TEST_F(CacheStoreFaults, AByteThatTheStoreGaveWrongIsKeptAsItCame) {
  const auto backend =
      OpenFaulty({.count = 1, .action = FaultRule::Flip{.offset = 77}});
  std::string given = content_;
  given[77] = static_cast<char>(given[77] ^ 1);
  EXPECT_EQ(storage::ReadObject(*backend, "object", clock_).value(), given);
  EXPECT_EQ(storage::ReadObject(*backend, "object", clock_).value(), given);
  ASSERT_TRUE(ClearUnit(TierOf(*backend)->units()[0]).ok());
}

TEST_F(CacheStoreFaults, AnObjectThatBecameShorterMeanwhileIsAnErrorOnce) {
  const auto backend = Open();
  {
    // What is known of the object: four blocks.
    const auto queue = backend->NewReadQueue({.depth = 1}, clock_).value();
    const storage::ObjectId object = backend->Resolve("object");
    const storage::ReadOp op{.kind = storage::ReadOp::Kind::kSize,
                             .object = object};
    storage::ReadDone done;
    ASSERT_TRUE(queue->Submit(std::span(&op, 1)).ok());
    ASSERT_TRUE(queue->Reap(std::span(&done, 1), 1, core::kNever).ok());
    ASSERT_EQ(done.bytes, kObject);
    const auto store = storage::OpenBackend(store_uri()).value();
    content_.resize(kFaultSlot + 99);
    ASSERT_TRUE(storage::WriteObject(*store, "object", content_, clock_).ok());
    auto memory = core::AlignedBuffer::Make(kObject + 4096, false).value();
    backend->Release(object);  // lest the store has the old one open
    const storage::ObjectId again = backend->Resolve("object");
    const storage::ReadOp read{.object = again,
                               .buffer = memory.bytes().first(kObject)};
    ASSERT_TRUE(queue->Submit(std::span(&read, 1)).ok());
    ASSERT_TRUE(queue->Reap(std::span(&done, 1), 1, core::kNever).ok());
    EXPECT_EQ(done.status.code(), core::Code::kCorruption);
    backend->Release(again);
  }
  // Whoever opens the cache next asks anew.
  EXPECT_TRUE(Read(*Open()));
}

TEST_F(CacheStoreFaults, AnObjectChangedBehindTheCacheIsNewToTheNextProcess) {
  ASSERT_TRUE(Read(*Open()));
  const auto store = storage::OpenBackend(store_uri()).value();
  core::FillCounterStream(99, 0, std::as_writable_bytes(std::span(content_)));
  ASSERT_TRUE(storage::WriteObject(*store, "object", content_, clock_).ok());
  const auto backend = Open();
  EXPECT_TRUE(Read(*backend));
  EXPECT_EQ(backend->CacheActivity()->hit_bytes, 0U);
}

TEST_F(CacheStoreFaults, AnObjectThatIsListedAndGoneIsNotFoundAndNoOther) {
  const auto store = storage::OpenBackend(store_uri()).value();
  ASSERT_TRUE(storage::WriteObject(*store, "gone", "bytes", clock_).ok());
  const auto backend = Open();
  int listed = 0;
  ASSERT_TRUE(backend
                  ->List("",
                         [&](const storage::ObjectInfo&) {
                           ++listed;
                           return true;
                         })
                  .ok());
  EXPECT_EQ(listed, 2);
  ASSERT_TRUE(store->Remove("gone").ok());
  const core::Status status = ReadStatus(*backend, "gone");
  EXPECT_EQ(status.code(), core::Code::kNotFound);
  EXPECT_NE(status.ToString().find("gone"), std::string::npos);
  CheckAfter(*backend);
}

}  // namespace
}  // namespace stoker::cache
