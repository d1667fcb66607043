#include "storage/internal/s3_engine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "core/text.h"
#include "core/units.h"
#include "storage/internal/s3_xml.h"

namespace stoker::storage::internal {

namespace {

using core::Code;
using core::Status;
using End = HttpAnswer::End;

constexpr core::Nanos kFirstPause = std::chrono::milliseconds(50);
constexpr core::Nanos kLongestPause = std::chrono::seconds(5);
constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
// Bodies up to this are signed in any case: their sum costs nothing.
constexpr std::size_t kSmallBody = 64U << 10;
constexpr std::size_t kMostIdleEngines = 64;

bool IsSuccess(const HttpAnswer& answer) {
  return answer.end == End::kAnswered &&
         ((answer.status >= 200 && answer.status < 300) ||
          answer.status == 416);
}

Code CodeOf(const HttpAnswer& answer) {
  switch (answer.end) {
    case End::kTimedOut:
      return Code::kTimedOut;
    case End::kDisconnected:
      return Code::kUnavailable;
    case End::kCutShort:
    case End::kTooLong:
      return Code::kCorruption;
    case End::kRefused:
      return Code::kInvalidArgument;
    case End::kAnswered:
      break;
  }
  if (answer.status == 404) {
    return Code::kNotFound;
  }
  if (answer.status == 401 || answer.status == 403) {
    return Code::kPermission;
  }
  if (answer.status == 429 || answer.status >= 500) {
    return Code::kUnavailable;
  }
  return Code::kInvalidArgument;
}

int ErrnoOf(Code code) {
  switch (code) {
    case Code::kNotFound:
      return ENOENT;
    case Code::kPermission:
      return EACCES;
    case Code::kTimedOut:
      return ETIMEDOUT;
    default:
      return EIO;
  }
}

std::string_view RemedyOf(const S3Error& error, const HttpAnswer& answer) {
  if (error.code == "SignatureDoesNotMatch") {
    return "; the secret key is not the one of this access key";
  }
  if (error.code == "InvalidAccessKeyId") {
    return "; the server does not know this access key";
  }
  if (error.code == "RequestTimeTooSkewed") {
    return "; set this host's clock";
  }
  if (error.code == "NoSuchBucket") {
    return "; make the bucket first";
  }
  if (answer.status == 301 || answer.status == 307 ||
      error.code == "AuthorizationHeaderMalformed") {
    return "; give the bucket's own region and endpoint "
           "(?region=...&endpoint=...)";
  }
  if (answer.status == 401 || answer.status == 403) {
    return "; check the credentials and what they may do";
  }
  return "";
}

}  // namespace

S3Shared::S3Shared(S3Settings settings)
    : settings_(std::move(settings)), busy_(settings_.endpoints.size()) {}

S3Shared::~S3Shared() = default;

RequestCounters S3Shared::counters() const {
  const auto get = [](const std::atomic<std::uint64_t>& count) {
    return count.load(std::memory_order_relaxed);
  };
  return {.requests = get(counts_.requests),
          .repetitions = get(counts_.repetitions),
          .connections = get(counts_.connections),
          .bytes_received = get(counts_.bytes_received),
          .bytes_sent = get(counts_.bytes_sent),
          .throttled = get(counts_.throttled),
          .server_errors = get(counts_.server_errors),
          .timed_out = get(counts_.timed_out),
          .disconnected = get(counts_.disconnected),
          .damaged = get(counts_.damaged)};
}

std::size_t S3Shared::TakeEndpoint() {
  const std::size_t count = busy_.size();
  std::size_t chosen = next_endpoint_.fetch_add(1) % count;
  if (settings_.balance == S3Balance::kLeastConnections) {
    // From the next in turn, so that equals take turns.
    const std::size_t first = chosen;
    for (std::size_t i = 1; i < count; ++i) {
      const std::size_t at = (first + i) % count;
      if (busy_[at] < busy_[chosen]) {
        chosen = at;
      }
    }
  }
  ++busy_[chosen];
  return chosen;
}

void S3Shared::GiveEndpoint(std::size_t endpoint) { --busy_[endpoint]; }

core::Result<std::unique_ptr<S3Engine>> S3Shared::TakeEngine(
    core::Clock& clock) {
  {
    const std::scoped_lock lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<S3Engine> engine = std::move(idle_.back());
      idle_.pop_back();
      return engine;
    }
  }
  return S3Engine::Make(*this, 1, 64 * core::kKiB, clock);
}

void S3Shared::GiveEngine(std::unique_ptr<S3Engine> engine) {
  const std::scoped_lock lock(mutex_);
  if (idle_.size() < kMostIdleEngines) {
    idle_.push_back(std::move(engine));
  }
}

S3Engine::S3Engine(S3Shared& shared, std::size_t capacity)
    : shared_(shared),
      calls_(capacity),
      random_(core::StreamKey(
          static_cast<std::uint64_t>(real_.Now().time_since_epoch().count()),
          static_cast<std::uint64_t>(::getpid()),
          std::bit_cast<std::uintptr_t>(this))) {
  waiting_.reserve(capacity);
  ended_.reserve(capacity);
  const S3Settings& settings = shared.settings();
  for (const S3Endpoint& endpoint : settings.endpoints) {
    hosts_.push_back((settings.virtual_host ? settings.bucket + "." : "") +
                     endpoint.host_header());
    origins_.push_back((endpoint.tls ? "https://" : "http://") + hosts_.back());
  }
  if (!settings.virtual_host) {
    bucket_path_ = "/" + EncodeUri(settings.bucket, false);
  }
  if (settings.credentials.has_value()) {
    signer_ =
        std::make_unique<S3Signer>(*settings.credentials, settings.region);
  }
}

S3Engine::~S3Engine() {
  for (const Call& call : calls_) {
    if (call.busy && call.sent) {
      shared_.GiveEndpoint(call.endpoint);
    }
  }
}

core::Result<std::unique_ptr<S3Engine>> S3Engine::Make(
    S3Shared& shared, std::size_t capacity, std::size_t receive_buffer,
    core::Clock& clock) {
  std::unique_ptr<S3Engine> engine(new S3Engine(shared, capacity));
  const S3Settings& settings = shared.settings();
  STOKER_ASSIGN(engine->http_,
                HttpMulti::Make({.capacity = capacity,
                                 .connect_timeout = settings.connect_timeout,
                                 .stall_timeout = settings.attempt_timeout,
                                 .ca_file = settings.ca_file,
                                 .receive_buffer = receive_buffer},
                                clock));
  return engine;
}

void S3Engine::Start(std::uint32_t slot, const S3Call& ask) {
  Call& call = calls_[slot];
  STOKER_CHECK(!call.busy);
  call.busy = true;
  call.ask = ask;
  call.key = ask.key;
  call.query = ask.query;
  call.headers = ask.headers;
  call.doing = ask.doing;
  call.ask.key = call.ask.query = call.ask.headers = call.ask.doing = {};
  call.answer = {};
  call.deadline = real_.Now() + shared_.settings().io_timeout;
  Send(slot);
}

// The URL and the header lines of `call` for its endpoint, signed as of now.
void S3Engine::BuildRequest(Call& call) {
  const S3Settings& settings = shared_.settings();
  const S3Call& ask = call.ask;
  path_ = bucket_path_;
  if (path_.empty() || !call.key.empty()) {
    path_ += '/';
  }
  AppendEncodedUri(path_, call.key, true);

  std::vector<HttpHeader>& headers = signed_headers_;
  headers.clear();
  if (ask.range_bytes > 0) {
    range_.clear();
    fmt::format_to(std::back_inserter(range_), "bytes={}-{}", ask.range_first,
                   ask.range_first + ask.range_bytes - 1);
    headers.push_back({"range", range_});
  }
  if (!call.headers.empty()) {
    for (const std::string_view line : core::Split(call.headers, '\n')) {
      const std::size_t colon = line.find(": ");
      if (colon != std::string_view::npos) {
        headers.push_back({line.substr(0, colon), line.substr(colon + 2)});
      }
    }
  }
  if (signer_ != nullptr) {
    std::string_view payload = kEmptySha256;
    if (!ask.body.empty()) {
      payload = kUnsignedPayload;
      if (settings.sign_payload || ask.body.size() <= kSmallBody) {
        payload_ = Sha256Hex(
            {std::bit_cast<const char*>(ask.body.data()), ask.body.size()});
        payload = payload_;
      }
    }
    signer_->Sign({.method = NameOf(ask.method),
                   .host = hosts_[call.endpoint],
                   .path = path_,
                   .query = call.query,
                   .payload_sha256 = payload},
                  std::chrono::system_clock::now(), headers);
  }
  call.lines.clear();
  for (const HttpHeader& header : headers) {
    call.lines.append(header.name).append(": ").append(header.value) += '\n';
  }
  // Bodies are sent without asking whether they are welcome.
  call.lines += "expect:\n";
  call.url = origins_[call.endpoint];
  call.url += path_;
  if (!call.query.empty()) {
    call.url.append("?").append(call.query);
  }
}

void S3Engine::Send(std::uint32_t slot) {
  Call& call = calls_[slot];
  call.endpoint = shared_.TakeEndpoint();
  call.sent = true;
  BuildRequest(call);
  ++shared_.counts_.requests;
  const Status started = http_->Start(
      slot, {.method = call.ask.method,
             .url = call.url,
             .headers = call.lines,
             .body = call.ask.body,
             .into = call.ask.into,
             .timeout = std::max<core::Nanos>(call.deadline - real_.Now(),
                                              std::chrono::milliseconds(1))});
  if (!started.ok()) {
    shared_.GiveEndpoint(call.endpoint);
    call.sent = false;
    End(slot, started);
  }
}

void S3Engine::SendDue() {
  if (waiting_.empty()) {
    return;
  }
  const core::TimePoint now = real_.Now();
  for (std::size_t i = 0; i < waiting_.size();) {
    const std::uint32_t slot = waiting_[i];
    if (calls_[slot].due > now) {
      ++i;
      continue;
    }
    waiting_[i] = waiting_.back();
    waiting_.pop_back();
    ++calls_[slot].answer.repetitions;
    ++shared_.counts_.repetitions;
    Send(slot);
  }
}

bool S3Engine::MayRepeat(const HttpAnswer& answer) {
  S3Shared::Counts& counts = shared_.counts_;
  switch (answer.end) {
    case End::kTimedOut:
      ++counts.timed_out;
      return true;
    case End::kDisconnected:
      ++counts.disconnected;
      return true;
    case End::kCutShort:
      ++counts.damaged;
      return true;
    case End::kTooLong:
      ++counts.damaged;
      return false;
    case End::kRefused:
      return false;
    case End::kAnswered:
      break;
  }
  if (answer.status == 429 || answer.status == 503) {
    ++counts.throttled;
    return true;
  }
  if (answer.status >= 500) {
    ++counts.server_errors;
    return answer.status != 501;
  }
  return false;
}

// Half to all of a time that doubles, or what the server asks for.
core::Nanos S3Engine::Pause(const Call& call, const HttpAnswer& answer) {
  const auto doublings = std::min<std::uint64_t>(call.answer.repetitions, 10);
  const core::Nanos longest =
      std::min(kFirstPause * (std::int64_t{1} << doublings), kLongestPause);
  random_ = core::Mix64(random_ + core::kGolden64);
  const auto half = static_cast<std::uint64_t>(longest.count()) / 2;
  const core::Nanos jittered(
      static_cast<std::int64_t>(half + random_ % (half + 1)));
  return std::max(jittered, answer.retry_after.value_or(core::Nanos{0}));
}

Status S3Engine::Failure(const Call& call, const HttpAnswer& answer) const {
  const Code code = CodeOf(answer);
  std::string what =
      fmt::format("{} s3://{}{}{}", call.doing, shared_.settings().bucket,
                  call.key.empty() ? "" : "/", call.key);
  const S3Endpoint& endpoint = shared_.settings().endpoints[call.endpoint];
  std::string reason;
  if (answer.end != End::kAnswered) {
    reason = answer.problem;
  } else {
    const S3Error error = ParseS3Error(answer.text);
    reason = fmt::format("status {}{}{}{}{}{}", answer.status,
                         error.code.empty() ? "" : " ", error.code,
                         error.message.empty() ? "" : ": ", error.message,
                         RemedyOf(error, answer));
  }
  const std::string tries =
      call.answer.repetitions == 0
          ? ""
          : fmt::format(", after {} repetitions", call.answer.repetitions);
  return {code,
          fmt::format("{} at {}: {}{}", what, endpoint.host_header(), reason,
                      tries),
          ErrnoOf(code)};
}

void S3Engine::Judge(std::uint32_t slot) {
  Call& call = calls_[slot];
  const HttpAnswer& answer = http_->AnswerOf(slot);
  S3Shared::Counts& counts = shared_.counts_;
  shared_.GiveEndpoint(call.endpoint);
  call.sent = false;
  call.answer.http_status = answer.status;
  counts.connections += answer.connections;
  counts.bytes_received += answer.bytes;
  counts.bytes_sent += answer.sent;
  if (IsSuccess(answer)) {
    End(slot, {});
    return;
  }
  const bool may = MayRepeat(answer);
  const core::TimePoint due = real_.Now() + Pause(call, answer);
  if (may && call.answer.repetitions < shared_.settings().retries &&
      due < call.deadline) {
    call.due = due;
    waiting_.push_back(slot);
    return;
  }
  End(slot, Failure(call, answer));
}

void S3Engine::End(std::uint32_t slot, Status status) {
  Call& call = calls_[slot];
  call.busy = false;
  call.answer.status = std::move(status);
  ended_.push_back(slot);
}

void S3Engine::TakeAnswers() {
  std::array<std::uint32_t, 64> slots{};
  std::size_t count = 0;
  while ((count = http_->TakeEnded(slots)) > 0) {
    for (std::size_t i = 0; i < count; ++i) {
      Judge(slots[i]);
    }
  }
}

Status S3Engine::Push() {
  STOKER_TRY(http_->Push());
  TakeAnswers();
  return {};
}

Status S3Engine::Progress(core::Nanos longest) {
  SendDue();
  if (!ended_.empty()) {
    longest = core::Nanos{0};
  }
  for (const std::uint32_t slot : waiting_) {
    longest = std::min(longest, calls_[slot].due - real_.Now());
  }
  STOKER_TRY(http_->Progress(longest));
  TakeAnswers();
  SendDue();
  return {};
}

std::size_t S3Engine::TakeEnded(std::span<std::uint32_t> slots) {
  const std::size_t count = std::min(slots.size(), ended_.size());
  std::copy_n(ended_.begin(), count, slots.begin());
  ended_.erase(ended_.begin(),
               ended_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

Status S3Engine::Do(const S3Call& call) {
  Start(0, call);
  std::array<std::uint32_t, 1> slot{};
  while (TakeEnded(slot) == 0) {
    STOKER_TRY(Progress(std::chrono::hours(1)));
  }
  return calls_[0].answer.status;
}

}  // namespace stoker::storage::internal
