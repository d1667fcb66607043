// The s3 back end against a scripted server: how it asks, and what it makes of
// answers that a real server gives rarely. tests/servers has the real one.

#include "storage/s3_backend.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "storage/backend.h"
#include "storage/registry.h"
#include "tests/storage/fake_bucket.h"
#include "tests/storage/support.h"
#include "tests/support/http_stub.h"

namespace stoker::storage {
namespace {

using core::Code;
using testing::FakeBucket;
using ::testing::HasSubstr;
using testing::HttpStub;
using testing::Letters;
using Reply = testing::HttpStubReply;
using Request = testing::HttpStubRequest;

class S3Test : public ::testing::Test {
 protected:
  S3Test() {
    ::setenv("AWS_ACCESS_KEY_ID", "key", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "very-secret", 1);
  }

  // With pauses of repetitions too short to matter: they begin with 50 ms.
  std::unique_ptr<Backend> Open(std::string_view options = "",
                                const OpenSettings& settings = {}) {
    auto backend = OpenBackend(
        fmt::format("s3://bucket/data?endpoint={}&region=here{}{}",
                    stub_.endpoint(), options.empty() ? "" : "&", options),
        settings);
    STOKER_CHECK(backend.ok());
    return std::move(backend).value();
  }

  // Reads `bytes` from `offset` of data/<name>.
  ReadDone Read(Backend& backend, std::string_view name, std::uint64_t offset,
                std::size_t bytes) {
    auto queue = testing::NewQueue(backend, clock_);
    text_.assign(bytes, '.');
    const ObjectId id = backend.Resolve(name);
    ReadDone done = testing::RunOne(
        *queue, {.object = id,
                 .offset = offset,
                 .buffer = std::as_writable_bytes(std::span(text_))});
    backend.Release(id);
    text_.resize(done.status.ok() ? done.bytes : 0);
    return done;
  }

  // The first `count` requests that match fail so.
  void FailFirst(std::size_t count, std::string method, const Reply& reply) {
    bucket_.fault =
        [count, method = std::move(method),
         reply](const Request& request) mutable -> std::optional<Reply> {
      if (request.method != method || count == 0) {
        return std::nullopt;
      }
      --count;
      return reply;
    };
  }

  core::SystemClock clock_;
  FakeBucket bucket_;
  HttpStub stub_{
      [this](const Request& request) { return bucket_.Answer(request); }};
  std::string text_;
};

TEST_F(S3Test, AReadIsOneRangedGet) {
  bucket_.objects["data/a"] = Letters(100'000);
  const auto backend = Open();
  const ReadDone done = Read(*backend, "a", 1000, 64 * 1024);
  ASSERT_TRUE(done.status.ok()) << done.status.ToString();
  EXPECT_EQ(text_, Letters(100'000).substr(1000, 65536));
  ASSERT_EQ(bucket_.requests.size(), 1U);
  EXPECT_EQ(bucket_.requests[0].headers["range"], "bytes=1000-66535");
  EXPECT_EQ(bucket_.requests[0].target, "/bucket/data/a");
  EXPECT_GT(done.first_byte, done.submitted);
  EXPECT_LE(done.first_byte, done.finished);
}

TEST_F(S3Test, AReadOverTheEndIsShortAndOneBehindItEmpty) {
  bucket_.objects["data/a"] = Letters(1000);
  const auto backend = Open();
  EXPECT_EQ(Read(*backend, "a", 900, 4096).bytes, 100U);
  EXPECT_EQ(text_, Letters(1000).substr(900));
  const ReadDone behind = Read(*backend, "a", 1000, 4096);
  EXPECT_TRUE(behind.status.ok()) << behind.status.ToString();
  EXPECT_EQ(behind.bytes, 0U);
}

TEST_F(S3Test, ALargeReadIsAskedForInRangesThatAreJoined) {
  const std::string content = Letters(1'000'000);
  bucket_.objects["data/a"] = content;
  const auto backend = Open("range=64KiB");
  const ReadDone done = Read(*backend, "a", 10, 2'000'000);
  ASSERT_TRUE(done.status.ok()) << done.status.ToString();
  EXPECT_EQ(done.bytes, 999'990U);
  EXPECT_EQ(text_, content.substr(10));
  EXPECT_EQ(bucket_.Count("GET", "/data/a"), 31U);  // 2,000,000 / 65,536
}

TEST_F(S3Test, RequestsInFlightStayBelowTheConnections) {
  bucket_.objects["data/a"] = Letters(100'000);
  bucket_.fault = [](const Request&) -> std::optional<Reply> {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::nullopt;
  };
  const auto backend = Open("connections=3&range=4KiB");
  ASSERT_TRUE(Read(*backend, "a", 0, 100'000).status.ok());
  EXPECT_EQ(text_, Letters(100'000));
  EXPECT_LE(stub_.connections(), 3U);
  EXPECT_EQ(backend->Requests()->requests, 25U);
  EXPECT_EQ(backend->Requests()->connections, stub_.connections());
  EXPECT_EQ(backend->Requests()->bytes_received, 100'000U);
}

TEST_F(S3Test, ThrottlingAndServerErrorsAreRepeatedAndCounted) {
  bucket_.objects["data/a"] = Letters(10);
  const auto backend = Open();
  FailFirst(1, "GET", FakeBucket::Error(503, "SlowDown"));
  EXPECT_TRUE(Read(*backend, "a", 0, 10).status.ok());
  FailFirst(1, "GET", FakeBucket::Error(500, "InternalError"));
  EXPECT_TRUE(Read(*backend, "a", 0, 10).status.ok());
  FailFirst(1, "GET", FakeBucket::Error(429, "TooManyRequests"));
  EXPECT_TRUE(Read(*backend, "a", 0, 10).status.ok());
  const RequestCounters counters = *backend->Requests();
  EXPECT_EQ(counters.throttled, 2U);
  EXPECT_EQ(counters.server_errors, 1U);
  EXPECT_EQ(counters.repetitions, 3U);
  EXPECT_EQ(counters.requests, 6U);
}

TEST_F(S3Test, RepetitionsEndAfterTheirNumber) {
  const auto backend = Open("retries=2");
  FailFirst(1000, "GET", FakeBucket::Error(503, "SlowDown"));
  const ReadDone done = Read(*backend, "a", 0, 10);
  EXPECT_EQ(done.status.code(), Code::kUnavailable);
  EXPECT_THAT(std::string(done.status.message()), HasSubstr("503 SlowDown"));
  EXPECT_THAT(std::string(done.status.message()),
              HasSubstr("after 2 repetitions"));
  EXPECT_EQ(bucket_.requests.size(), 3U);
}

TEST_F(S3Test, RepetitionsEndWithTheTimeLimit) {
  const auto backend =
      Open("retries=100", {.io_timeout = std::chrono::milliseconds(300)});
  FailFirst(1000, "GET", FakeBucket::Error(503, "SlowDown"));
  EXPECT_EQ(Read(*backend, "a", 0, 10).status.code(), Code::kUnavailable);
  // Pauses of at least 25, 50, 100 and 200 ms leave room for four tries.
  EXPECT_LE(bucket_.requests.size(), 5U);
}

TEST_F(S3Test, RetryAfterIsWaitedFor) {
  bucket_.objects["data/a"] = Letters(10);
  const auto backend = Open();
  Reply reply = FakeBucket::Error(503, "SlowDown");
  reply.headers.emplace_back("Retry-After: 1");
  FailFirst(1, "GET", reply);
  const ReadDone done = Read(*backend, "a", 0, 10);
  EXPECT_TRUE(done.status.ok());
  EXPECT_GE(done.finished - done.submitted, std::chrono::seconds(1));
}

TEST_F(S3Test, AResetIsRepeatedAndCounted) {
  bucket_.objects["data/a"] = Letters(10);
  const auto backend = Open();
  FailFirst(2, "GET", {.way = Reply::Way::kReset});
  const ReadDone done = Read(*backend, "a", 0, 10);
  EXPECT_TRUE(done.status.ok()) << done.status.ToString();
  EXPECT_GE(backend->Requests()->disconnected, 1U);
}

TEST_F(S3Test, ABodyThatIsCutShortIsNeverData) {
  bucket_.objects["data/a"] = Letters(1000);
  const auto backend = Open("retries=1");
  Reply reply{.status = 206,
              .headers = {"Content-Range: bytes 0-999/1000"},
              .body = Letters(500),
              .told_length = 1000};
  FailFirst(1, "GET", reply);
  EXPECT_TRUE(Read(*backend, "a", 0, 1000).status.ok());
  EXPECT_EQ(text_, Letters(1000));
  EXPECT_EQ(backend->Requests()->damaged, 1U);
  FailFirst(1000, "GET", reply);
  EXPECT_EQ(Read(*backend, "a", 0, 1000).status.code(), Code::kCorruption);
}

TEST_F(S3Test, AnAnswerOfAnotherLengthOrRangeIsAnError) {
  const auto backend = Open();
  FailFirst(1, "GET",
            {.status = 206,
             .headers = {"Content-Range: bytes 0-99/1000"},
             .body = Letters(100)});
  EXPECT_EQ(Read(*backend, "a", 0, 500).status.code(), Code::kCorruption);
  FailFirst(1, "GET",
            {.status = 206,
             .headers = {"Content-Range: bytes 100-599/1000"},
             .body = Letters(500)});
  EXPECT_EQ(Read(*backend, "a", 0, 500).status.code(), Code::kCorruption);
  FailFirst(1, "GET", {.status = 206, .body = Letters(500)});
  EXPECT_EQ(Read(*backend, "a", 0, 500).status.code(), Code::kCorruption);
  FailFirst(1, "GET", {.status = 200, .body = Letters(5000)});
  EXPECT_EQ(Read(*backend, "a", 100, 500).status.code(), Code::kCorruption);
  FailFirst(1, "GET", {.status = 200, .body = Letters(500)});
  EXPECT_EQ(Read(*backend, "a", 100, 500).status.code(), Code::kCorruption);
}

TEST_F(S3Test, AnObjectThatIsReplacedWhileItIsReadIsAnError) {
  bucket_.objects["data/a"] = Letters(1000);
  const auto backend = Open();
  auto queue = testing::NewQueue(*backend, clock_);
  const ObjectId id = backend->Resolve("a");
  std::string text(100, '.');
  const ReadOp op{.object = id,
                  .buffer = std::as_writable_bytes(std::span(text))};
  EXPECT_TRUE(testing::RunOne(*queue, op).status.ok());
  bucket_.objects["data/a"] = Letters(1000, 7);
  const ReadDone done = testing::RunOne(*queue, op);
  EXPECT_EQ(done.status.code(), Code::kCorruption);
  EXPECT_THAT(std::string(done.status.message()), HasSubstr("replaced"));
  backend->Release(id);
}

TEST_F(S3Test, AServerThatDoesNotAnswerTimesOut) {
  const auto backend =
      Open("retries=0", {.io_timeout = std::chrono::milliseconds(200)});
  FailFirst(1000, "GET", {.way = Reply::Way::kHang});
  const ReadDone done = Read(*backend, "a", 0, 10);
  EXPECT_EQ(done.status.code(), Code::kTimedOut);
  EXPECT_EQ(backend->Requests()->timed_out, 1U);
}

TEST_F(S3Test, NobodyListeningIsUnavailableAndNamesTheServer) {
  const auto opened =
      OpenBackend("s3://bucket/data?endpoint=http://127.0.0.1:1&retries=1");
  ASSERT_TRUE(opened.ok());
  const ReadDone done = Read(*opened.value(), "a", 0, 10);
  EXPECT_EQ(done.status.code(), Code::kUnavailable);
  EXPECT_THAT(std::string(done.status.message()), HasSubstr("127.0.0.1:1"));
}

TEST_F(S3Test, RefusalsAreNotRepeatedAndNameTheRemedyButNoSecret) {
  const auto backend = Open();
  FailFirst(1, "GET", FakeBucket::Error(403, "SignatureDoesNotMatch"));
  const ReadDone done = Read(*backend, "a", 0, 10);
  EXPECT_EQ(done.status.code(), Code::kPermission);
  const std::string message(done.status.message());
  EXPECT_THAT(message, HasSubstr("secret key"));
  EXPECT_EQ(message.find("very-secret"), std::string::npos);
  EXPECT_EQ(backend->uri().find("very-secret"), std::string::npos);
  EXPECT_EQ(bucket_.requests.size(), 1U);
}

TEST_F(S3Test, SmallObjectsArePutInOneRequest) {
  const auto backend = Open();
  ASSERT_TRUE(WriteObject(*backend, "x y", Letters(300'000), clock_).ok());
  EXPECT_EQ(bucket_.objects.at("data/x y"), Letters(300'000));
  EXPECT_EQ(bucket_.requests.size(), 1U);
}

// 64 KiB kept back, then parts of 256 KiB: 5 MiB and more make one of S3's.
TEST_F(S3Test, LargeObjectsAreUploadedInPartsOfFiveMiBOrMore) {
  for (const std::size_t in_flight : {0U, 64U}) {
    for (const bool patch : {false, true}) {
      bucket_.objects.clear();
      bucket_.requests.clear();
      const std::string content = Letters(23'000'000);
      const auto backend = Open("part=5MiB");
      ASSERT_TRUE(WriteObject(*backend, "big", content, clock_,
                              {.in_flight = in_flight, .patch = patch})
                      .ok());
      EXPECT_TRUE(bucket_.objects.at("data/big") == content);
      EXPECT_EQ(bucket_.Count("PUT", "partNumber"), 5U);
      EXPECT_TRUE(bucket_.uploads.empty());
    }
  }
}

TEST_F(S3Test, ManyCutPartsAreGathered) {
  const auto backend = Open("part=5MiB");
  auto stream =
      std::move(backend->Create(
                    "cut",
                    {.part_size = 1U << 20, .in_flight = 4, .patch = true},
                    clock_))
          .value();
  std::string content;
  for (std::size_t i = 0; i < 3000; ++i) {
    const std::string piece = Letters(5001, i);
    ASSERT_TRUE(stream->Write(testing::AsBytes(piece)).ok());
    ASSERT_TRUE(stream->Cut().ok());
    content += piece;
  }
  ASSERT_TRUE(stream->Patch(10, testing::AsBytes("PATCH")).ok());
  content.replace(10, 5, "PATCH");
  ASSERT_TRUE(stream->Commit().ok());
  EXPECT_TRUE(bucket_.objects.at("data/cut") == content);
  EXPECT_LE(bucket_.Count("PUT", "partNumber"), 3U);
}

TEST_F(S3Test, AnUploadThatIsDroppedOrFailsIsTakenBack) {
  const auto backend = Open("part=5MiB&retries=0");
  {
    auto stream =
        std::move(backend->Create("big", {.patch = false}, clock_)).value();
    ASSERT_TRUE(stream->Write(testing::AsBytes(Letters(12U << 20))).ok());
    EXPECT_EQ(bucket_.uploads.size(), 1U);
  }
  EXPECT_TRUE(bucket_.uploads.empty());
  EXPECT_TRUE(bucket_.objects.empty());
  FailFirst(1000, "PUT", FakeBucket::Error(503, "SlowDown"));
  EXPECT_EQ(
      WriteObject(*backend, "big", Letters(12U << 20), clock_, {.patch = false})
          .code(),
      Code::kUnavailable);
  EXPECT_TRUE(bucket_.uploads.empty());
  EXPECT_TRUE(bucket_.objects.empty());
}

TEST_F(S3Test, ACompletionWhoseAnswerWasLostIsFoundOut) {
  const auto backend = Open("part=5MiB");
  bool lost = false;
  bucket_.fault = [this,
                   &lost](const Request& request) -> std::optional<Reply> {
    if (!lost && request.method == "POST" &&
        request.target.find("uploadId=") != std::string::npos) {
      lost = true;
      const auto fault = std::exchange(bucket_.fault, nullptr);
      bucket_.Answer(request);
      bucket_.fault = fault;
      return Reply{.way = Reply::Way::kReset};
    }
    return std::nullopt;
  };
  const core::Status written = WriteObject(*backend, "big", Letters(12U << 20),
                                           clock_, {.patch = false});
  EXPECT_TRUE(lost);
  EXPECT_TRUE(written.ok()) << written.ToString();
  EXPECT_TRUE(bucket_.objects.contains("data/big"));
}

TEST_F(S3Test, AnErrorWithinASuccessfulCompletionIsAnError) {
  const auto backend = Open("part=5MiB");
  bucket_.fault = [](const Request& request) -> std::optional<Reply> {
    if (request.target.find("uploadId=") != std::string::npos &&
        request.method == "POST") {
      return FakeBucket::Error(200, "InternalError");
    }
    return std::nullopt;
  };
  EXPECT_FALSE(
      WriteObject(*backend, "big", Letters(12U << 20), clock_, {.patch = false})
          .ok());
}

TEST_F(S3Test, ListsGoThroughAllPages) {
  bucket_.page = 7;
  for (int i = 0; i < 23; ++i) {
    bucket_.objects[fmt::format("data/train/{:02}", i)] = Letters(5);
  }
  bucket_.objects["data/train/folder/"] = "";
  bucket_.objects["other/x"] = "1";
  const auto backend = Open();
  const auto listed = testing::ListAll(*backend, "train/");
  EXPECT_EQ(listed.size(), 23U);
  EXPECT_EQ(listed.begin()->first, "train/00");
  EXPECT_EQ(listed.begin()->second, 5U);
}

TEST_F(S3Test, ManyNamesAreRemovedAThousandAtATime) {
  std::vector<std::string> names;
  for (int i = 0; i < 2500; ++i) {
    names.push_back(fmt::format("f{}", i));
    bucket_.objects["data/" + names.back()] = "x";
  }
  const auto backend = Open();
  const auto removed = backend->RemoveAll(names);
  ASSERT_TRUE(removed.ok()) << removed.status().ToString();
  EXPECT_TRUE(bucket_.objects.empty());
  EXPECT_EQ(bucket_.Count("POST", "delete"), 3U);
}

TEST_F(S3Test, SeveralEndpointsTakeTurns) {
  FakeBucket other_bucket;
  HttpStub other(
      [&](const Request& request) { return other_bucket.Answer(request); });
  bucket_.objects["data/a"] = other_bucket.objects["data/a"] = Letters(10);
  for (const char* const balance : {"round_robin", "least_connections"}) {
    bucket_.requests.clear();
    other_bucket.requests.clear();
    const auto backend =
        std::move(OpenBackend(
                      fmt::format("s3://bucket/data?endpoint={};{}&balance={}",
                                  stub_.endpoint(), other.endpoint(), balance)))
            .value();
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(Read(*backend, "a", 0, 10).status.ok());
    }
    EXPECT_EQ(bucket_.requests.size(), 3U) << balance;
    EXPECT_EQ(other_bucket.requests.size(), 3U) << balance;
  }
}

TEST_F(S3Test, StaleUploadsAreCountedAndTakenBack) {
  bucket_.uploads["u1"] = "data/a";
  bucket_.uploads["u2"] = "data/b";
  const std::string uri =
      fmt::format("s3://bucket/data?endpoint={}", stub_.endpoint());
  std::vector<std::string> seen;
  const auto visit = [&](const StaleUpload& upload) {
    seen.emplace_back(upload.object_name);
  };
  const auto counted =
      CleanS3Uploads(uri, std::chrono::hours(24), /*only_count=*/true, visit);
  EXPECT_EQ(counted.value(), 2U);
  EXPECT_EQ(bucket_.uploads.size(), 2U);
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(CleanS3Uploads(uri, std::chrono::hours(24), false, visit).value(),
            2U);
  EXPECT_TRUE(bucket_.uploads.empty());
  // They are of 2020: a limit beyond that keeps them.
  bucket_.uploads["u3"] = "data/c";
  EXPECT_EQ(CleanS3Uploads(uri, std::chrono::hours(24 * 365 * 50), false, visit)
                .value(),
            0U);
}

TEST_F(S3Test, AWokenReapEnds) {
  const auto backend = Open();
  FailFirst(1000, "GET", {.way = Reply::Way::kHang});
  auto queue = testing::NewQueue(*backend, clock_);
  const ObjectId id = backend->Resolve("a");
  std::string text(10, '.');
  const ReadOp op{.object = id,
                  .buffer = std::as_writable_bytes(std::span(text))};
  ASSERT_TRUE(queue->Submit(std::span(&op, 1)).ok());
  queue->Wake();
  std::array<ReadDone, 1> done;
  EXPECT_EQ(queue->Reap(done, 1, core::kNever).value(), 0U);
  queue.reset();
  backend->Release(id);
}

}  // namespace
}  // namespace stoker::storage
