#pragma once

// Many HTTP/1.1 exchanges at once in one thread: libcurl's multi interface over
// epoll. Connections are kept and used again.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/status.h"

namespace stoker::storage::internal {

enum class HttpMethod : std::uint8_t { kGet, kHead, kPut, kPost, kDelete };
std::string_view NameOf(HttpMethod method);

// What is asked. Texts are copied by Start, memory behind spans stays with the
// exchange until it has ended.
struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string_view url;
  std::string_view headers;           // lines "name: value", each with its '\n'
  std::span<const std::byte> body{};  // kPut, kPost
  // Where the body of an answer 200 or 206 goes; empty: into HttpAnswer::text.
  std::span<std::byte> into{};
  core::Nanos timeout{};  // of the whole exchange; > 0
};

struct HttpAnswer {
  enum class End : std::uint8_t {
    kAnswered,      // whole, whatever its status
    kTimedOut,      // no answer, or not all of it, in time
    kDisconnected,  // not reached, refused, reset
    kCutShort,      // the body ended early
    kTooLong,       // more body than there was room for
    kRefused,       // TLS or the URL: trying again does not help
  };
  End end = End::kAnswered;
  std::string problem;      // unless kAnswered
  int status = 0;           // 200, …; 0: none
  std::uint64_t bytes = 0;  // of the body, in HttpRequest::into or `text`
  std::uint64_t sent = 0;   // of HttpRequest::body
  std::string text;         // at most kLongestText bytes
  std::string etag;         // with its quotes
  std::string content_range;
  std::optional<std::uint64_t> content_length;
  std::optional<core::Nanos> retry_after;
  std::string region;             // x-amz-bucket-region
  core::TimePoint first_byte{};   // of the answer; the epoch if there was none
  std::uint32_t connections = 0;  // made for it
};

struct HttpSettings {
  std::size_t capacity = 1;  // exchanges at once
  core::Nanos connect_timeout{};
  core::Nanos stall_timeout{};     // no byte for so long: kTimedOut
  std::string ca_file;             // "": the system's
  std::size_t receive_buffer = 0;  // bytes per exchange, 16 KiB to 512 KiB
};

// Used by one thread at a time, but for Wake(). Allocates per exchange what
// libcurl does.
class HttpMulti {
 public:
  static constexpr std::size_t kLongestText = 64U << 20;

  // kUnavailable without memory or descriptors.
  static core::Result<std::unique_ptr<HttpMulti>> Make(
      const HttpSettings& settings, const core::Clock& clock);
  ~HttpMulti();  // ends what is under way
  HttpMulti(const HttpMulti&) = delete;
  HttpMulti& operator=(const HttpMulti&) = delete;

  // `slot`: below the capacity, not in use. kInvalidArgument: no such URL.
  core::Status Start(std::uint32_t slot, const HttpRequest& request);
  // Sends what was started, without looking at what has arrived.
  core::Status Push();
  // Goes on with all exchanges; returns once one has ended, at the latest after
  // `longest`, or when Wake() is called.
  core::Status Progress(core::Nanos longest);
  // The slots of exchanges that have ended, each given once.
  std::size_t TakeEnded(std::span<std::uint32_t> slots);
  // Until the slot's next Start.
  HttpAnswer& AnswerOf(std::uint32_t slot);
  // Ends the exchange of a slot in use at once; it is then free.
  void Cancel(std::uint32_t slot);
  // Whether Wake() was called since this was asked last.
  bool TakeWoken();
  void Wake();  // from any thread

 private:
  struct Impl;
  explicit HttpMulti(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoker::storage::internal
