#pragma once

// Folders and temporary names under a root folder.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/status.h"

namespace stoker::storage::internal {

// Names for objects that are not whole yet:
// "<folder>/.<file>.stoker-<host>-<process>-<number>", so that no pattern on a
// suffix takes them for data. Safe for concurrent use.
class TempNames {
 public:
  std::string For(std::string_view path);

 private:
  std::atomic<std::uint64_t> next_{0};
};

// Whether a file's own name (no folder) is one of TempNames.
bool IsTempName(std::string_view file_name);

// Whoever made a temporary name, by that name. The views point into it.
struct TempOwner {
  std::string_view file;   // own name of the object it was to become
  std::string_view where;  // within it process numbers are unique
  std::int64_t process = 0;
};
// Nothing if the form is another.
std::optional<TempOwner> ParseTempName(std::string_view file_name);
// Of this process: a checksum of the kernel's boot and the process number
// space (container), 8 hex digits.
const std::string& TempWhere();
// Whether the process is gone; nothing if it is not of this host's.
std::optional<bool> HasEnded(const TempOwner& owner);

// "a/b" of "a/b/c"; "" of "c"; "/" of "/c".
std::string_view FolderOf(std::string_view path);
// Makes the folder and all missing ones above it.
core::Status MakeFolder(std::string_view path);
// `path`, or the nearest folder above it that exists.
std::string NearestExisting(std::string_view path);
// Makes the entries of a folder durable.
core::Status SyncFolder(const std::string& path);
// Free space for unprivileged users in the file system of `path`, bytes.
core::Result<std::uint64_t> FreeBytesAt(const std::string& path);
// Free inodes there; UINT64_MAX where the file system does not count them.
core::Result<std::uint64_t> FreeInodesAt(const std::string& path);
// The file system of `path`, for messages: "tmpfs on /dev/shm".
std::string FileSystemOf(std::string_view path);

}  // namespace stoker::storage::internal
