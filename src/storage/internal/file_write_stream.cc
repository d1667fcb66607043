#include "storage/internal/file_write_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "storage/internal/direct_io.h"

namespace stoker::storage::internal {

namespace {

constexpr std::uint64_t kMemoryAlign = 4096;  // of a part's memory
constexpr mode_t kMode = 0666;                // the process mask applies
// Left to itself the kernel begins to write back when a good part of the memory
// is dirty, and a smaller object waits as a whole for its fsync.
constexpr std::uint64_t kWriteBack = 8U << 20;

std::string_view WriteRemedy(int os_error) {
  switch (os_error) {
    case ENOSPC:
      return "free space there, choose another folder, or write less";
    case EDQUOT:
      return "raise the quota, choose another folder, or write less";
    case EFBIG:
      return "raise the file size limit (ulimit -f), or use a file system "
             "with larger files";
    default:
      return "";
  }
}

// Folders made on the way are durable only once their parents are synced.
core::Status SyncFolders(const std::string& path, bool all) {
  std::string_view folder = FolderOf(path);
  STOKER_TRY(SyncFolder(std::string(folder.empty() ? "." : folder)));
  while (all && !folder.empty() && folder != "/") {
    folder = FolderOf(folder);
    STOKER_TRY(SyncFolder(std::string(folder.empty() ? "." : folder)));
  }
  return {};
}

}  // namespace

core::Result<std::unique_ptr<WriteStream>> FileWriteStream::Make(
    std::string path, FileWriting& writing, const WriteOptions& options,
    core::Clock& clock) {
  std::unique_ptr<FileWriteStream> stream(
      new FileWriteStream(std::move(path), writing, options, clock));
  STOKER_TRY(stream->Open(writing.temp_names));
  return std::unique_ptr<WriteStream>(std::move(stream));
}

FileWriteStream::FileWriteStream(std::string path, const FileWriting& writing,
                                 const WriteOptions& options,
                                 core::Clock& clock)
    : WriteStream(options, clock),
      path_(std::move(path)),
      threads_(writing.threads),
      direct_(writing.direct),
      parts_(writing.parts),
      memory_(writing.parts) {}

FileWriteStream::~FileWriteStream() {
  sender_.reset();
  static_cast<void>(CloseAll());
  if (!committed_ && !written_.empty()) {
    ::unlink(written_.c_str());
  }
}

core::Status FileWriteStream::Open(TempNames& temp_names) {
  int failure = TryOpen(temp_names);
  if (failure == ENOENT) {
    STOKER_TRY(MakeFolder(FolderOf(path_)));
    made_folders_ = true;
    failure = TryOpen(temp_names);
  }
  if (failure != 0) {
    return core::Status::FromErrno(failure, "create " + path_);
  }
  return direct_ ? OpenDirect() : core::Status{};
}

// A second descriptor, as parts of both kinds may be on their way at once.
core::Status FileWriteStream::OpenDirect() {
  do {
    direct_fd_ = ::open(written_.c_str(), O_WRONLY | O_CLOEXEC | O_DIRECT);
  } while (direct_fd_ < 0 && errno == EINTR);
  if (direct_fd_ < 0) {
    return errno == EINVAL ? DirectRefused("create", path_, EINVAL)
                           : core::Status::FromErrno(errno, "create " + path_);
  }
  STOKER_ASSIGN(const DirectAlign align,
                AskDirectAlign(direct_fd_, "write", written_));
  // Whole pages: the page cache then holds none of what goes past it.
  block_ = std::max({kMemoryAlign, std::uint64_t{align.offset},
                     static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))});
  return {};
}

// Returns 0 or errno.
int FileWriteStream::TryOpen(TempNames& temp_names) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC;
  while (true) {
    const bool in_place = options().in_place;
    std::string name = in_place ? path_ : temp_names.For(path_);
    fd_ = ::open(name.c_str(), kFlags | (in_place ? O_TRUNC : O_EXCL), kMode);
    if (fd_ >= 0) {
      written_ = std::move(name);
      return 0;
    }
    // Another process's temporary name: the next number is free.
    const bool taken = errno == EEXIST && !in_place;
    if (!taken && errno != EINTR) {
      return errno;
    }
  }
}

core::Result<std::span<std::byte>> FileWriteStream::DoBuffer(
    std::uint64_t offset) {
  const std::size_t part_size = PartSize(options(), IsKeptBack(offset));
  const std::uint64_t expected = options().expected_size;
  const bool is_only = expected != 0 && expected <= part_size;
  if (options().in_flight == 0 || IsKeptBack(offset) || is_only) {
    return memory_.For(options(), IsKeptBack(offset));
  }
  if (!sender_.has_value()) {
    const PartSender::Setup setup{.parts = options().in_flight + 1,
                                  .part_size = part_size,
                                  .threads = threads_};
    sender_.emplace(setup, parts_, clock(),
                    [this](std::uint64_t at, std::span<const std::byte> one) {
                      return WritePart(at, one);
                    });
  }
  return sender_->Take();
}

core::Status FileWriteStream::DoSend(std::uint64_t offset,
                                     std::span<const std::byte> part) {
  return sender_.has_value() ? sender_->Send(offset, part)
                             : WritePart(offset, part);
}

core::Status FileWriteStream::WritePart(std::uint64_t offset,
                                        std::span<const std::byte> part) {
  const std::size_t size = part.size();
  if (direct_ && offset % block_ == 0) {
    const std::span<const std::byte> blocks =
        part.first(size - size % static_cast<std::size_t>(block_));
    STOKER_TRY(WriteAll(direct_fd_, offset, blocks));
    offset += blocks.size();
    part = part.subspan(blocks.size());
  }
  STOKER_TRY(WriteAll(fd_, offset, part));
  bytes_ += size;
  StartWriteBack(part.size());
  return {};
}

core::Status FileWriteStream::WriteAll(int fd, std::uint64_t offset,
                                       std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t result =
        ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (result < 0 && errno == EINTR) {
      continue;
    }
    if (result < 0) {
      return fd == direct_fd_ && errno == EINVAL
                 ? DirectRefused(fmt::format("write at offset {} of", offset),
                                 path_, EINVAL)
                 : WriteError(offset, errno);
    }
    offset += static_cast<std::uint64_t>(result);
    bytes = bytes.subspan(static_cast<std::size_t>(result));
  }
  return {};
}

// A hint: what goes wrong is fsync's to say.
void FileWriteStream::StartWriteBack(std::size_t bytes) {
  if (options().durable && (not_begun_ += bytes) >= kWriteBack) {
    not_begun_ = 0;
    ::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
  }
}

core::Status FileWriteStream::Drain(WriteTimes& times) {
  if (!sender_.has_value() || !sender_->started()) {
    return {};
  }
  const core::Status status = sender_->Drain();
  CountFlight(sender_->idle(), sender_->waited());
  times.last = sender_->last_end();
  return status;
}

core::Status FileWriteStream::DoCommit(std::uint64_t /*size*/,
                                       WriteTimes& times) {
  STOKER_TRY(Drain(times));
  if (options().durable) {
    if (::fsync(fd_) != 0) {
      return WriteError(0, errno);
    }
    times.synced = clock().Now();
  }
  // Network file systems may report a failed write only here.
  STOKER_TRY(CloseAll());
  return Publish();
}

core::Status FileWriteStream::CloseAll() {
  int failure = 0;
  for (int* const fd : {&fd_, &direct_fd_}) {
    if (*fd >= 0 && ::close(std::exchange(*fd, -1)) != 0 && errno != EINTR) {
      failure = errno;
    }
  }
  return failure == 0 ? core::Status{} : WriteError(0, failure);
}

core::Status FileWriteStream::Publish() {
  if (!options().in_place &&
      std::rename(written_.c_str(), path_.c_str()) != 0) {
    return core::Status::FromErrno(
        errno, fmt::format("rename {} to {}", written_, path_));
  }
  committed_ = true;
  return options().durable ? SyncFolders(path_, made_folders_) : core::Status{};
}

core::Status FileWriteStream::WriteError(std::uint64_t offset,
                                         int os_error) const {
  core::Status status = core::Status::FromErrno(
      os_error, fmt::format("write {} at offset {}", path_, offset));
  const std::string_view remedy = WriteRemedy(os_error);
  if (remedy.empty()) {
    return status;
  }
  const auto free_bytes = FreeBytesAt(NearestExisting(path_));
  return {status.code(),
          fmt::format("{} ({} of its bytes were written, {} bytes are free "
                      "there); {}",
                      status.message(), bytes_.load(),
                      free_bytes.ok() ? fmt::to_string(free_bytes.value())
                                      : "an unknown number of",
                      remedy),
          os_error};
}

}  // namespace stoker::storage::internal
