#pragma once

// Which back ends the conformance suite runs over, and where each legitimately
// differs.

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "storage/backend.h"
#include "storage/internal/uring_ring.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {

// An op on `object` of storage `uri` that does not finish before `release`,
// for four bytes or for the size.
struct Stuck {
  std::string uri;
  std::string object;
  ReadOp::Kind kind = ReadOp::Kind::kRead;
  std::function<void()> release;
};

struct Row {
  std::string name;
  std::string scheme;
  std::string engine;
  std::function<std::string(const testing::TempDir&)> uri;
  Capabilities can;
  bool has_folders = false;     // a list of a missing folder is an error
  bool has_free_bytes = false;  // and knows its free space
  // Empty where ops are always done at once.
  std::function<Stuck(const testing::TempDir&)> stuck;
  Access access = Access::kDefault;  // of all its queues
};

inline std::string FileUri(const testing::TempDir& dir,
                           std::string_view engine) {
  return fmt::format("file://{}/root?engine={}", dir.str(), engine);
}

// Both ends of a named pipe.
class PipeEnds {
 public:
  explicit PipeEnds(const std::string& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    STOKER_CHECK(fd_ >= 0);
  }
  ~PipeEnds() { ::close(fd_); }
  PipeEnds(const PipeEnds&) = delete;
  PipeEnds& operator=(const PipeEnds&) = delete;
  void Write(std::string_view text) const {
    STOKER_CHECK(::write(fd_, text.data(), text.size()) ==
                 static_cast<ssize_t>(text.size()));
  }

 private:
  int fd_;
};

// With threads the open of a named pipe hangs until there is a writer; io_uring
// opens it at once, and the read hangs until something is written.
inline Stuck StuckFile(const testing::TempDir& dir, std::string_view engine) {
  const std::string path = dir.str() + "/pipe";
  STOKER_CHECK(::mkfifo(path.c_str(), 0600) == 0);
  Stuck stuck{.uri = fmt::format("file://{}?engine={}", dir.str(), engine),
              .object = "pipe",
              .release = {}};
  if (engine == "threads") {
    stuck.kind = ReadOp::Kind::kSize;
    stuck.release = [path, held = std::shared_ptr<PipeEnds>()]() mutable {
      held = std::make_shared<PipeEnds>(path);
    };
  } else {
    stuck.release = [held = std::make_shared<PipeEnds>(path)] {
      held->Write("text");
    };
  }
  return stuck;
}

inline Row FileRow(const std::string& engine) {
  return {
      .name = "File" + engine,
      .scheme = "file",
      .engine = engine,
      .uri = [engine](const auto& dir) { return FileUri(dir, engine); },
      .can = {},
      .has_folders = true,
      .has_free_bytes = true,
      .stuck = [engine](const auto& dir) { return StuckFile(dir, engine); }};
}

inline Row Fixed(const std::string& name, const std::string& scheme,
                 const std::string& uri, const Capabilities& can,
                 const std::string& stuck_uri = "") {
  Row row{.name = name,
          .scheme = scheme,
          .engine = "",
          .uri = [uri](const testing::TempDir&) { return uri; },
          .can = can,
          .stuck = {}};
  if (!stuck_uri.empty()) {
    row.stuck = [stuck_uri](const testing::TempDir&) {
      return Stuck{.uri = stuck_uri, .object = "object", .release = [] {}};
    };
  }
  return row;
}

// The same files, read otherwise than through the page cache.
inline Row DirectRow(const std::string& engine) {
  Row row = FileRow(engine);
  row.name = "Direct" + engine;
  row.scheme = "direct";
  row.uri = [engine](const auto& dir) {
    return fmt::format("direct://{}/root?engine={}", dir.str(), engine);
  };
  row.stuck = {};
  return row;
}

// Reads of more than a block, and parts, are split or rounded off.
inline Row DirectBlocksRow(const std::string& engine) {
  Row row = DirectRow(engine);
  row.name = "DirectBlocks" + engine;
  row.uri = [engine](const auto& dir) {
    return fmt::format("direct://{}/root?engine={}&block=4KiB&depth=3",
                       dir.str(), engine);
  };
  return row;
}

inline Row FileBlocksRow(const std::string& engine) {
  Row row = FileRow(engine);
  row.name = "FileBlocks" + engine;
  row.uri = [engine](const auto& dir) {
    return FileUri(dir, engine) + "&block=4KiB&depth=3&fadvise=dontneed";
  };
  row.stuck = {};
  return row;
}

inline Row MmapRow() {
  Row row = FileRow("threads");
  row.name = "Mmap";
  row.scheme = "mmap";
  row.engine = "mapped";
  row.uri = [](const auto& dir) {
    return fmt::format("mmap://{}/root", dir.str());
  };
  row.stuck = {};
  return row;
}

inline Row MappedRow() {
  Row row = FileRow("threads");
  row.name = "FileMapped";
  row.engine = "mapped";
  row.access = Access::kMapped;
  row.stuck = {};
  return row;
}

// A server that takes connections and never says anything.
class DeafServer {
 public:
  DeafServer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const any = std::bit_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    STOKER_CHECK(fd_ >= 0 && ::bind(fd_, any, size) == 0 &&
                 ::listen(fd_, 16) == 0 && ::getsockname(fd_, any, &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~DeafServer() { ::close(fd_); }
  DeafServer(const DeafServer&) = delete;
  DeafServer& operator=(const DeafServer&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

inline Stuck StuckS3(const testing::TempDir& /*dir*/) {
  auto server = std::make_shared<DeafServer>();
  std::string uri =
      fmt::format("s3://bucket?sign=no&retries=0&endpoint=http://127.0.0.1:{}",
                  server->port());
  return {.uri = std::move(uri),
          .object = "object",
          .release = [server]() mutable { server.reset(); }};
}

// Of a real server that tests/servers/s3_test.py has started; where it is and
// the credentials are in the environment.
inline Row S3Row(const std::string& name, const std::string& options) {
  Row row{.name = name,
          .scheme = "s3",
          .engine = "http",
          .uri =
              [options](const testing::TempDir& dir) {
                const std::string path = dir.str();
                return fmt::format("s3://stoker-test/{}{}",
                                   path.substr(path.rfind('/') + 1), options);
              },
          .can = {},
          .stuck = StuckS3};
  return row;
}

inline std::vector<Row> ServerRows() {
  const char* const tls = std::getenv("STOKER_TEST_TLS");
  STOKER_CHECK(tls != nullptr);
  return {S3Row("S3", ""), S3Row("S3Split", "?range=4KiB&connections=3"),
          S3Row("S3Tls", fmt::format("?endpoint={}&addressing=virtual&"
                                     "payload=signed",
                                     tls))};
}

inline std::vector<Row> Rows() {
#ifdef STOKER_SERVER_ROWS
  return ServerRows();
#endif
  std::vector<Row> rows{
      FileRow("threads"),
      Fixed("Mem", "mem", "mem:", {.shared = false}),
      Fixed("Null", "null", "null:", {.stores_data = false}),
      Fixed("Model", "model",
            "model:?latency=10us&bandwidth=10GB&servers=2,mem:",
            {.shared = false}, "model:?latency=1000000s"),
      Fixed("ModelFewAtOnce", "model",
            "model:?latency_p50=10us&latency_p99=50us&bandwidth=10GB&requests="
            "1000000&concurrency=2,mem:",
            {.shared = false}, "model:?latency=1000000s&concurrency=1"),
      Fixed("Fault", "fault", "fault:,mem:", {.shared = false},
            "fault:?delay=1000000s,null:"),
      Fixed("FaultShaped", "fault", "fault:?latency=10us&bandwidth=10GB,mem:",
            {.shared = false}, "fault:?latency=1000000s,null:")};
  rows.push_back(MappedRow());
  rows.push_back(MmapRow());
  rows.push_back(FileBlocksRow("threads"));
  const bool direct = testing::DirectIsAllowed();
  if (direct) {
    rows.push_back(DirectRow("threads"));
    rows.push_back(DirectBlocksRow("threads"));
  }
  if (internal::ProbeUring().ok()) {
    rows.push_back(FileRow("uring"));
    rows.push_back(FileBlocksRow("uring"));
    if (direct) {
      rows.push_back(DirectRow("uring"));
      rows.push_back(DirectBlocksRow("uring"));
    }
  }
  return rows;
}

inline std::vector<Row> WaitingRows() {
  std::vector<Row> rows = Rows();
  std::erase_if(rows, [](const Row& row) { return !row.stuck; });
  return rows;
}

inline std::string RowName(const ::testing::TestParamInfo<Row>& row) {
  return row.param.name;
}

}  // namespace stoker::storage
