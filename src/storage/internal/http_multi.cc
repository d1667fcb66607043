#include "storage/internal/http_multi.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/stream_copy.h"
#include "core/text.h"
#include "storage/internal/http_header.h"

namespace stoker::storage::internal {

namespace {

constexpr int kMostEvents = 64;
// Answers for so much room are in no cache when they are read: they are copied
// past it. (A cache's block, which is read at once, is not.)
constexpr std::size_t kStreamedFrom = 4U << 20;

long Milliseconds(core::Nanos time) {
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(time);
  return std::max<long>(1, static_cast<long>(rounded.count()));
}

// TLS writes to sockets without MSG_NOSIGNAL: a server that hangs up must not
// end the process.
void IgnoreBrokenPipes() {
  struct sigaction now{};
  if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
    now.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &now, nullptr);
  }
}

void InitialiseOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::curl_global_init(CURL_GLOBAL_DEFAULT);
    IgnoreBrokenPipes();
  });
}

HttpAnswer::End EndOf(CURLcode code) {
  using End = HttpAnswer::End;
  switch (code) {
    case CURLE_OK:
      return End::kAnswered;
    case CURLE_OPERATION_TIMEDOUT:
      return End::kTimedOut;
    case CURLE_PARTIAL_FILE:
      return End::kCutShort;
    case CURLE_WRITE_ERROR:
      return End::kTooLong;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return End::kRefused;
    default:
      return End::kDisconnected;
  }
}

}  // namespace

std::string_view NameOf(HttpMethod method) {
  constexpr std::array<std::string_view, 5> kNames{"GET", "HEAD", "PUT", "POST",
                                                   "DELETE"};
  return kNames[static_cast<std::size_t>(method)];
}

// One exchange: its handle, and what libcurl's callbacks need.
struct Exchange {
  CURL* easy = nullptr;
  const core::Clock* clock = nullptr;
  bool busy = false;
  std::optional<HttpMethod> set_for;  // whose options the handle has
  std::string url;
  std::string header_text;
  std::vector<curl_slist> header_list;
  std::span<const std::byte> body;
  std::size_t body_at = 0;
  std::span<std::byte> into;
  bool has_room = false;  // `into` is meant for an answer that is data
  HttpAnswer answer;
  std::array<char, CURL_ERROR_SIZE> error{};

  void SplitHeaders();
  std::size_t TakeHeader(std::string_view line);
  std::size_t TakeBody(std::string_view data);
};

// The list points into header_text; nothing is allocated once both have grown.
void Exchange::SplitHeaders() {
  header_list.clear();
  std::size_t at = 0;
  while (at < header_text.size()) {
    const std::size_t end = header_text.find('\n', at);
    STOKER_CHECK(end != std::string::npos);
    header_text[end] = '\0';
    header_list.push_back({.data = &header_text[at], .next = nullptr});
    at = end + 1;
  }
  for (std::size_t i = 1; i < header_list.size(); ++i) {
    header_list[i - 1].next = &header_list[i];
  }
}

std::size_t Exchange::TakeHeader(std::string_view line) {
  if (line.starts_with("HTTP/")) {
    answer.first_byte = clock->Now();
    answer.etag.clear();
    answer.content_range.clear();
    answer.content_length.reset();
    answer.retry_after.reset();
  } else if (const auto etag = HeaderValue(line, "etag")) {
    answer.etag = *etag;
  } else if (const auto range = HeaderValue(line, "content-range")) {
    answer.content_range = *range;
  } else if (const auto length = HeaderValue(line, "content-length")) {
    const auto bytes = core::ParseInt(*length);
    if (bytes.ok() && bytes.value() >= 0) {
      answer.content_length = static_cast<std::uint64_t>(bytes.value());
    }
  } else if (const auto after = HeaderValue(line, "retry-after")) {
    const auto seconds = core::ParseInt(*after);
    if (seconds.ok() && seconds.value() >= 0) {
      answer.retry_after =
          std::chrono::seconds(std::min<std::int64_t>(seconds.value(), 3600));
    }
  } else if (const auto region = HeaderValue(line, "x-amz-bucket-region")) {
    answer.region = *region;
  }
  return line.size();
}

// Data that has no room ends the exchange (CURLE_WRITE_ERROR).
std::size_t Exchange::TakeBody(std::string_view data) {
  if (answer.bytes == 0) {
    long status = 0;
    ::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
  }
  const bool is_data =
      has_room && (answer.status == 200 || answer.status == 206);
  if (!is_data) {
    if (answer.text.size() + data.size() > HttpMulti::kLongestText) {
      return 0;
    }
    answer.text += data;
    answer.bytes += data.size();
    return data.size();
  }
  if (data.size() > into.size() - answer.bytes) {
    return 0;
  }
  const std::span<std::byte> to = into.subspan(answer.bytes, data.size());
  if (into.size() >= kStreamedFrom) {
    core::StreamCopy(to, std::as_bytes(std::span(data)));
  } else {
    std::memcpy(to.data(), data.data(), data.size());
  }
  answer.bytes += data.size();
  return data.size();
}

struct HttpMulti::Impl {
  HttpSettings settings;
  const core::Clock* clock = nullptr;  // of what is told
  const core::SystemClock real{};      // of libcurl's timers
  CURLM* multi = nullptr;
  int epoll = -1;
  int wake = -1;
  bool woken = false;
  std::optional<core::TimePoint> timer;  // libcurl wants to be called
  std::vector<Exchange> exchanges;
  std::vector<std::uint32_t> ended;
  // By descriptor: what epoll watches it for (0: it does not), and whether
  // libcurl wants that now. What it lets go between two exchanges stays until
  // it says something or is closed, which saves two calls an exchange.
  struct Watch {
    std::uint32_t events = 0;
    bool wanted = false;
  };
  std::vector<Watch> watches;

  ~Impl();
  Watch& WatchOf(curl_socket_t socket);
  void Unwatch(curl_socket_t socket);
  core::Status Open();
  core::Status Prepare(Exchange& exchange, HttpMethod method);
  core::Status Call(curl_socket_t socket, int events);
  core::Status CallIfDue();
  void CollectEnded();

  static std::size_t OnBody(char* data, std::size_t size, std::size_t count,
                            void* self);
  static std::size_t OnHeader(char* data, std::size_t size, std::size_t count,
                              void* self);
  static std::size_t OnSend(char* data, std::size_t size, std::size_t count,
                            void* self);
  static int OnSeek(void* self, curl_off_t offset, int origin);
  static int OnSocket(CURL* easy, curl_socket_t socket, int what, void* self,
                      void* known);
  static int OnClose(void* self, curl_socket_t socket);
  static int OnTimer(CURLM* multi, long milliseconds, void* self);
};

std::size_t HttpMulti::Impl::OnBody(char* data, std::size_t size,
                                    std::size_t count, void* self) {
  return static_cast<Exchange*>(self)->TakeBody({data, size * count});
}

std::size_t HttpMulti::Impl::OnHeader(char* data, std::size_t size,
                                      std::size_t count, void* self) {
  return static_cast<Exchange*>(self)->TakeHeader({data, size * count});
}

std::size_t HttpMulti::Impl::OnSend(char* data, std::size_t size,
                                    std::size_t count, void* self) {
  auto& exchange = *static_cast<Exchange*>(self);
  const std::span<const std::byte> left =
      exchange.body.subspan(exchange.body_at);
  const std::size_t bytes = std::min(size * count, left.size());
  if (bytes > 0) {
    std::memcpy(data, left.data(), bytes);
  }
  exchange.body_at += bytes;
  return bytes;
}

// A kept connection turned out to be dead: the body is sent once more.
int HttpMulti::Impl::OnSeek(void* self, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(self);
  if (origin != SEEK_SET || offset < 0 ||
      static_cast<std::uint64_t>(offset) > exchange.body.size()) {
    return CURL_SEEKFUNC_FAIL;
  }
  exchange.body_at = static_cast<std::size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

HttpMulti::Impl::Watch& HttpMulti::Impl::WatchOf(curl_socket_t socket) {
  const auto at = static_cast<std::size_t>(socket);
  if (watches.size() <= at) {
    watches.resize(at + 1);
  }
  return watches[at];
}

void HttpMulti::Impl::Unwatch(curl_socket_t socket) {
  if (std::exchange(WatchOf(socket), {}).events != 0) {
    ::epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
  }
}

int HttpMulti::Impl::OnSocket(CURL* /*easy*/, curl_socket_t socket, int what,
                              void* self, void* /*known*/) {
  auto& impl = *static_cast<Impl*>(self);
  Watch& watch = impl.WatchOf(socket);
  watch.wanted = what != CURL_POLL_REMOVE;
  if (!watch.wanted) {
    return 0;
  }
  epoll_event event{.events = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) |
                              ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U),
                    .data = {.fd = socket}};
  if (event.events != watch.events) {
    const int action = watch.events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    ::epoll_ctl(impl.epoll, action, socket, &event);
    watch.events = event.events;
  }
  return 0;
}

int HttpMulti::Impl::OnClose(void* self, curl_socket_t socket) {
  static_cast<Impl*>(self)->Unwatch(socket);
  return ::close(socket);
}

int HttpMulti::Impl::OnTimer(CURLM* /*multi*/, long milliseconds, void* self) {
  auto& impl = *static_cast<Impl*>(self);
  if (milliseconds < 0) {
    impl.timer.reset();
  } else {
    impl.timer = impl.real.Now() + std::chrono::milliseconds(milliseconds);
  }
  return 0;
}

HttpMulti::Impl::~Impl() {
  for (Exchange& exchange : exchanges) {
    if (exchange.easy != nullptr) {
      if (exchange.busy) {
        ::curl_multi_remove_handle(multi, exchange.easy);
      }
      ::curl_easy_cleanup(exchange.easy);
    }
  }
  if (multi != nullptr) {
    ::curl_multi_cleanup(multi);
  }
  for (const int fd : {epoll, wake}) {
    if (fd >= 0) {
      ::close(fd);
    }
  }
}

core::Status HttpMulti::Impl::Open() {
  InitialiseOnce();
  epoll = ::epoll_create1(EPOLL_CLOEXEC);
  wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  multi = ::curl_multi_init();
  if (epoll < 0 || wake < 0 || multi == nullptr) {
    return {core::Code::kUnavailable,
            "make an HTTP client: no descriptors or memory are left; raise the "
            "limit of open files (ulimit -n) or lower the queue depth",
            errno};
  }
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake}};
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event);
  ::curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &Impl::OnSocket);
  ::curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
  ::curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &Impl::OnTimer);
  ::curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  ::curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  ::curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
                      static_cast<long>(settings.capacity));
  exchanges.resize(settings.capacity);
  ended.reserve(settings.capacity);
  for (Exchange& exchange : exchanges) {
    exchange.clock = clock;
  }
  return {};
}

// Options that stay from exchange to exchange of the same method.
core::Status HttpMulti::Impl::Prepare(Exchange& exchange, HttpMethod method) {
  if (exchange.set_for == method) {
    return {};
  }
  if (exchange.easy == nullptr) {
    exchange.easy = ::curl_easy_init();
    if (exchange.easy == nullptr) {
      return {core::Code::kUnavailable, "make an HTTP request: no memory"};
    }
  } else {
    ::curl_easy_reset(exchange.easy);
  }
  CURL* const easy = exchange.easy;
  const auto set = [easy](CURLoption option, auto value) {
    STOKER_CHECK(::curl_easy_setopt(easy, option, value) == CURLE_OK);
  };
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_USERAGENT, "stoker");
  set(CURLOPT_ERRORBUFFER, exchange.error.data());
  set(CURLOPT_WRITEFUNCTION, &Impl::OnBody);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
  set(CURLOPT_HEADERFUNCTION, &Impl::OnHeader);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
  set(CURLOPT_PRIVATE, static_cast<void*>(&exchange));
  set(CURLOPT_CLOSESOCKETFUNCTION, &Impl::OnClose);
  set(CURLOPT_CLOSESOCKETDATA, static_cast<void*>(this));
  set(CURLOPT_BUFFERSIZE, static_cast<long>(settings.receive_buffer));
  set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(settings.connect_timeout));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME,
      std::max<long>(1, Milliseconds(settings.stall_timeout) / 1000));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  if (!settings.ca_file.empty()) {
    set(CURLOPT_CAINFO, settings.ca_file.c_str());
  }
  switch (method) {
    case HttpMethod::kGet:
      set(CURLOPT_HTTPGET, 1L);
      break;
    case HttpMethod::kHead:
      set(CURLOPT_NOBODY, 1L);
      break;
    case HttpMethod::kDelete:
      set(CURLOPT_HTTPGET, 1L);
      set(CURLOPT_CUSTOMREQUEST, "DELETE");
      break;
    case HttpMethod::kPut:
    case HttpMethod::kPost:
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_CUSTOMREQUEST, method == HttpMethod::kPut ? "PUT" : "POST");
      set(CURLOPT_READFUNCTION, &Impl::OnSend);
      set(CURLOPT_READDATA, static_cast<void*>(&exchange));
      set(CURLOPT_SEEKFUNCTION, &Impl::OnSeek);
      set(CURLOPT_SEEKDATA, static_cast<void*>(&exchange));
      set(CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
      break;
  }
  exchange.set_for = method;
  return {};
}

core::Status HttpMulti::Impl::Call(curl_socket_t socket, int events) {
  int running = 0;
  const CURLMcode code =
      ::curl_multi_socket_action(multi, socket, events, &running);
  if (code != CURLM_OK) {
    return {core::Code::kIoError, fmt::format("go on with HTTP requests: {}",
                                              ::curl_multi_strerror(code))};
  }
  return {};
}

// Begins exchanges that were started, and ends what has taken too long.
core::Status HttpMulti::Impl::CallIfDue() {
  if (timer.has_value() && *timer <= real.Now()) {
    timer.reset();
    STOKER_TRY(Call(CURL_SOCKET_TIMEOUT, 0));
    CollectEnded();
  }
  return {};
}

void HttpMulti::Impl::CollectEnded() {
  int left = 0;
  while (CURLMsg* const message = ::curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) {
      continue;
    }
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    Exchange* exchange = nullptr;
    ::curl_easy_getinfo(easy, CURLINFO_PRIVATE, &exchange);
    HttpAnswer& answer = exchange->answer;
    long status = 0;
    long connections = 0;
    ::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    ::curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
    answer.status = static_cast<int>(status);
    answer.connections = static_cast<std::uint32_t>(connections);
    answer.sent = exchange->body_at;
    answer.end = EndOf(code);
    if (code != CURLE_OK) {
      answer.problem = exchange->error[0] != '\0'
                           ? std::string(exchange->error.data())
                           : std::string(::curl_easy_strerror(code));
    }
    ::curl_multi_remove_handle(multi, easy);
    exchange->busy = false;
    ended.push_back(static_cast<std::uint32_t>(exchange - exchanges.data()));
  }
}

HttpMulti::HttpMulti(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpMulti::~HttpMulti() = default;

core::Result<std::unique_ptr<HttpMulti>> HttpMulti::Make(
    const HttpSettings& settings, const core::Clock& clock) {
  STOKER_CHECK(settings.capacity > 0);
  auto impl = std::make_unique<Impl>();
  impl->settings = settings;
  impl->clock = &clock;
  STOKER_TRY(impl->Open());
  return std::unique_ptr<HttpMulti>(new HttpMulti(std::move(impl)));
}

core::Status HttpMulti::Start(std::uint32_t slot, const HttpRequest& request) {
  STOKER_CHECK(slot < impl_->exchanges.size());
  Exchange& exchange = impl_->exchanges[slot];
  STOKER_CHECK(!exchange.busy);
  const bool is_anew = exchange.set_for != request.method;
  STOKER_TRY(impl_->Prepare(exchange, request.method));
  exchange.header_text = request.headers;
  exchange.SplitHeaders();
  exchange.body = request.body;
  exchange.body_at = 0;
  exchange.into = request.into;
  exchange.has_room = request.into.data() != nullptr;
  exchange.answer = {};
  exchange.error[0] = '\0';
  CURL* const easy = exchange.easy;
  if (is_anew || exchange.url != request.url) {
    exchange.url = request.url;
    ::curl_easy_setopt(easy, CURLOPT_URL, exchange.url.c_str());
  }
  ::curl_easy_setopt(
      easy, CURLOPT_HTTPHEADER,
      exchange.header_list.empty() ? nullptr : exchange.header_list.data());
  ::curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, Milliseconds(request.timeout));
  if (request.method == HttpMethod::kPut ||
      request.method == HttpMethod::kPost) {
    ::curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                       static_cast<curl_off_t>(request.body.size()));
  }
  const CURLMcode code = ::curl_multi_add_handle(impl_->multi, easy);
  if (code != CURLM_OK) {
    return {core::Code::kIoError,
            fmt::format("start a request for {}: {}", request.url,
                        ::curl_multi_strerror(code))};
  }
  exchange.busy = true;
  return {};
}

core::Status HttpMulti::Progress(core::Nanos longest) {
  STOKER_TRY(impl_->CallIfDue());
  std::array<epoll_event, kMostEvents> events;
  if (!impl_->ended.empty()) {
    longest = core::Nanos{0};
  }
  core::Nanos wait = std::max(longest, core::Nanos{0});
  if (impl_->timer.has_value()) {
    wait = std::clamp(*impl_->timer - impl_->real.Now(), core::Nanos{0}, wait);
  }
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(wait);
  const int count = ::epoll_wait(
      impl_->epoll, events.data(), kMostEvents,
      static_cast<int>(std::min<std::int64_t>(rounded.count(), 3'600'000)));
  if (count < 0 && errno != EINTR) {
    return core::Status::FromErrno(errno, "wait for HTTP answers");
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == impl_->wake) {
      eventfd_t value = 0;
      ::eventfd_read(impl_->wake, &value);
      impl_->woken = true;
      continue;
    }
    if (!impl_->WatchOf(event.data.fd).wanted) {
      // A kept connection that the server closes, or that nobody asked.
      impl_->Unwatch(event.data.fd);
      continue;
    }
    const int bits =
        ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
        ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
        ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    STOKER_TRY(impl_->Call(event.data.fd, bits));
  }
  impl_->CollectEnded();
  return impl_->CallIfDue();
}

core::Status HttpMulti::Push() { return impl_->CallIfDue(); }

std::size_t HttpMulti::TakeEnded(std::span<std::uint32_t> slots) {
  std::vector<std::uint32_t>& ended = impl_->ended;
  const std::size_t count = std::min(slots.size(), ended.size());
  std::copy_n(ended.begin(), count, slots.begin());
  ended.erase(ended.begin(),
              ended.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

HttpAnswer& HttpMulti::AnswerOf(std::uint32_t slot) {
  return impl_->exchanges[slot].answer;
}

void HttpMulti::Cancel(std::uint32_t slot) {
  Exchange& exchange = impl_->exchanges[slot];
  if (exchange.busy) {
    ::curl_multi_remove_handle(impl_->multi, exchange.easy);
    exchange.busy = false;
  }
  std::erase(impl_->ended, slot);
}

bool HttpMulti::TakeWoken() { return std::exchange(impl_->woken, false); }

void HttpMulti::Wake() { ::eventfd_write(impl_->wake, 1); }

}  // namespace stoker::storage::internal
