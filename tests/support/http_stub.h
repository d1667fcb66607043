#pragma once

// A scripted HTTP/1.1 server on loopback, for the faults that no real server
// produces when it is asked to.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace stoker::testing {

struct HttpStubRequest {
  std::string method;
  std::string target;                          // "/bucket/key?query"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct HttpStubReply {
  enum class Way { kAnswer, kReset, kHang };
  Way way = Way::kAnswer;
  int status = 200;
  std::vector<std::string> headers{};  // "Name: value"
  std::string body{};
  // Content-Length as told, where it is not the body's; the connection is
  // closed after the body.
  std::optional<std::size_t> told_length{};
  std::chrono::milliseconds pause{0};  // before the answer
};

// Serves each connection in a thread of its own, one request after another.
class HttpStub {
 public:
  // Called by the connections' threads, one at a time.
  using Script = std::function<HttpStubReply(const HttpStubRequest&)>;

  explicit HttpStub(Script script);
  ~HttpStub();  // ends all connections
  HttpStub(const HttpStub&) = delete;
  HttpStub& operator=(const HttpStub&) = delete;

  std::string endpoint() const;  // "http://127.0.0.1:40001"
  std::size_t connections() const { return connections_; }
  std::size_t most_at_once() const { return most_at_once_; }

 private:
  void Accept();
  void Serve(int fd);
  bool ReadRequest(int fd, std::string& left, HttpStubRequest& request);
  bool Answer(int fd, const HttpStubReply& reply, bool is_head);

  const Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> busy_{0};
  std::atomic<std::size_t> most_at_once_{0};
  std::mutex script_mutex_;
  std::mutex mutex_;  // guards fds_ and threads_
  std::vector<int> fds_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace stoker::testing
