#include "storage/internal/model_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

namespace stoker::storage::internal {

// What a segment begins with; the slots follow. A fresh one is all zeros.
struct ModelSegment::Layout {
  std::uint64_t format = 0;  // last to be written
  ModelCaps caps{};
  ModelTimes times{};
};

namespace {

constexpr std::uint64_t kSegmentFormat = 0x53746F6B6D6F6401;  // version 1
constexpr std::string_view kSegmentFolder = "/dev/shm";

core::Status SegmentError(std::string_view operation, std::string_view file) {
  return core::Status::FromErrno(
      errno, fmt::format("{} shared memory {}{} of a simulated store",
                         operation, kSegmentFolder, file));
}

int HoldSegment(int fd, int operation) {
  int result = 0;
  do {
    result = ::flock(fd, operation);
  } while (result != 0 && errno == EINTR);
  return result;
}

bool IsLinked(int fd) {
  struct stat about{};
  return ::fstat(fd, &about) == 0 && about.st_nlink > 0;
}

// Takes the segment away if nobody else holds it. `fd` loses its lock.
void RemoveIfUnused(const std::string& file, int fd) {
  if (HoldSegment(fd, LOCK_EX | LOCK_NB) == 0 && IsLinked(fd)) {
    ::shm_unlink(file.c_str());
  }
}

// Excludes others who have the segment open while one of them sets it up; of
// another kind than flock, so that both can be held.
class SetUpLock {
 public:
  explicit SetUpLock(int fd) : fd_(fd) {}
  ~SetUpLock() { Set(F_UNLCK); }
  SetUpLock(const SetUpLock&) = delete;
  SetUpLock& operator=(const SetUpLock&) = delete;
  bool Take() { return Set(F_WRLCK) == 0; }

 private:
  int Set(int type) {
    struct flock range{};
    range.l_type = static_cast<decltype(range.l_type)>(type);
    range.l_whence = SEEK_SET;
    range.l_len = 1;
    int result = 0;
    do {
      result = ::fcntl(fd_, F_OFD_SETLKW, &range);
    } while (result != 0 && errno == EINTR);
    return result;
  }

  int fd_;
};

// Who opened `fd` closes it, unless it is released.
class OpenedSegment {
 public:
  explicit OpenedSegment(int fd) : fd_(fd) {}
  ~OpenedSegment() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  OpenedSegment(const OpenedSegment&) = delete;
  OpenedSegment& operator=(const OpenedSegment&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Open, with the shared lock. Another may remove the file before we have the
// lock: then there is a new one to be made.
core::Result<int> OpenAndHold(const std::string& file) {
  while (true) {
    OpenedSegment segment(
        ::shm_open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (segment.get() < 0) {
      return SegmentError("open", file);
    }
    if (HoldSegment(segment.get(), LOCK_SH) != 0) {
      return SegmentError("lock", file);
    }
    if (IsLinked(segment.get())) {
      return segment.Release();
    }
  }
}

// The size in bytes of a segment that has been set up, 0 of any other.
core::Result<std::uint64_t> ReadySize(const std::string& file, int fd) {
  std::uint64_t format = 0;
  struct stat about{};
  if (::fstat(fd, &about) != 0) {
    return SegmentError("examine", file);
  }
  const bool ready =
      ::pread(fd, &format, sizeof(format), 0) == sizeof(format) &&
      format == kSegmentFormat;
  return ready ? static_cast<std::uint64_t>(about.st_size) : 0;
}

core::Status OtherCaps(const std::string& file) {
  return {core::Code::kInvalidArgument,
          fmt::format("simulated store: another process of the run opened it "
                      "with other limits ({}{}); remedy: the same storage URI "
                      "on every rank",
                      kSegmentFolder, file)};
}

}  // namespace

core::Result<std::unique_ptr<ModelSegment>> ModelSegment::Open(
    std::string_view name, const ModelCaps& caps) {
  SweepModelSegments();
  const std::string file = fmt::format("/{}{}", kSegmentPrefix, name);
  STOKER_ASSIGN(const int fd, OpenAndHold(file));
  OpenedSegment opened(fd);
  const std::size_t bytes =
      sizeof(Layout) + caps.concurrency * sizeof(ModelSlot);
  SetUpLock lock(fd);
  if (!lock.Take()) {
    return SegmentError("lock", file);
  }
  STOKER_ASSIGN(const std::uint64_t ready, ReadySize(file, fd));
  if (ready != 0 && ready != bytes) {
    return OtherCaps(file);
  }
  if (ready == 0) {
    // Taken now: a page that is missing later is no error but a signal.
    if (::ftruncate(fd, 0) != 0) {
      return SegmentError("empty", file);
    }
    if (const int failure = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
        failure != 0) {
      errno = failure;
      return SegmentError("allocate", file);
    }
  }
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    return SegmentError("map", file);
  }
  std::unique_ptr<ModelSegment> segment(
      new ModelSegment(file, opened.Release(), memory, bytes));
  if (ready == 0) {
    segment->layout().caps = caps;
    std::atomic_ref(segment->layout().format)
        .store(kSegmentFormat, std::memory_order_release);
  } else if (segment->layout().caps != caps) {
    return OtherCaps(file);
  }
  return segment;
}

ModelSegment::ModelSegment(std::string file, int fd, void* memory,
                           std::size_t bytes)
    : file_(std::move(file)), fd_(fd), memory_(memory), bytes_(bytes) {}

ModelSegment::~ModelSegment() {
  ::munmap(memory_, bytes_);
  RemoveIfUnused(file_, fd_);
  ::close(fd_);
}

ModelSegment::Layout& ModelSegment::layout() {
  return *static_cast<Layout*>(memory_);
}

ModelTimes& ModelSegment::times() { return layout().times; }

std::span<ModelSlot> ModelSegment::slots() {
  auto* const first = reinterpret_cast<ModelSlot*>(
      static_cast<std::byte*>(memory_) + sizeof(Layout));
  return {first, layout().caps.concurrency};
}

void SweepModelSegments() {
  std::error_code failed;
  for (std::filesystem::directory_iterator at(kSegmentFolder, failed), end;
       !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kSegmentPrefix)) {
      continue;
    }
    const std::string file = "/" + name;
    // Another user's is none of our business.
    const OpenedSegment segment(
        ::shm_open(file.c_str(), O_RDWR | O_CLOEXEC, 0));
    if (segment.get() >= 0) {
      RemoveIfUnused(file, segment.get());
    }
  }
}

}  // namespace stoker::storage::internal
