#include "storage/file_backend.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "storage/internal/direct_io.h"
#include "storage/internal/file_paths.h"
#include "storage/internal/file_reads.h"
#include "storage/internal/file_settings.h"
#include "storage/internal/file_thread_queue.h"
#include "storage/internal/file_uring_queue.h"
#include "storage/internal/file_write_stream.h"
#include "storage/internal/open_files.h"
#include "storage/internal/page_cache.h"
#include "storage/internal/stored_bytes.h"
#include "storage/uri_options.h"

namespace stoker::storage {

namespace {

constexpr std::size_t kMostThreadsByDepth = 256;
// Of reads past the page cache by io_uring, unless set: what devices take in
// one request at most.
constexpr std::uint64_t kDirectBlock = 1U << 20;
// glibc's answer for every file system it does not know (LINUX_LINK_MAX).
constexpr int kUnknownLinkMax = 127;
// Writers of other hosts are taken to have ended after this long; longer than
// a network file system keeps written data and attributes to itself.
constexpr std::chrono::minutes kQuiet{5};

bool IsQuiet(const struct stat& info) {
  const auto changed = std::chrono::system_clock::from_time_t(info.st_mtime);
  return std::chrono::system_clock::now() - changed > kQuiet;
}

// One temporary file; one that vanishes meanwhile was another's to sweep.
core::Status SweepOne(const std::string& path, const internal::TempOwner& owner,
                      Sweep sweep, Unfinished& found) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return {};
  }
  if (!internal::HasEnded(owner).value_or(IsQuiet(info))) {
    ++found.busy;
    return {};
  }
  if (sweep == Sweep::kRemove && ::unlink(path.c_str()) != 0) {
    return errno == ENOENT
               ? core::Status()
               : core::Status::FromErrno(errno, "remove unfinished " + path);
  }
  ++found.objects;
  found.bytes += static_cast<std::uint64_t>(info.st_size);
  return {};
}

class FileBackend final : public Backend {
 public:
  explicit FileBackend(internal::FileSettings settings)
      : settings_(std::move(settings)),
        files_(settings_.root, settings_.advice) {
    writing_.threads = settings_.write_threads;
    writing_.direct = settings_.access == Access::kDirect;
  }

  std::string_view scheme() const override { return settings_.scheme; }
  std::string uri() const override {
    return fmt::format("{}://{}", settings_.scheme, settings_.place);
  }
  Capabilities capabilities() const override;
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const ObjectInfo&)>& visit) override;
  ObjectId Resolve(std::string_view object_name) override {
    return files_.Resolve(object_name);
  }
  void Release(ObjectId object) override { files_.Release(object); }
  core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) override;
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override;
  core::Status EnsureFolder(std::string_view prefix) override;
  core::Status Link(std::string_view existing, std::string_view name) override;
  core::Status Remove(std::string_view object_name) override;
  core::Status RemoveFolder(std::string_view prefix) override;
  core::Result<std::optional<ObjectIdentity>> Identity(
      std::string_view object_name) override;
  core::Result<Unfinished> SweepUnfinished(std::string_view prefix,
                                           Sweep sweep) override;
  core::Result<std::optional<std::uint64_t>> CachedBytes(
      std::string_view object_name) override;
  core::Status Forget(std::string_view object_name) override;
  core::Result<std::optional<std::uint64_t>> UnwrittenBytes(
      std::string_view object_name) override;
  core::Result<std::uint64_t> FreeBytes() override {
    return internal::FreeBytesAt(internal::NearestExisting(settings_.root));
  }
  core::Result<std::uint64_t> FreeObjects() override {
    return internal::FreeInodesAt(internal::NearestExisting(settings_.root));
  }

 private:
  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", settings_.root, name);
  }
  internal::Way WayOf(Access access) const;
  core::Result<ReadLimits> Limits(std::size_t depth, internal::Way way);
  internal::ReadShape ShapeOf(internal::Way way, const ReadLimits& limits,
                              bool uring) const;
  core::Result<internal::DirectAlign> FindDirectAlign();
  core::Status ReplaceByLink(const std::string& from, const std::string& to);
  core::Status LinkError(const std::string& from, const std::string& to,
                         int os_error) const;

  internal::FileSettings settings_;
  internal::OpenFiles files_;
  internal::FileWriting writing_;
};

Capabilities FileBackend::capabilities() const {
  Capabilities can;
  const std::string here = internal::NearestExisting(Path(""));
  const auto links = ::pathconf(here.c_str(), _PC_LINK_MAX);
  if (links > 0 && links != kUnknownLinkMax) {
    can.max_links = static_cast<std::uint64_t>(links);
  }
  return can;
}

internal::Way FileBackend::WayOf(Access access) const {
  switch (access == Access::kDefault ? settings_.access : access) {
    case Access::kDirect:
      return internal::Way::kDirect;
    case Access::kMapped:
      return internal::Way::kMapped;
    case Access::kDefault:
      break;
  }
  return internal::Way::kBuffered;
}

// As the first file asks for: all of a dataset are in one file system.
core::Result<internal::DirectAlign> FileBackend::FindDirectAlign() {
  std::string first;
  const core::Status listed = List("", [&first](const ObjectInfo& object) {
    first = object.name;
    return false;
  });
  if (!listed.ok() || first.empty()) {
    return internal::DirectAlign{};
  }
  return internal::AskDirectAlign(Path(first));
}

core::Result<ReadLimits> FileBackend::Limits(std::size_t depth,
                                             internal::Way way) {
  ReadLimits limits;
  limits.capacity = depth;
  struct stat info{};
  if (::stat(Path("").c_str(), &info) == 0 && info.st_blksize > 0) {
    limits.preferred_unit = static_cast<std::uint32_t>(info.st_blksize);
  }
  if (way == internal::Way::kDirect) {
    STOKER_ASSIGN(const internal::DirectAlign align, FindDirectAlign());
    limits.offset_align = align.offset;
    limits.buffer_align = align.buffer;
    limits.preferred_unit = std::max(limits.preferred_unit, align.offset);
  }
  return limits;
}

// A thread waits for one block at a time, so that only io_uring gains by
// splitting what the kernel would split as well.
internal::ReadShape FileBackend::ShapeOf(internal::Way way,
                                         const ReadLimits& limits,
                                         bool uring) const {
  const std::uint64_t usual =
      uring && way == internal::Way::kDirect ? kDirectBlock : 0;
  const std::uint64_t block = settings_.block.value_or(usual);
  const std::uint64_t align = limits.offset_align;
  return {.in_kernel = settings_.depth,
          .block_bytes = (block + align - 1) / align * align};
}

core::Result<std::unique_ptr<ReadQueue>> FileBackend::NewReadQueue(
    const QueueOptions& options, core::Clock& clock) {
  using internal::FileEngine;
  STOKER_TRY(CheckDepth(options));
  const internal::Way way = WayOf(options.access);
  STOKER_ASSIGN(const ReadLimits limits, Limits(options.depth, way));
  core::Status refused;
  if (way == internal::Way::kMapped) {
    STOKER_TRY(internal::ProbeMappedReads());
  } else if (settings_.engine != FileEngine::kThreads) {
    auto queue = internal::FileUringQueue::Make(
        files_, way, limits, ShapeOf(way, limits, /*uring=*/true), clock);
    if (queue.ok() || settings_.engine == FileEngine::kUring) {
      return queue;
    }
    refused = queue.status();
  }
  const std::size_t threads =
      settings_.io_threads != 0 ? settings_.io_threads
                                : std::min(options.depth, kMostThreadsByDepth);
  // Behind the semicolon is what to do about it: just this.
  const std::string_view why =
      refused.message().substr(0, refused.message().find(';'));
  return internal::FileThreadQueue::Make(
      files_, way, limits,
      {.threads = threads,
       .shape = ShapeOf(way, limits, /*uring=*/false),
       .why = why},
      clock);
}

core::Result<std::unique_ptr<WriteStream>> FileBackend::Create(
    std::string_view object_name, const WriteOptions& options,
    core::Clock& clock) {
  STOKER_TRY(CheckObjectName(object_name));
  return internal::FileWriteStream::Make(Path(object_name), writing_, options,
                                         clock);
}

core::Status FileBackend::List(
    std::string_view prefix,
    const std::function<bool(const ObjectInfo&)>& visit) {
  namespace fs = std::filesystem;
  const std::string folder = Path(internal::FolderOf(prefix));
  const std::string wanted = Path(prefix);
  const std::size_t root_length = settings_.root.size() + 1;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  for (; !error && at != fs::end(at); at.increment(error)) {
    const std::string path = at->path().string();
    std::error_code vanished;
    if (!path.starts_with(wanted)) {
      // Whatever is below has another prefix, too.
      at.disable_recursion_pending();
      continue;
    }
    if (internal::IsTempName(at->path().filename().string())) {
      continue;
    }
    if (!at->is_regular_file(vanished)) {
      continue;
    }
    const std::uintmax_t size = at->file_size(vanished);
    if (!vanished && !visit({std::string_view(path).substr(root_length),
                             static_cast<std::uint64_t>(size)})) {
      return {};
    }
  }
  if (error) {
    return core::Status::FromErrno(error.value(), "list folder " + folder);
  }
  return {};
}

core::Status FileBackend::EnsureFolder(std::string_view prefix) {
  return internal::MakeFolder(internal::FolderOf(Path(prefix)));
}

core::Status FileBackend::Link(std::string_view existing,
                               std::string_view name) {
  STOKER_TRY(CheckObjectName(existing));
  STOKER_TRY(CheckObjectName(name));
  const std::string from = Path(existing);
  const std::string to = Path(name);
  int failure = ::link(from.c_str(), to.c_str()) == 0 ? 0 : errno;
  if (failure == ENOENT && ::access(from.c_str(), F_OK) == 0) {
    STOKER_TRY(internal::MakeFolder(internal::FolderOf(to)));
    failure = ::link(from.c_str(), to.c_str()) == 0 ? 0 : errno;
  }
  if (failure == EEXIST) {
    return ReplaceByLink(from, to);
  }
  return failure == 0 ? core::Status{} : LinkError(from, to, failure);
}

// Through a temporary name, so that `to` always names a whole object.
core::Status FileBackend::ReplaceByLink(const std::string& from,
                                        const std::string& to) {
  std::string temp = writing_.temp_names.For(to);
  while (::link(from.c_str(), temp.c_str()) != 0) {
    if (errno != EEXIST) {
      return LinkError(from, to, errno);
    }
    temp = writing_.temp_names.For(to);
  }
  const int failure = std::rename(temp.c_str(), to.c_str()) == 0 ? 0 : errno;
  // rename leaves both names if they were links to the same file already.
  ::unlink(temp.c_str());
  return failure == 0 ? core::Status{} : LinkError(from, to, failure);
}

core::Status FileBackend::LinkError(const std::string& from,
                                    const std::string& to, int os_error) const {
  const std::string what = fmt::format("link {} to {}", to, from);
  switch (os_error) {
    case EMLINK:
      return {core::Code::kUnsupported,
              fmt::format("{}: this file system allows {} names per file; "
                          "spread the names over more different files",
                          what, capabilities().max_links),
              os_error};
    case EPERM:
    case EOPNOTSUPP:
    case ENOSYS:
    case EXDEV:
      return {core::Code::kUnsupported,
              what +
                  ": this file system does not link files here; write "
                  "separate files instead",
              os_error};
    default:
      return core::Status::FromErrno(os_error, what);
  }
}

core::Status FileBackend::Remove(std::string_view object_name) {
  STOKER_TRY(CheckObjectName(object_name));
  const std::string path = Path(object_name);
  if (::unlink(path.c_str()) != 0) {
    return core::Status::FromErrno(errno, "remove " + path);
  }
  return {};
}

core::Status FileBackend::RemoveFolder(std::string_view prefix) {
  const std::string path(internal::FolderOf(Path(prefix)));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY &&
      errno != EEXIST) {
    return core::Status::FromErrno(errno, "remove folder " + path);
  }
  return {};
}

core::Result<std::optional<ObjectIdentity>> FileBackend::Identity(
    std::string_view object_name) {
  STOKER_TRY(CheckObjectName(object_name));
  const std::string path = Path(object_name);
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return core::Status::FromErrno(errno, "identify " + path);
  }
  return std::optional(
      ObjectIdentity{.place = info.st_dev, .number = info.st_ino});
}

core::Result<Unfinished> FileBackend::SweepUnfinished(std::string_view prefix,
                                                      Sweep sweep) {
  namespace fs = std::filesystem;
  const std::string folder = Path(internal::FolderOf(prefix));
  const std::string wanted = Path(prefix);
  Unfinished found;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  for (; !error && at != fs::end(at); at.increment(error)) {
    const std::string path = at->path().string();
    const std::string own_name = at->path().filename().string();
    if (const auto owner = internal::ParseTempName(own_name)) {
      const std::string object =
          fmt::format("{}/{}", internal::FolderOf(path), owner->file);
      if (object.starts_with(wanted)) {
        STOKER_TRY(SweepOne(path, *owner, sweep, found));
      }
    } else if (std::error_code vanished; at->is_directory(vanished) &&
                                         !(path + '/').starts_with(wanted)) {
      at.disable_recursion_pending();
    }
  }
  if (error && error.value() != ENOENT) {
    return core::Status::FromErrno(error.value(), "list folder " + folder);
  }
  return found;
}

core::Result<std::optional<std::uint64_t>> FileBackend::CachedBytes(
    std::string_view object_name) {
  STOKER_TRY(CheckObjectName(object_name));
  return internal::CachedBytesOf(Path(object_name));
}

core::Status FileBackend::Forget(std::string_view object_name) {
  STOKER_TRY(CheckObjectName(object_name));
  return internal::ForgetFile(Path(object_name));
}

core::Result<std::optional<std::uint64_t>> FileBackend::UnwrittenBytes(
    std::string_view object_name) {
  STOKER_TRY(CheckObjectName(object_name));
  return internal::UnwrittenBytesOf(Path(object_name));
}

core::Result<std::unique_ptr<Backend>> OpenLocal(const Uri& uri,
                                                 Access access) {
  STOKER_ASSIGN(internal::FileSettings settings,
                internal::ParseFileSettings(uri, access));
  return std::unique_ptr<Backend>(
      std::make_unique<FileBackend>(std::move(settings)));
}

}  // namespace

core::Result<std::unique_ptr<Backend>> OpenFileBackend(
    const Uri& uri, const OpenSettings& /*settings*/,
    std::unique_ptr<Backend> /*inner*/) {
  return OpenLocal(uri, Access::kDefault);
}

core::Result<std::unique_ptr<Backend>> OpenDirectBackend(
    const Uri& uri, const OpenSettings& /*settings*/,
    std::unique_ptr<Backend> /*inner*/) {
  return OpenLocal(uri, Access::kDirect);
}

core::Result<std::unique_ptr<Backend>> OpenMmapBackend(
    const Uri& uri, const OpenSettings& /*settings*/,
    std::unique_ptr<Backend> /*inner*/) {
  return OpenLocal(uri, Access::kMapped);
}

}  // namespace stoker::storage
