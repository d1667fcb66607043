#include "storage/internal/open_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace stoker::storage::internal {

namespace {

void Close(OpenFile& file) {
  if (const int fd = file.fd.exchange(-1); fd >= 0) {
    ::close(fd);
  }
}

// `file.opening` is held. Owns `fd`.
core::Status AdoptLocked(OpenFile& file, int fd) {
  struct stat info{};
  int failure = ::fstat(fd, &info) == 0 ? 0 : errno;
  if (failure == 0 && S_ISDIR(info.st_mode)) {
    failure = EISDIR;
  }
  if (failure != 0) {
    ::close(fd);
    return OpenError(file, failure);
  }
  file.size = static_cast<std::uint64_t>(info.st_size);
  file.fd.store(fd, std::memory_order_release);
  return {};
}

}  // namespace

OpenFiles::OpenFiles(std::string root) : root_(std::move(root)) {}

OpenFiles::~OpenFiles() { table_.ForEach(Close); }

ObjectId OpenFiles::Resolve(std::string_view name) {
  return table_.Take([this, name](OpenFile& file) {
    file.path.assign(root_).append("/").append(name);
  });
}

void OpenFiles::Release(ObjectId object) { table_.Give(object, Close); }

core::Status OpenFiles::Open(OpenFile& file) {
  if (file.fd.load(std::memory_order_acquire) >= 0) {
    return {};
  }
  const std::scoped_lock lock(file.opening);
  if (file.fd.load(std::memory_order_relaxed) >= 0) {
    return {};
  }
  int fd = -1;
  do {
    fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  return fd < 0 ? OpenError(file, errno) : AdoptLocked(file, fd);
}

core::Status OpenFiles::Adopt(OpenFile& file, int fd) {
  const std::scoped_lock lock(file.opening);
  if (file.fd.load(std::memory_order_relaxed) >= 0) {
    ::close(fd);
    return {};
  }
  return AdoptLocked(file, fd);
}

core::Status OpenError(const OpenFile& file, int os_error) {
  return core::Status::FromErrno(os_error, "open " + file.path);
}

core::Status ReadError(const OpenFile& file, std::uint64_t offset,
                       int os_error) {
  return core::Status::FromErrno(
      os_error, fmt::format("read {} at offset {}", file.path, offset));
}

}  // namespace stoker::storage::internal
