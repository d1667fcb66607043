#pragma once

// Which back ends the conformance suite runs over, and where each legitimately
// differs.

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

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

inline Row MappedRow() {
  Row row = FileRow("threads");
  row.name = "FileMapped";
  row.engine = "mapped";
  row.access = Access::kMapped;
  row.stuck = {};
  return row;
}

inline std::vector<Row> Rows() {
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
  const bool direct = testing::DirectIsAllowed();
  if (direct) {
    rows.push_back(DirectRow("threads"));
  }
  if (internal::ProbeUring().ok()) {
    rows.push_back(FileRow("uring"));
    if (direct) {
      rows.push_back(DirectRow("uring"));
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
