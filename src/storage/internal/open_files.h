#pragma once

// Descriptors and mappings of the files under a root folder, by ObjectId.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "core/status.h"
#include "storage/object_table.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// How a queue gets at the bytes of files.
enum class Way : std::uint8_t { kBuffered, kDirect, kMapped };

// What the kernel is told of the pages of files: posix_fadvise(2), and
// madvise(2) for mappings. Past the page cache there is nothing to tell.
struct PageAdvice {
  enum class Order : std::uint8_t { kNormal, kSequential, kRandom };
  Order order = Order::kNormal;  // random: no read-ahead
  bool read_once = false;        // a read does not make a page worth keeping
  bool drop = false;             // at Release
};

// One resolved file, with a handle for each way it is read.
struct OpenFile {
  // All but `fd` is valid once that is not negative.
  struct Handle {
    std::atomic<int> fd{-1};
    std::uint64_t size = 0;     // bytes, when it was opened
    std::uint64_t version = 0;  // of inode, size and time of change, then
    const std::byte* mapped = nullptr;  // kMapped: `size` bytes; null: none
  };

  std::string path;
  std::array<Handle, 3> handles;
  std::mutex opening;  // guards the change of a handle from closed to open

  Handle& handle(Way way) { return handles[static_cast<std::size_t>(way)]; }
};

// Safe for concurrent use.
class OpenFiles {
 public:
  // `root`: empty for the file system's root, else without a slash at the end.
  explicit OpenFiles(std::string root, PageAdvice advice = {});
  ~OpenFiles();
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

  ObjectId Resolve(std::string_view name);
  // Closes, after dropping the pages if that is the advice.
  void Release(ObjectId object);
  OpenFile& Get(ObjectId object) { return table_.Get(object); }

  // Opens `file` unless it is open that way.
  core::Status Open(OpenFile& file, Way way) const;
  // Takes over `fd`, freshly opened on file.path with OpenFlags(way); closed
  // again if another thread was first, or if it is a folder. Maps the file for
  // kMapped.
  core::Status Adopt(OpenFile& file, Way way, int fd) const;

 private:
  core::Status AdoptLocked(OpenFile& file, Way way, int fd) const;

  std::string root_;
  PageAdvice advice_;
  ObjectTable<OpenFile> table_;
};

// Of open(2), for reading.
int OpenFlags(Way way);

// "open <path>: No such file or directory" and the like; where O_DIRECT was
// refused, with the file system and the remedy.
core::Status OpenError(const OpenFile& file, Way way, int os_error);
core::Status ReadError(const OpenFile& file, Way way, std::uint64_t offset,
                       int os_error);

}  // namespace stoker::storage::internal
