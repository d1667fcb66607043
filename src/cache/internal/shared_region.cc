#include "cache/internal/shared_region.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/check.h"

namespace stoker::cache::internal {

namespace {

constexpr core::Nanos kPause = std::chrono::milliseconds(2);

core::Status RegionError(std::string_view operation, const std::string& name,
                         int error) {
  return core::Status::FromErrno(
      error,
      fmt::format("{} shared memory /dev/shm{} of a cache", operation, name));
}

// Whether the descriptor's name still leads to it.
bool IsLinked(int fd) {
  struct stat about{};
  return ::fstat(fd, &about) == 0 && about.st_nlink > 0;
}

}  // namespace

std::string SharedName(std::string_view name) {
  return fmt::format("/stoker-cache-{}-{}", name, ::getuid());
}

std::unique_ptr<SharedRegion> SharedRegion::MakePrivate(std::size_t bytes) {
  std::unique_ptr<SharedRegion> region(new SharedRegion("", -1, bytes));
  STOKER_CHECK(region->Map().ok());
  return region;
}

core::Result<std::unique_ptr<SharedRegion>> SharedRegion::Open(
    const std::string& name, std::size_t bytes, core::Clock& clock,
    core::Nanos patience) {
  while (true) {
    const int fd = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      return RegionError("open", name, errno);
    }
    std::unique_ptr<SharedRegion> region(new SharedRegion(name, fd, bytes));
    STOKER_TRY(region->Lock(clock, patience));
    struct stat about{};
    if (!IsLinked(fd) || ::fstat(fd, &about) != 0) {
      continue;  // replaced while we waited
    }
    const auto size = static_cast<std::uint64_t>(about.st_size);
    if (size != 0 && size != bytes) {
      // Those who have it mapped keep it; a shorter one would end them.
      ::shm_unlink(name.c_str());
      continue;
    }
    // Taken now: a page that is missing later is no error but a signal.
    if (const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
        error != 0) {
      if (size == 0) {
        ::shm_unlink(name.c_str());
      }
      return RegionError(fmt::format("reserve {} bytes of", bytes), name,
                         error);
    }
    STOKER_TRY(region->Map());
    return region;
  }
}

void SharedRegion::Remove(const std::string& name) {
  ::shm_unlink(name.c_str());
}

core::Status SharedRegion::Map() {
  void* const memory =
      ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
             fd_ < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd_, 0);
  if (memory == MAP_FAILED) {
    return RegionError("map", name_, errno);
  }
  memory_ = static_cast<std::byte*>(memory);
  return {};
}

SharedRegion::~SharedRegion() {
  if (memory_ != nullptr) {
    ::munmap(memory_, bytes_);
  }
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

core::Status SharedRegion::Lock(core::Clock& clock, core::Nanos patience) {
  if (fd_ < 0) {
    return {};
  }
  const core::TimePoint deadline = clock.Now() + patience;
  while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return RegionError("lock", name_, errno);
    }
    if (clock.Now() >= deadline) {
      return {core::Code::kUnavailable,
              fmt::format("lock shared memory /dev/shm{} of a cache: another "
                          "process has been setting it up for {:.0f} s",
                          name_, core::Seconds(patience))};
    }
    clock.SleepUntil(clock.Now() + kPause);
  }
  return {};
}

void SharedRegion::Unlock() {
  if (fd_ >= 0) {
    ::flock(fd_, LOCK_UN);
  }
}

}  // namespace stoker::cache::internal
