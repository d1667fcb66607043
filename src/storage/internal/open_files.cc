#include "storage/internal/open_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/random.h"
#include "storage/internal/direct_io.h"

namespace stoker::storage::internal {

namespace {

void Close(OpenFile& file) {
  for (OpenFile::Handle& handle : file.handles) {
    const int fd = handle.fd.exchange(-1);
    if (fd < 0) {
      continue;
    }
    if (const std::byte* const mapped = std::exchange(handle.mapped, nullptr);
        mapped != nullptr) {
      ::munmap(const_cast<std::byte*>(mapped), handle.size);
    }
    ::close(fd);
  }
}

// Returns 0 or errno.
int Map(OpenFile::Handle& handle, int fd) {
  if (handle.size == 0) {
    return 0;
  }
  void* const start =
      ::mmap(nullptr, handle.size, PROT_READ, MAP_SHARED, fd, 0);
  if (start == MAP_FAILED) {
    return errno;
  }
  handle.mapped = static_cast<const std::byte*>(start);
  return 0;
}

// Hints: where a file system has no use for one, nothing is lost.
void Advise(const PageAdvice& advice, const OpenFile::Handle& handle, int fd) {
  using Order = PageAdvice::Order;
  if (advice.order != Order::kNormal) {
    const bool random = advice.order == Order::kRandom;
    ::posix_fadvise(fd, 0, 0,
                    random ? POSIX_FADV_RANDOM : POSIX_FADV_SEQUENTIAL);
    if (handle.mapped != nullptr) {
      ::madvise(const_cast<std::byte*>(handle.mapped), handle.size,
                random ? MADV_RANDOM : MADV_SEQUENTIAL);
    }
  }
  if (advice.read_once) {
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_NOREUSE);
  }
}

// What is mapped cannot be dropped.
void DropPages(OpenFile& file) {
  OpenFile::Handle& mapping = file.handle(Way::kMapped);
  if (mapping.mapped != nullptr) {
    ::munmap(const_cast<std::byte*>(std::exchange(mapping.mapped, nullptr)),
             mapping.size);
  }
  for (const Way way : {Way::kBuffered, Way::kMapped}) {
    if (const int fd = file.handle(way).fd.load(); fd >= 0) {
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      return;  // of the file, whichever way they came
    }
  }
}

std::string_view OpenVerb(Way way) {
  return way == Way::kMapped ? "open and map" : "open";
}

}  // namespace

OpenFiles::OpenFiles(std::string root, PageAdvice advice)
    : root_(std::move(root)), advice_(advice) {}

OpenFiles::~OpenFiles() { table_.ForEach(Close); }

ObjectId OpenFiles::Resolve(std::string_view name) {
  return table_.Take([this, name](OpenFile& file) {
    file.path.assign(root_).append("/").append(name);
  });
}

void OpenFiles::Release(ObjectId object) {
  if (advice_.drop) {
    DropPages(Get(object));
  }
  table_.Give(object, Close);
}

// `file.opening` is held. Owns `fd`.
core::Status OpenFiles::AdoptLocked(OpenFile& file, Way way, int fd) const {
  struct stat info{};
  int failure = ::fstat(fd, &info) == 0 ? 0 : errno;
  if (failure == 0 && S_ISDIR(info.st_mode)) {
    failure = EISDIR;
  }
  OpenFile::Handle& handle = file.handle(way);
  if (failure == 0) {
    handle.size = static_cast<std::uint64_t>(info.st_size);
    handle.version = core::StreamKey(info.st_ino, info.st_size,
                                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    failure = way == Way::kMapped ? Map(handle, fd) : 0;
  }
  if (failure != 0) {
    ::close(fd);
    return OpenError(file, way, failure);
  }
  if (way != Way::kDirect) {
    Advise(advice_, handle, fd);
  }
  handle.fd.store(fd, std::memory_order_release);
  return {};
}

core::Status OpenFiles::Open(OpenFile& file, Way way) const {
  const std::atomic<int>& open = file.handle(way).fd;
  if (open.load(std::memory_order_acquire) >= 0) {
    return {};
  }
  const std::scoped_lock lock(file.opening);
  if (open.load(std::memory_order_relaxed) >= 0) {
    return {};
  }
  int fd = -1;
  do {
    fd = ::open(file.path.c_str(), OpenFlags(way));
  } while (fd < 0 && errno == EINTR);
  return fd < 0 ? OpenError(file, way, errno) : AdoptLocked(file, way, fd);
}

core::Status OpenFiles::Adopt(OpenFile& file, Way way, int fd) const {
  const std::scoped_lock lock(file.opening);
  if (file.handle(way).fd.load(std::memory_order_relaxed) >= 0) {
    ::close(fd);
    return {};
  }
  return AdoptLocked(file, way, fd);
}

int OpenFlags(Way way) {
  return O_RDONLY | O_CLOEXEC | (way == Way::kDirect ? O_DIRECT : 0);
}

core::Status OpenError(const OpenFile& file, Way way, int os_error) {
  if (way == Way::kDirect && os_error == EINVAL) {
    return DirectRefused("open", file.path, os_error);
  }
  return core::Status::FromErrno(
      os_error, fmt::format("{} {}", OpenVerb(way), file.path));
}

core::Status ReadError(const OpenFile& file, Way way, std::uint64_t offset,
                       int os_error) {
  if (way == Way::kDirect && os_error == EINVAL) {
    return DirectRefused(fmt::format("read at offset {} of", offset), file.path,
                         os_error);
  }
  return core::Status::FromErrno(
      os_error, fmt::format("read {} at offset {}", file.path, offset));
}

}  // namespace stoker::storage::internal
