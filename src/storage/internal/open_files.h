#pragma once

// Descriptors of the files under a root folder, by ObjectId.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "core/status.h"
#include "storage/internal/object_table.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// One resolved file. `size` is valid once `fd` is not negative.
struct OpenFile {
  std::string path;
  std::atomic<int> fd{-1};
  std::uint64_t size = 0;  // bytes, when it was opened
  std::mutex opening;      // guards the change of fd from closed to open
};

// Safe for concurrent use.
class OpenFiles {
 public:
  // Empty for the file system's root, else without a slash at the end.
  explicit OpenFiles(std::string root);
  ~OpenFiles();
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

  ObjectId Resolve(std::string_view name);
  void Release(ObjectId object);  // closes
  OpenFile& Get(ObjectId object) { return table_.Get(object); }

  // Opens `file` unless it is open.
  static core::Status Open(OpenFile& file);
  // Takes over `fd`, freshly opened on file.path; closed again if another
  // thread was first, or if it is a folder.
  static core::Status Adopt(OpenFile& file, int fd);

 private:
  std::string root_;
  ObjectTable<OpenFile> table_;
};

// "open <path>: No such file or directory" and the like.
core::Status OpenError(const OpenFile& file, int os_error);
core::Status ReadError(const OpenFile& file, std::uint64_t offset,
                       int os_error);

}  // namespace stoker::storage::internal
