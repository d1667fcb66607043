#include "cache/internal/posix_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace stoker::cache::internal {

namespace {

// What du(1) and stat(2) count in, whatever the file system's own unit.
constexpr std::uint64_t kStatBlockBytes = 512;

core::Status Failed(std::string_view operation, const std::string& path) {
  return core::Status::FromErrno(errno, fmt::format("{} {}", operation, path));
}

template <class Call>
auto Retried(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) {
    result = call();
  }
  return result;
}

class PosixFile final : public DiskFile {
 public:
  PosixFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~PosixFile() override { ::close(fd_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  core::Result<std::uint64_t> Size() const override {
    STOKER_ASSIGN(const struct stat info, Examine());
    return static_cast<std::uint64_t>(info.st_size);
  }
  core::Result<std::uint64_t> ReservedBytes() const override {
    STOKER_ASSIGN(const struct stat info, Examine());
    return static_cast<std::uint64_t>(info.st_blocks) * kStatBlockBytes;
  }
  core::Result<bool> Linked() const override {
    STOKER_ASSIGN(const struct stat info, Examine());
    return info.st_nlink > 0;
  }
  core::Result<std::size_t> ReadAt(std::uint64_t offset,
                                   std::span<std::byte> out) const override;
  core::Status WriteAt(std::uint64_t offset,
                       std::span<const std::byte> bytes) override;
  core::Status Allocate(std::uint64_t bytes) override;
  core::Status Flush() override {
    return Retried([this] { return ::fdatasync(fd_); }) == 0
               ? core::Status()
               : Failed("flush", path_);
  }
  core::Result<bool> TryLock(DiskLock kind) override;

 private:
  core::Result<struct stat> Examine() const {
    struct stat info{};
    if (::fstat(fd_, &info) != 0) {
      return Failed("examine", path_);
    }
    return info;
  }

  const std::string path_;
  const int fd_;
};

core::Result<std::size_t> PosixFile::ReadAt(std::uint64_t offset,
                                            std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::span<std::byte> rest = out.subspan(done);
    const ssize_t got = Retried([&] {
      return ::pread(fd_, rest.data(), rest.size(),
                     static_cast<off_t>(offset + done));
    });
    if (got < 0) {
      return Failed("read", path_);
    }
    if (got == 0) {
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return done;
}

core::Status PosixFile::WriteAt(std::uint64_t offset,
                                std::span<const std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const std::span<const std::byte> rest = bytes.subspan(done);
    const ssize_t taken = Retried([&] {
      return ::pwrite(fd_, rest.data(), rest.size(),
                      static_cast<off_t>(offset + done));
    });
    if (taken == 0) {
      errno = EIO;  // a file takes something or says why not
    }
    if (taken <= 0) {
      return Failed("write", path_);
    }
    done += static_cast<std::size_t>(taken);
  }
  return {};
}

core::Status PosixFile::Allocate(std::uint64_t bytes) {
  // Not posix_fallocate: where the file system cannot, that writes a byte to
  // each block, which takes as long and promises nothing.
  if (Retried([&] {
        return ::fallocate(fd_, 0, 0, static_cast<off_t>(bytes));
      }) == 0) {
    return {};
  }
  if (errno == EOPNOTSUPP || errno == ENOSYS) {
    return {core::Code::kUnsupported,
            fmt::format("reserve space for {}: its file system does not; put "
                        "the cache on ext4, XFS or tmpfs",
                        path_),
            errno};
  }
  return Failed("reserve space for", path_);
}

core::Result<bool> PosixFile::TryLock(DiskLock kind) {
  const int operation =
      (kind == DiskLock::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  if (Retried([&] { return ::flock(fd_, operation); }) == 0) {
    return true;
  }
  if (errno == EWOULDBLOCK) {
    return false;
  }
  return Failed("lock", path_);
}

class LocalDisk final : public Disk {
 public:
  core::Result<std::unique_ptr<DiskFile>> Open(const std::string& path,
                                               DiskOpen how) override;
  core::Status Rename(const std::string& from, const std::string& to) override {
    return std::rename(from.c_str(), to.c_str()) == 0 ? core::Status()
                                                      : Failed("rename", from);
  }
  core::Status Remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? core::Status()
                                       : Failed("remove", path);
  }
  core::Result<std::vector<std::string>> List(
      const std::string& folder) override;
  core::Result<bool> MakeFolder(const std::string& path) override;
  core::Result<bool> RemoveFolder(const std::string& path) override;
  core::Status FlushFolder(const std::string& path) override;
  core::Result<std::uint64_t> FreeBytes(const std::string& folder) override;
};

core::Result<std::unique_ptr<DiskFile>> LocalDisk::Open(const std::string& path,
                                                        DiskOpen how) {
  int flags = O_CLOEXEC;
  flags |= how == DiskOpen::kRead ? O_RDONLY : O_RDWR;
  flags |= how == DiskOpen::kCreate ? O_CREAT : 0;
  const int fd = Retried([&] { return ::open(path.c_str(), flags, 0600); });
  if (fd < 0) {
    return Failed("open", path);
  }
  return std::unique_ptr<DiskFile>(std::make_unique<PosixFile>(path, fd));
}

core::Result<std::vector<std::string>> LocalDisk::List(
    const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::end(at); at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) {
    return core::Status::FromErrno(error.value(), "list folder " + folder);
  }
  return names;
}

core::Result<bool> LocalDisk::MakeFolder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    return true;
  }
  if (errno != EEXIST) {
    return Failed("make folder", path);
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return Failed("examine", path);
  }
  if (!S_ISDIR(info.st_mode)) {
    return core::Status(core::Code::kInvalidArgument,
                        "make folder " + path + ": a file has that name",
                        ENOTDIR);
  }
  return false;
}

core::Result<bool> LocalDisk::RemoveFolder(const std::string& path) {
  if (::rmdir(path.c_str()) == 0) {
    return true;
  }
  if (errno == ENOTEMPTY || errno == EEXIST) {
    return false;
  }
  return Failed("remove folder", path);
}

core::Status LocalDisk::FlushFolder(const std::string& path) {
  const int fd = Retried(
      [&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) {
    return Failed("open folder", path);
  }
  const int failure = Retried([&] { return ::fsync(fd); }) == 0 ? 0 : errno;
  ::close(fd);
  // Some file systems refuse to flush a folder and need not.
  if (failure != 0 && failure != EINVAL) {
    return core::Status::FromErrno(failure, "flush folder " + path);
  }
  return {};
}

core::Result<std::uint64_t> LocalDisk::FreeBytes(const std::string& folder) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) {
    return Failed("ask for the free space of", folder);
  }
  return std::uint64_t{info.f_bavail} * std::uint64_t{info.f_frsize};
}

}  // namespace

Disk& PosixDisk() {
  static LocalDisk disk;
  return disk;
}

}  // namespace stoker::cache::internal
