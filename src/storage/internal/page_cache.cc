#include "storage/internal/page_cache.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <vector>

#include "storage/internal/read_only_file.h"

namespace stoker::storage::internal {

namespace {

// Of linux/mman.h; headers older than Linux 6.5 have none of it. All
// architectures share the number.
constexpr long kCachestat = 451;  // NOLINT(google-runtime-int): syscall(2)
struct CachestatRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // 0: to the end of the file
};
struct Cachestat {  // pages
  std::uint64_t cached = 0;
  std::uint64_t dirty = 0;
  std::uint64_t in_write_back = 0;
  std::uint64_t evicted = 0;
  std::uint64_t recently_evicted = 0;
};

std::uint64_t PageBytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// The last page may reach behind the end of the file.
std::uint64_t BytesOf(std::uint64_t pages, const ReadOnlyFile& file) {
  return std::min(pages * PageBytes(), file.size());
}

std::optional<std::uint64_t> AskCachestat(const ReadOnlyFile& file) {
  struct statfs system{};
  // The pages of a file in an overlay belong to the file below it.
  if (::fstatfs(file.fd(), &system) != 0 ||
      system.f_type == OVERLAYFS_SUPER_MAGIC) {
    return std::nullopt;
  }
  CachestatRange whole;
  Cachestat answer;
  if (::syscall(kCachestat, file.fd(), &whole, &answer, 0U) != 0) {
    return std::nullopt;
  }
  return BytesOf(answer.cached, file);
}

// To others mincore(2) says that all is resident.
bool MayWrite(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

// Cached pages of [offset, offset + bytes); `resident` has room for each.
// Nothing where the file system has no mappings.
std::optional<std::uint64_t> CountResident(
    const ReadOnlyFile& file, std::uint64_t offset, std::size_t bytes,
    std::vector<unsigned char>& resident) {
  void* const start = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.fd(),
                             static_cast<off_t>(offset));
  if (start == MAP_FAILED) {
    return std::nullopt;
  }
  const bool told = ::mincore(start, bytes, resident.data()) == 0;
  ::munmap(start, bytes);
  if (!told) {
    return std::nullopt;
  }
  const std::size_t pages = (bytes + PageBytes() - 1) / PageBytes();
  return static_cast<std::uint64_t>(std::count_if(
      resident.begin(), resident.begin() + static_cast<std::ptrdiff_t>(pages),
      [](unsigned char page) { return (page & 1U) != 0; }));
}

std::optional<std::uint64_t> AskMincore(const ReadOnlyFile& file,
                                        const std::string& path) {
  if (!MayWrite(path)) {
    return std::nullopt;
  }
  constexpr std::uint64_t kWindow = 1U << 30;  // bytes mapped at once
  std::vector<unsigned char> resident(
      (std::min(kWindow, file.size()) + PageBytes() - 1) / PageBytes());
  std::uint64_t pages = 0;
  for (std::uint64_t at = 0; at < file.size(); at += kWindow) {
    const auto count =
        CountResident(file, at, std::min(kWindow, file.size() - at), resident);
    if (!count.has_value()) {
      return std::nullopt;
    }
    pages += *count;
  }
  return BytesOf(pages, file);
}

}  // namespace

core::Result<std::optional<std::uint64_t>> CachedBytesOf(
    const std::string& path) {
  STOKER_ASSIGN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  if (const auto bytes = AskCachestat(file)) {
    return bytes;
  }
  return AskMincore(file, path);
}

core::Result<std::optional<std::uint64_t>> CachedBytesByMincore(
    const std::string& path) {
  STOKER_ASSIGN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  return AskMincore(file, path);
}

core::Status ForgetFile(const std::string& path) {
  STOKER_ASSIGN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  // Some file systems cannot sync, which leaves nothing to write back.
  if (::fdatasync(file.fd()) != 0 && errno != EINVAL) {
    return core::Status::FromErrno(errno, "write back " + path);
  }
  const int failure = ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
  if (failure != 0 && failure != EINVAL && failure != ENOSYS) {
    return core::Status::FromErrno(failure, "drop from the page cache " + path);
  }
  return {};
}

}  // namespace stoker::storage::internal
