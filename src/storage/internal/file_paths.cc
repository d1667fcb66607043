#include "storage/internal/file_paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <system_error>

#include "core/crc.h"
#include "core/text.h"

namespace stoker::storage::internal {

namespace {
constexpr std::string_view kTempMark = ".stoker-";
constexpr std::size_t kWhereDigits = 8;

std::string DescribeWhere() {
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  std::error_code error;
  const std::string space =
      std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
  const std::string both = boot + ' ' + space;
  return fmt::format("{:08x}", core::Crc32c(std::as_bytes(std::span(both)), 0));
}
}  // namespace

const std::string& TempWhere() {
  static const std::string kWhere = DescribeWhere();
  return kWhere;
}

std::optional<TempOwner> ParseTempName(std::string_view file_name) {
  const std::size_t mark = file_name.rfind(kTempMark);
  if (!file_name.starts_with('.') || mark == std::string_view::npos ||
      mark < 2) {
    return std::nullopt;
  }
  const auto parts =
      core::Split(file_name.substr(mark + kTempMark.size()), '-');
  if (parts.size() != 3 || parts[0].size() != kWhereDigits) {
    return std::nullopt;
  }
  const core::Result<std::int64_t> process = core::ParseInt(parts[1]);
  const core::Result<std::int64_t> number = core::ParseInt(parts[2]);
  if (!process.ok() || process.value() <= 0 || !number.ok()) {
    return std::nullopt;
  }
  return TempOwner{.file = file_name.substr(1, mark - 1),
                   .where = parts[0],
                   .process = process.value()};
}

std::optional<bool> HasEnded(const TempOwner& owner) {
  if (owner.where != TempWhere()) {
    return std::nullopt;
  }
  return ::kill(static_cast<pid_t>(owner.process), 0) != 0 && errno == ESRCH;
}

std::string TempNames::For(std::string_view path) {
  const std::string_view folder = FolderOf(path);
  std::string_view file = path;
  if (const std::size_t slash = path.rfind('/');
      slash != std::string_view::npos) {
    file = path.substr(slash + 1);
  }
  const std::string_view separator = folder.empty() || folder == "/" ? "" : "/";
  return fmt::format("{}{}.{}{}{}-{}-{}", folder, separator, file, kTempMark,
                     TempWhere(), ::getpid(), next_.fetch_add(1));
}

bool IsTempName(std::string_view file_name) {
  return file_name.starts_with('.') &&
         file_name.find(kTempMark) != std::string_view::npos;
}

std::string_view FolderOf(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) {
    return "";
  }
  return slash == 0 ? path.substr(0, 1) : path.substr(0, slash);
}

core::Status MakeFolder(std::string_view path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return core::Status::FromErrno(error.value(),
                                   fmt::format("make folder {}", path));
  }
  return {};
}

std::string NearestExisting(std::string_view path) {
  std::string here(path.empty() ? "." : path);
  struct stat info{};
  while (::stat(here.c_str(), &info) != 0 && here != "/" && here != ".") {
    const std::string_view above = FolderOf(here);
    here = std::string(above.empty() ? "." : above);
  }
  return here;
}

core::Status SyncFolder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return core::Status::FromErrno(errno, "open folder " + path);
  }
  const int failure = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // Some network file systems refuse to sync a folder and need not.
  if (failure != 0 && failure != EINVAL) {
    return core::Status::FromErrno(failure, "sync folder " + path);
  }
  return {};
}

core::Result<std::uint64_t> FreeBytesAt(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) {
    return core::Status::FromErrno(errno, "ask for the free space of " + path);
  }
  return std::uint64_t{info.f_bavail} * std::uint64_t{info.f_frsize};
}

core::Result<std::uint64_t> FreeInodesAt(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) {
    return core::Status::FromErrno(errno, "ask for the free inodes of " + path);
  }
  // File systems without a fixed number of inodes say that they have none.
  return info.f_files == 0 ? UINT64_MAX : std::uint64_t{info.f_favail};
}

std::string FileSystemOf(std::string_view path) {
  std::error_code error;
  const std::filesystem::path canonical =
      std::filesystem::canonical(NearestExisting(path), error);
  const std::string place = canonical.string() + "/";
  // Per mount (proc(5)): id, parent, device, root, where, options, any number
  // of tags, "-", type, …; the deepest place counts, of equal ones the last.
  std::ifstream mounts("/proc/self/mountinfo");
  std::string best = "an unknown file system";
  std::size_t depth = 0;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string word;
    std::string where;
    std::string type;
    words >> word >> word >> word >> word >> where;
    while (words >> word && word != "-") {
    }
    words >> type;
    const std::string folder = where == "/" ? where : where + "/";
    if (!type.empty() && place.starts_with(folder) && folder.size() >= depth) {
      depth = folder.size();
      best = fmt::format("{} on {}", type, where);
    }
  }
  return best;
}

}  // namespace stoker::storage::internal
