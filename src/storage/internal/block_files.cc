#include "storage/internal/block_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <string_view>
#include <utility>

#include "core/pages.h"
#include "core/units.h"
#include "storage/internal/direct_io.h"

namespace stoker::storage::internal {

namespace {

// Without rounding, as offsets need it: "1 MiB", "5242884 KiB", "77 B".
std::string Exactly(std::uint64_t bytes) {
  using Unit = std::pair<std::uint64_t, std::string_view>;
  constexpr std::array kUnits{Unit{core::kTiB, "TiB"}, Unit{core::kGiB, "GiB"},
                              Unit{core::kMiB, "MiB"}, Unit{core::kKiB, "KiB"}};
  for (const auto& [unit, name] : kUnits) {
    if (bytes != 0 && bytes % unit == 0) {
      return fmt::format("{} {}", bytes / unit, name);
    }
  }
  return fmt::format("{} B", bytes);
}

// "write 1 MiB at 5 GiB of "; what follows is the file or the device.
std::string Doing(BlockOp::Kind kind, std::uint64_t bytes,
                  std::uint64_t offset) {
  return fmt::format("{} {} at {} of ",
                     kind == BlockOp::Kind::kRead ? "read" : "write",
                     Exactly(bytes), Exactly(offset));
}

bool IsInMemory(int fd) {
  struct statfs system{};
  return ::fstatfs(fd, &system) == 0 &&
         (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

// kUnsupported unless O_DIRECT, with which `fd` is open, leads to a device and
// is content with whole pages. Since Linux 6.6 tmpfs takes it and copies.
core::Status CheckDirect(int fd, const std::string& path) {
  STOKER_ASSIGN(const DirectAlign align, AskDirectAlign(fd, "open", path));
  if (IsInMemory(fd) ||
      std::max(align.offset, align.buffer) > core::kPageBytes) {
    return DirectRefused("open", path, EINVAL);
  }
  return {};
}

int OpenRetrying(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

core::Status CheckBlockOp(const BlockOp& op, std::uint64_t device_bytes) {
  const std::uint64_t bytes = op.buffer.size();
  const std::uint64_t address = std::bit_cast<std::uintptr_t>(op.buffer.data());
  std::string_view reason;
  if ((op.offset | bytes | address) % core::kPageBytes != 0) {
    reason = "offset, size and address must be multiples of 4 KiB";
  } else if (op.offset > device_bytes || bytes > device_bytes - op.offset) {
    reason = "that reaches beyond its end";
  } else {
    return {};
  }
  return {core::Code::kInvalidArgument,
          fmt::format("{}a device of {}: {}", Doing(op.kind, bytes, op.offset),
                      Exactly(device_bytes), reason)};
}

core::Result<std::unique_ptr<BlockFiles>> BlockFiles::Open(
    std::span<const std::string> paths, std::uint64_t file_bytes) {
  if (paths.empty() || file_bytes == 0 || file_bytes % core::kPageBytes != 0) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("open {} files of {} as a block device: there must be one, "
                    "and its size a multiple of 4 KiB above 0",
                    paths.size(), Exactly(file_bytes)));
  }
  std::unique_ptr<BlockFiles> files(new BlockFiles(file_bytes));
  core::Status opened = files->OpenAll(paths, /*direct=*/true);
  if (opened.code() == core::Code::kUnsupported) {
    files->CloseAll();
    opened = files->OpenAll(paths, /*direct=*/false);
  }
  STOKER_TRY(opened);
  return files;
}

BlockFiles::~BlockFiles() { CloseAll(); }

void BlockFiles::CloseAll() {
  for (const File& file : files_) {
    ::close(file.fd);
  }
  files_.clear();
}

core::Status BlockFiles::OpenAll(std::span<const std::string> paths,
                                 bool direct) {
  direct_ = direct;
  size_ = 0;
  files_.reserve(paths.size());
  for (const std::string& path : paths) {
    const int fd =
        OpenRetrying(path, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (fd < 0) {
      return direct && errno == EINVAL
                 ? DirectRefused("open", path, EINVAL)
                 : core::Status::FromErrno(errno, "open " + path);
    }
    files_.push_back({.path = path, .fd = fd});
    if (direct) {
      STOKER_TRY(CheckDirect(fd, path));
    } else {
      // A hint: what lies behind a block is no likelier to be read next.
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    }
    STOKER_TRY(AddSize(files_.back()));
  }
  return {};
}

// Asks by seeking, which measures block devices as well.
core::Status BlockFiles::AddSize(const File& file) {
  const off_t end = ::lseek(file.fd, 0, SEEK_END);
  if (end < 0) {
    return core::Status::FromErrno(errno, "measure " + file.path);
  }
  const auto bytes = static_cast<std::uint64_t>(end);
  const bool fits =
      bytes > 0 && bytes <= file_bytes_ && bytes % core::kPageBytes == 0;
  if (!fits) {
    return {core::Code::kInvalidArgument,
            fmt::format("open {}: it has {}, where {} are expected, or less in "
                        "whole blocks of 4 KiB",
                        file.path, Exactly(bytes), Exactly(file_bytes_))};
  }
  size_ = (files_.size() - 1) * file_bytes_ + bytes;
  return {};
}

BlockPiece BlockFiles::PieceOf(const BlockOp& op, std::uint64_t got) const {
  const std::uint64_t at = op.offset + got;
  const auto file = static_cast<std::size_t>(at / file_bytes_);
  const std::uint64_t offset = at % file_bytes_;
  const std::uint64_t bytes =
      std::min(op.buffer.size() - got, file_bytes_ - offset);
  return {.file = file,
          .fd = files_[file].fd,
          .offset = offset,
          .buffer = op.buffer.subspan(got, bytes)};
}

std::optional<core::Status> BlockFiles::Advance(const BlockOp& op,
                                                std::uint64_t& got,
                                                std::int64_t result) const {
  if (result == -EINTR || result == -EAGAIN) {
    return std::nullopt;
  }
  const BlockPiece piece = PieceOf(op, got);
  if (result < 0) {
    return Failed(op, piece, static_cast<int>(-result));
  }
  // Past the page cache the next piece must begin with a page again, and what
  // is done of one is done anew.
  const auto bytes = static_cast<std::uint64_t>(result);
  const std::uint64_t step = direct_ ? core::PagesDown(bytes) : bytes;
  if (step == 0) {
    return Stopped(op, piece);
  }
  got += step;
  return got < op.buffer.size() ? std::nullopt
                                : std::optional<core::Status>(core::Status());
}

core::Status BlockFiles::Failed(const BlockOp& op, const BlockPiece& piece,
                                int os_error) const {
  return core::Status::FromErrno(
      os_error, Doing(op.kind, piece.buffer.size(), piece.offset) +
                    files_[piece.file].path);
}

// Where the kernel gives up without an error.
core::Status BlockFiles::Stopped(const BlockOp& op,
                                 const BlockPiece& piece) const {
  struct stat info{};
  const bool is_cut = op.kind == BlockOp::Kind::kRead &&
                      ::fstat(piece.fd, &info) == 0 && S_ISREG(info.st_mode) &&
                      static_cast<std::uint64_t>(info.st_size) <
                          piece.offset + piece.buffer.size();
  return {core::Code::kIoError,
          Doing(op.kind, piece.buffer.size(), piece.offset) +
              files_[piece.file].path +
              (is_cut ? fmt::format(
                            ": the file was cut to {} while in use",
                            Exactly(static_cast<std::uint64_t>(info.st_size)))
                      : ": the kernel gave up without saying why"),
          EIO};
}

core::Status BlockFiles::Flush() const {
  for (const File& file : files_) {
    int result = 0;
    do {
      result = ::fdatasync(file.fd);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
      return core::Status::FromErrno(errno, "flush " + file.path);
    }
  }
  return {};
}

}  // namespace stoker::storage::internal
