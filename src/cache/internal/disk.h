#pragma once

// The few file operations a cache's folder is built of: a seam, so that tests
// can put a disk below it that loses its power.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"

namespace stoker::cache::internal {

enum class DiskLock : std::uint8_t { kShared, kExclusive };

// An open file. Safe for concurrent use, but for the lock. Closes with its
// destructor. All errors are those of errno and name operation and path.
class DiskFile {
 public:
  DiskFile() = default;
  virtual ~DiskFile() = default;
  DiskFile(const DiskFile&) = delete;
  DiskFile& operator=(const DiskFile&) = delete;

  virtual core::Result<std::uint64_t> Size() const = 0;  // bytes
  // Bytes of the device that are the file's, with what the file system needs to
  // find them.
  virtual core::Result<std::uint64_t> ReservedBytes() const = 0;
  // How many bytes were read: fewer than out.size() only at the file's end.
  virtual core::Result<std::size_t> ReadAt(std::uint64_t offset,
                                           std::span<std::byte> out) const = 0;
  // All of them, or an error. Not flushed.
  virtual core::Status WriteAt(std::uint64_t offset,
                               std::span<const std::byte> bytes) = 0;
  // Makes the file `bytes` long, with space of its own for each of them, which
  // reads as zeros until written. kUnsupported: the file system does not
  // reserve space.
  virtual core::Status Allocate(std::uint64_t bytes) = 0;
  // Content and size are on stable storage. The name is its folder's matter.
  virtual core::Status Flush() = 0;
  // The lock belongs to this opening of the file, not to the process; it goes
  // with the file's closing, also by the end of the process. False: others
  // hold one that excludes it.
  virtual core::Result<bool> TryLock(DiskLock kind) = 0;
  // Whether the file still has a name.
  virtual core::Result<bool> Linked() const = 0;
};

enum class DiskOpen : std::uint8_t {
  kRead,
  kReadWrite,
  kCreate,  // kReadWrite, and made if missing
};

// Safe for concurrent use; outlives its files. Errors as DiskFile's.
class Disk {
 public:
  Disk() = default;
  virtual ~Disk() = default;
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  virtual core::Result<std::unique_ptr<DiskFile>> Open(const std::string& path,
                                                       DiskOpen how) = 0;
  virtual core::Status Rename(const std::string& from,
                              const std::string& to) = 0;
  virtual core::Status Remove(const std::string& path) = 0;
  // Names in a folder, in any order.
  virtual core::Result<std::vector<std::string>> List(
      const std::string& folder) = 0;
  // False: there was one already. Folders above are not made.
  virtual core::Result<bool> MakeFolder(const std::string& path) = 0;
  // False: it is not empty.
  virtual core::Result<bool> RemoveFolder(const std::string& path) = 0;
  // What was made, renamed and removed in the folder is on stable storage.
  virtual core::Status FlushFolder(const std::string& path) = 0;
  // Bytes that files in the folder can still take.
  virtual core::Result<std::uint64_t> FreeBytes(const std::string& folder) = 0;
};

}  // namespace stoker::cache::internal
