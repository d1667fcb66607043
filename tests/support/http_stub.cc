#include "tests/support/http_stub.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace stoker::testing {

HttpStub::HttpStub(Script script) : script_(std::move(script)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  STOKER_CHECK(listener_ >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = std::bit_cast<sockaddr*>(&address);
  STOKER_CHECK(::bind(listener_, any, sizeof(address)) == 0);
  STOKER_CHECK(::listen(listener_, 128) == 0);
  socklen_t size = sizeof(address);
  STOKER_CHECK(::getsockname(listener_, any, &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpStub::~HttpStub() {
  ending_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::scoped_lock lock(mutex_);
    for (const int fd : fds_) {
      ::shutdown(fd, SHUT_RDWR);
    }
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  for (const int fd : fds_) {
    ::close(fd);
  }
}

std::string HttpStub::endpoint() const {
  return fmt::format("http://127.0.0.1:{}", port_);
}

void HttpStub::Accept() {
  while (!ending_) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) {
      continue;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ++connections_;
    const std::scoped_lock lock(mutex_);
    fds_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpStub::Serve(int fd) {
  std::string left;
  HttpStubRequest request;
  while (!ending_ && ReadRequest(fd, left, request)) {
    const std::size_t busy = ++busy_;
    most_at_once_ = std::max(most_at_once_.load(), busy);
    HttpStubReply reply;
    {
      const std::scoped_lock lock(script_mutex_);
      reply = script_(request);
    }
    const bool goes_on = Answer(fd, reply, request.method == "HEAD");
    --busy_;
    if (!goes_on) {
      break;
    }
  }
  ::shutdown(fd, SHUT_RDWR);
}

bool HttpStub::ReadRequest(int fd, std::string& left,
                           HttpStubRequest& request) {
  std::array<char, 65536> chunk{};
  const auto more = [&] {
    const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (got > 0) {
      left.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return got > 0;
  };
  std::size_t end = 0;
  while ((end = left.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) {
      return false;
    }
  }
  request = {};
  std::string_view head = std::string_view(left).substr(0, end);
  const std::size_t line_end = head.find("\r\n");
  std::string_view line = head.substr(0, line_end);
  request.method = line.substr(0, line.find(' '));
  line.remove_prefix(request.method.size() + 1);
  request.target = line.substr(0, line.find(' '));
  while (line_end != std::string_view::npos && !head.empty()) {
    const std::size_t next = head.find("\r\n");
    const std::string_view one = head.substr(0, next);
    head = next == std::string_view::npos ? "" : head.substr(next + 2);
    const std::size_t colon = one.find(": ");
    if (colon == std::string_view::npos) {
      continue;
    }
    std::string name(one.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](unsigned char c) {
      return static_cast<char>(std::tolower(c));
    });
    request.headers[name] = one.substr(colon + 2);
  }
  left.erase(0, end + 4);
  const auto length = request.headers.find("content-length");
  const std::size_t size =
      length == request.headers.end() ? 0 : std::stoull(length->second);
  while (left.size() < size) {
    if (!more()) {
      return false;
    }
  }
  request.body = left.substr(0, size);
  left.erase(0, size);
  return true;
}

// False: the connection is over.
bool HttpStub::Answer(int fd, const HttpStubReply& reply, bool is_head) {
  for (auto left = reply.pause; left.count() > 0 && !ending_;
       left -= std::chrono::milliseconds(10)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (reply.way == HttpStubReply::Way::kReset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    return false;
  }
  while (reply.way == HttpStubReply::Way::kHang && !ending_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::string text =
      fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", reply.status,
                  reply.told_length.value_or(reply.body.size()));
  for (const std::string& header : reply.headers) {
    text += header + "\r\n";
  }
  text += "\r\n";
  if (!is_head) {
    text += reply.body;
  }
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t sent = ::send(fd, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  return is_head || !reply.told_length.has_value() ||
         *reply.told_length == reply.body.size();
}

}  // namespace stoker::testing
