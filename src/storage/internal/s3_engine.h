#pragma once

// Calls to an S3 server: signed, sent to one of its endpoints, repeated where
// that may help, counted.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/random.h"
#include "core/status.h"
#include "storage/internal/http_multi.h"
#include "storage/internal/s3_settings.h"
#include "storage/internal/s3_sign.h"
#include "storage/request_counters.h"

namespace stoker::storage::internal {

class S3Engine;

// What the queues, streams and calls of a back end share. Safe for concurrent
// use.
class S3Shared {
 public:
  explicit S3Shared(S3Settings settings);
  ~S3Shared();
  S3Shared(const S3Shared&) = delete;
  S3Shared& operator=(const S3Shared&) = delete;

  const S3Settings& settings() const { return settings_; }
  RequestCounters counters() const;

  // The endpoint of the next request, which must be given back.
  std::size_t TakeEndpoint();
  void GiveEndpoint(std::size_t endpoint);

  // An engine with room for one call, with its connections of earlier calls.
  core::Result<std::unique_ptr<S3Engine>> TakeEngine(core::Clock& clock);
  void GiveEngine(std::unique_ptr<S3Engine> engine);

 private:
  friend class S3Engine;
  struct Counts {
    std::atomic<std::uint64_t> requests{0}, repetitions{0}, connections{0},
        bytes_received{0}, bytes_sent{0}, throttled{0}, server_errors{0},
        timed_out{0}, disconnected{0}, damaged{0};
  };

  const S3Settings settings_;
  Counts counts_;
  std::atomic<std::uint64_t> next_endpoint_{0};
  std::vector<std::atomic<std::uint32_t>> busy_;  // requests by endpoint
  std::mutex mutex_;                              // guards idle_
  std::vector<std::unique_ptr<S3Engine>> idle_;
};

// One request. Texts are copied by Start, memory behind spans stays until the
// call has ended.
struct S3Call {
  HttpMethod method = HttpMethod::kGet;
  std::string_view key{};    // of the object, with the prefix; "": the bucket
  std::string_view query{};  // as EncodeQuery gives it
  std::string_view
      headers{};  // more of them: lines "name: value\n", lower case
  // kGet with range_bytes > 0: a part of the object.
  std::uint64_t range_first = 0;
  std::uint64_t range_bytes = 0;
  std::span<const std::byte> body{};
  std::span<std::byte> into{};  // as HttpRequest::into
  std::string_view doing;       // "read", "list": for the error's message
};

struct S3Answer {
  // kNotFound, kPermission, kInvalidArgument (the server does not take such a
  // request), kUnavailable, kTimedOut, kCorruption. ok: status 2xx, or 416.
  core::Status status{};
  int http_status = 0;
  std::uint64_t repetitions = 0;
};

// Used by one thread at a time, but for Wake().
class S3Engine {
 public:
  static core::Result<std::unique_ptr<S3Engine>> Make(
      S3Shared& shared, std::size_t capacity, std::size_t receive_buffer,
      core::Clock& clock);
  ~S3Engine();
  S3Engine(const S3Engine&) = delete;
  S3Engine& operator=(const S3Engine&) = delete;

  // `slot` is below the capacity and free. Never fails: what is wrong is the
  // answer's status.
  void Start(std::uint32_t slot, const S3Call& call);
  // Sends what was started, without looking at what has arrived.
  core::Status Push();
  // Goes on until a call has ended, at the latest after `longest`, or Wake().
  core::Status Progress(core::Nanos longest);
  // The slots of calls that have ended since, each once.
  std::size_t TakeEnded(std::span<std::uint32_t> slots);
  // Valid until the slot's next Start.
  const S3Answer& AnswerOf(std::uint32_t slot) const {
    return calls_[slot].answer;
  }
  const HttpAnswer& HttpAnswerOf(std::uint32_t slot) const {
    return http_->AnswerOf(slot);
  }
  bool TakeWoken() { return http_->TakeWoken(); }
  void Wake() { http_->Wake(); }

  // Starts `call` in slot 0 and waits for its end.
  core::Status Do(const S3Call& call);

 private:
  struct Call {
    bool busy = false;
    bool sent = false;  // under way; else waits for `due`
    S3Call ask;         // with texts below
    std::string key, query, headers, doing;
    std::string url, lines;  // of the request sent last
    std::size_t endpoint = 0;
    core::TimePoint due{};       // of the next try
    core::TimePoint deadline{};  // of the last
    S3Answer answer;
  };

  S3Engine(S3Shared& shared, std::size_t capacity);
  void Send(std::uint32_t slot);
  void BuildRequest(Call& call);
  void SendDue();
  void TakeAnswers();
  void Judge(std::uint32_t slot);
  // Whether the answer may be another one next time; counts its class.
  bool MayRepeat(const HttpAnswer& answer);
  core::Status Failure(const Call& call, const HttpAnswer& answer) const;
  core::Nanos Pause(const Call& call, const HttpAnswer& answer);
  void End(std::uint32_t slot, core::Status status);

  S3Shared& shared_;
  const core::SystemClock real_{};
  std::unique_ptr<HttpMulti> http_;
  std::unique_ptr<S3Signer> signer_;  // null: requests are not signed
  // By endpoint: the Host header, and what URLs begin with: "http://host".
  std::vector<std::string> hosts_, origins_;
  std::string bucket_path_;  // "/bucket", encoded; "" with virtual hosts
  // Of the request that is being built.
  std::vector<HttpHeader> signed_headers_;
  std::string path_, range_, payload_;
  std::vector<Call> calls_;
  std::vector<std::uint32_t> waiting_;  // calls to be repeated when due
  std::vector<std::uint32_t> ended_;
  std::uint64_t random_;  // state of the pauses' jitter
};

}  // namespace stoker::storage::internal
