#include "storage/internal/direct_io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

#include "storage/internal/file_paths.h"

namespace stoker::storage::internal {

namespace {

// A descriptor, closed at the end.
class Opened {
 public:
  explicit Opened(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT)) {}
  ~Opened() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

core::Result<DirectAlign> AskDirectAlign(const std::string& path) {
  const Opened file(path);
  if (file.fd() >= 0) {
    return AskDirectAlign(file.fd(), "read", path);
  }
  if (errno == EINVAL) {
    return DirectRefused("open", path, EINVAL);
  }
  return DirectAlign{};
}

core::Result<DirectAlign> AskDirectAlign(
    [[maybe_unused]] int fd, [[maybe_unused]] std::string_view doing,
    [[maybe_unused]] const std::string& path) {
  DirectAlign align;
#ifdef STATX_DIOALIGN
  struct statx info{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0 ||
      (info.stx_mask & STATX_DIOALIGN) == 0) {
    return align;
  }
  if (info.stx_dio_offset_align == 0) {
    return DirectRefused(doing, path, EINVAL);
  }
  if (std::has_single_bit(info.stx_dio_offset_align) &&
      std::has_single_bit(info.stx_dio_mem_align)) {
    align = {.offset = info.stx_dio_offset_align,
             .buffer = info.stx_dio_mem_align};
  }
#endif
  return align;
}

core::Status DirectRefused(std::string_view doing, const std::string& path,
                           int os_error) {
  return {core::Code::kUnsupported,
          fmt::format("{} {} past the page cache: the file system {} refuses "
                      "O_DIRECT there; go through the page cache (file:// and "
                      "no direct access), or put the data on another file "
                      "system",
                      doing, path, FileSystemOf(path)),
          os_error};
}

}  // namespace stoker::storage::internal
