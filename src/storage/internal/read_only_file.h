#pragma once

// An open file, closed at the end, for questions about it.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "core/status.h"

namespace stoker::storage::internal {

class ReadOnlyFile {
 public:
  // Errors as open(2) and fstat(2).
  static core::Result<ReadOnlyFile> Open(const std::string& path) {
    ReadOnlyFile file;
    do {
      file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    } while (file.fd_ < 0 && errno == EINTR);
    struct stat info{};
    if (file.fd_ < 0 || ::fstat(file.fd_, &info) != 0) {
      return core::Status::FromErrno(errno, "open " + path);
    }
    file.size_ = static_cast<std::uint64_t>(info.st_size);
    return file;
  }
  ReadOnlyFile(ReadOnlyFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  ReadOnlyFile& operator=(ReadOnlyFile&&) = delete;
  ReadOnlyFile(const ReadOnlyFile&) = delete;
  ReadOnlyFile& operator=(const ReadOnlyFile&) = delete;
  ~ReadOnlyFile() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  int fd() const { return fd_; }
  std::uint64_t size() const { return size_; }  // bytes, when it was opened

 private:
  ReadOnlyFile() = default;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace stoker::storage::internal
