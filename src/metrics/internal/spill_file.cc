#include "metrics/internal/spill_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace stoker::metrics {

core::Result<SpillFile> SpillFile::Make(const std::string& folder) {
  std::string name = folder + "/.stoker-steps-XXXXXX";
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) {
    return core::Status::FromErrno(
        errno,
        fmt::format("cannot make a file for step records in {}", folder));
  }
  ::unlink(name.c_str());
  return SpillFile(fd, folder);
}

SpillFile::SpillFile(int fd, std::string folder)
    : fd_(fd), folder_(std::move(folder)) {}

SpillFile::~SpillFile() {
  if (fd_ >= 0) ::close(fd_);
}

SpillFile::SpillFile(SpillFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      folder_(std::move(other.folder_)) {}

SpillFile& SpillFile::operator=(SpillFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(folder_, other.folder_);
  return *this;
}

core::Result<std::uint64_t> SpillFile::Append(
    std::span<const std::byte> bytes) {
  const std::uint64_t offset = size_;
  while (!bytes.empty()) {
    const ::ssize_t written =
        ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<::off_t>(size_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      size_ = offset;
      return core::Status::FromErrno(
          error,
          fmt::format("cannot write step records to {}; is it full?", folder_));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    size_ += static_cast<std::uint64_t>(written);
  }
  return offset;
}

core::Result<std::vector<std::byte>> SpillFile::Read(std::uint64_t offset,
                                                     std::uint64_t size) const {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ::ssize_t got = ::pread(fd_, bytes.data() + have, bytes.size() - have,
                                  static_cast<::off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return core::Status::FromErrno(
          errno, fmt::format("cannot read step records back from {}", folder_));
    }
    if (got == 0) {
      return core::Status(
          core::Code::kCorruption,
          fmt::format("step records in {} end at byte {}, {} were written",
                      folder_, offset + have, offset + size));
    }
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace stoker::metrics
