#include "storage/internal/file_reads.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace stoker::storage::internal {

namespace {

// Copies within this process. Unlike memcpy it returns EFAULT where an access
// would raise a signal.
ssize_t CopyWithin(std::byte* to, const std::byte* from, std::size_t bytes) {
  const iovec local{.iov_base = to, .iov_len = bytes};
  const iovec remote{.iov_base = const_cast<std::byte*>(from),
                     .iov_len = bytes};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
}

core::Status MappedError(const OpenFile& file, const OpenFile::Handle& handle,
                         std::uint64_t offset, int os_error) {
  struct stat info{};
  const int fd = handle.fd.load(std::memory_order_relaxed);
  if (os_error != EFAULT || ::fstat(fd, &info) != 0) {
    return ReadError(file, Way::kMapped, offset, os_error);
  }
  const auto now = static_cast<std::uint64_t>(info.st_size);
  if (now > offset) {
    return ReadError(file, Way::kMapped, offset, EIO);
  }
  return {core::Code::kIoError,
          fmt::format("read the mapped {} at offset {}: the file was cut from "
                      "{} to {} bytes while in use; leave the dataset alone "
                      "during a run",
                      file.path, offset, handle.size, now),
          os_error};
}

}  // namespace

core::Status ReadAll(OpenFile& file, Way way, const ReadOp& op,
                     std::uint32_t align, std::uint64_t& got) {
  const OpenFile::Handle& handle = file.handle(way);
  const int fd = handle.fd.load(std::memory_order_acquire);
  while (true) {
    const ssize_t result =
        ::pread(fd, op.buffer.data() + got, op.buffer.size() - got,
                static_cast<off_t>(op.offset + got));
    if (result < 0 && errno == EINTR) {
      continue;
    }
    if (result < 0) {
      return ReadError(file, way, op.offset + got, errno);
    }
    got += static_cast<std::uint64_t>(result);
    if (result == 0 || IsWhole(op, got, handle.size, align)) {
      return {};
    }
  }
}

core::Status CopyMapped(OpenFile& file, const ReadOp& op, std::uint64_t& got) {
  const OpenFile::Handle& handle = file.handle(Way::kMapped);
  const std::uint64_t start = std::min(op.offset, handle.size);
  const std::uint64_t wanted =
      std::min<std::uint64_t>(op.buffer.size(), handle.size - start);
  while (got < wanted) {
    const ssize_t result =
        CopyWithin(op.buffer.data() + got, handle.mapped + start + got,
                   static_cast<std::size_t>(wanted - got));
    if (result < 0 && errno == EINTR) {
      continue;
    }
    if (result <= 0) {
      return MappedError(file, handle, start + got, result < 0 ? errno : EIO);
    }
    got += static_cast<std::uint64_t>(result);
  }
  return {};
}

core::Status ProbeMappedReads() {
  const std::byte from{};
  std::byte to{};
  if (CopyWithin(&to, &from, 1) == 1) {
    return {};
  }
  return {core::Code::kUnsupported,
          "read through mappings: this kernel or container refuses "
          "process_vm_readv, which keeps a file that is cut short from ending "
          "the process; allow it, or read the files without mapping them",
          errno};
}

}  // namespace stoker::storage::internal
