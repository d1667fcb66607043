#include "cache/internal/format.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

#include "cache/internal/cache_files.h"
#include "cache/internal/super_block.h"
#include "core/pages.h"
#include "core/text.h"
#include "core/units.h"

namespace stoker::cache::internal {

namespace {

constexpr std::size_t kZeroWriteBytes = 4U << 20;
// Zeros between two flushes: what may lie in the page cache unwritten.
constexpr std::uint64_t kZerosUnflushed = 256U << 20;
constexpr std::size_t kNamesShown = 3;
// What mkfs puts into the top folder of a device.
constexpr std::string_view kLostAndFound = "lost+found";

core::Result<CacheId> NewCacheId() {
  CacheId id;
  ssize_t got = 0;
  do {
    got = ::getrandom(id.bytes.data(), id.bytes.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(id.bytes.size())) {
    return core::Status::FromErrno(errno, "draw a random number");
  }
  return id;
}

std::string FolderAbove(const std::string& path) {
  const std::string above = std::filesystem::path(path).parent_path().string();
  return above.empty() ? "." : above;
}

// What is in a folder that may be or become a cache's.
struct Contents {
  FolderMark mark = FolderMark::kNone;
  SuperPair supers;
  std::vector<std::string> names;

  bool Ours() const {
    using State = SuperPair::State;
    return mark == FolderMark::kMade || mark == FolderMark::kFound ||
           supers.Any(State::kWhole) || supers.Any(State::kOtherVersion);
  }
  bool HasSuper() const {
    using State = SuperPair::State;
    return supers.sides[0].state != State::kMissing ||
           supers.sides[1].state != State::kMissing;
  }
  // Names of files that no cache has put there.
  std::vector<std::string_view> Others() const {
    std::vector<std::string_view> others;
    for (const std::string& name : names) {
      const bool known = Ours()
                             ? IsCacheFile(name)
                             : name == kLockFile && mark == FolderMark::kBlank;
      if (!known && name != kLostAndFound) {
        others.push_back(name);
      }
    }
    std::ranges::sort(others);
    return others;
  }
};

core::Result<Contents> LookInto(Disk& disk, const std::string& folder) {
  Contents contents;
  STOKER_ASSIGN(contents.names, disk.List(folder));
  STOKER_ASSIGN(contents.mark, ReadMark(disk, folder));
  STOKER_ASSIGN(contents.supers, ReadSuperPair(disk, folder));
  return contents;
}

class Formatter {
 public:
  Formatter(Disk& disk, const std::string& path, const FormatOptions& options,
            const SuperBlock& super)
      : disk_(disk), path_(path), options_(options), super_(super) {}

  core::Status Run();

 private:
  core::Status Try();
  core::Result<Contents> CheckContents();
  core::Status CheckRoom();
  core::Status Mark(FolderMark mark);
  core::Status MakeFile(const ExpectedFile& expected);
  core::Status WriteZeros(DiskFile& file, std::uint64_t bytes);
  core::Status MakeSuper(std::size_t side);

  Disk& disk_;
  const std::string& path_;
  const FormatOptions& options_;
  SuperBlock super_;
  std::unique_ptr<DiskFile> lock_;
  bool made_folder_ = false;
  bool made_lock_ = false;  // or a Format did that ended at once
  bool began_ = false;      // the folder's files are no longer what they were
};

core::Status Formatter::Run() {
  core::Status status = Try();
  if (status.ok()) {
    return {};
  }
  if (began_) {
    // What cannot be removed now, the next Format or Remove will.
    static_cast<void>(RemoveCacheFiles(disk_, path_));
    if (status.os_error() == ENOSPC) {
      const core::Status room = CheckRoom();
      status = room.ok() ? status : room;
    }
  }
  if (began_ || made_lock_) {
    static_cast<void>(disk_.Remove(InFolder(path_, kLockFile)));
  }
  lock_.reset();
  if (made_folder_) {
    static_cast<void>(disk_.RemoveFolder(path_));
  }
  return Explained(status, "format", path_);
}

core::Status Formatter::Try() {
  const auto made = disk_.MakeFolder(path_);
  if (!made.ok() && made.status().code() == core::Code::kNotFound) {
    return {core::Code::kNotFound,
            "the folder above does not exist; make it, or mount the device "
            "there first"};
  }
  STOKER_ASSIGN(made_folder_, made);
  // Once before a lock is made beside files that are not ours, and once when
  // nobody can change anything any more.
  STOKER_TRY(CheckContents().status());
  STOKER_ASSIGN(
      lock_, TakeLock(disk_, path_, DiskOpen::kCreate, DiskLock::kExclusive));
  STOKER_ASSIGN(const std::uint64_t lock_bytes, lock_->Size());
  made_lock_ = lock_bytes == 0;
  STOKER_ASSIGN(const Contents before, CheckContents());
  STOKER_TRY(CheckRoom());
  began_ = true;
  STOKER_TRY(Mark(before.mark));
  STOKER_TRY(RemoveCacheFiles(disk_, path_));
  for (const ExpectedFile& expected : ExpectedFiles(super_)) {
    STOKER_TRY(MakeFile(expected));
  }
  // The super blocks appear only after all that they speak of is there.
  STOKER_TRY(disk_.FlushFolder(path_));
  for (std::size_t side = 0; side < kSuperFiles.size(); ++side) {
    STOKER_TRY(MakeSuper(side));
  }
  return disk_.FlushFolder(path_);
}

core::Result<Contents> Formatter::CheckContents() {
  STOKER_ASSIGN(Contents contents, LookInto(disk_, path_));
  const std::vector<std::string_view> others = contents.Others();
  if (!others.empty()) {
    const std::size_t shown = std::min(others.size(), kNamesShown);
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("other files are there: {}{}; give an empty folder, or one "
                    "that does not exist",
                    core::Join(std::span(others).first(shown), ", "),
                    shown == others.size()
                        ? ""
                        : fmt::format(" and {} more", others.size() - shown)));
  }
  if (contents.HasSuper() && !options_.force) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("a cache is there; replace it (--force), or remove it: "
                    "stoker cache remove {}",
                    path_));
  }
  return contents;
}

core::Status Formatter::CheckRoom() {
  std::uint64_t needed = (kSuperFiles.size() + 1) * core::kPageBytes;
  for (const ExpectedFile& expected : ExpectedFiles(super_)) {
    needed += expected.bytes;
  }
  STOKER_ASSIGN(std::uint64_t available, disk_.FreeBytes(path_));
  STOKER_ASSIGN(const std::vector<std::string> names, disk_.List(path_));
  for (const std::string& name : names) {
    if (IsCacheFile(name)) {
      STOKER_ASSIGN(const std::unique_ptr<DiskFile> file,
                    disk_.Open(InFolder(path_, name), DiskOpen::kRead));
      STOKER_ASSIGN(const std::uint64_t reserved, file->ReservedBytes());
      available += reserved;
    }
  }
  if (needed <= available) {
    return {};
  }
  return {core::Code::kIoError,
          fmt::format("{} bytes are missing: it takes {} and {} are free; free "
                      "some, or give a size that is smaller by as much",
                      needed - available,
                      core::FormatBytes(static_cast<double>(needed)),
                      core::FormatBytes(static_cast<double>(available))),
          ENOSPC};
}

core::Status Formatter::Mark(FolderMark mark) {
  if (mark == FolderMark::kMade || mark == FolderMark::kFound) {
    return {};
  }
  STOKER_TRY(WriteMark(disk_, *lock_, path_,
                       made_folder_ ? FolderMark::kMade : FolderMark::kFound));
  return made_folder_ ? disk_.FlushFolder(FolderAbove(path_)) : core::Status();
}

core::Status Formatter::MakeFile(const ExpectedFile& expected) {
  STOKER_ASSIGN(const std::unique_ptr<DiskFile> file,
                disk_.Open(InFolder(path_, expected.name), DiskOpen::kCreate));
  STOKER_TRY(file->Allocate(expected.bytes));
  // The table is small and written in pieces: so that no record has to convert
  // reserved space.
  if (options_.zero || expected.name == kRecordsFile) {
    STOKER_TRY(WriteZeros(*file, expected.bytes));
  }
  return file->Flush();
}

core::Status Formatter::WriteZeros(DiskFile& file, std::uint64_t bytes) {
  const std::vector<std::byte> zeros(
      std::min<std::uint64_t>(bytes, kZeroWriteBytes));
  std::uint64_t unflushed = 0;
  for (std::uint64_t at = 0; at < bytes;) {
    const std::uint64_t piece =
        std::min<std::uint64_t>(bytes - at, zeros.size());
    STOKER_TRY(file.WriteAt(at, std::span(zeros).first(piece)));
    at += piece;
    unflushed += piece;
    if (unflushed >= kZerosUnflushed) {
      STOKER_TRY(file.Flush());
      unflushed = 0;
    }
  }
  return {};
}

// Under another name until it is whole: a super block that is damaged is never
// one that was not finished.
core::Status Formatter::MakeSuper(std::size_t side) {
  const std::string unfinished = InFolder(path_, kNewSuperFile);
  {
    STOKER_ASSIGN(const std::unique_ptr<DiskFile> file,
                  disk_.Open(unfinished, DiskOpen::kCreate));
    STOKER_TRY(file->Allocate(kSuperBytes));
    ++super_.sequence;
    STOKER_TRY(file->WriteAt(0, EncodeSuper(super_)));
    STOKER_TRY(file->Flush());
  }
  return disk_.Rename(unfinished, InFolder(path_, kSuperFiles[side]));
}

core::Status TryRemove(Disk& disk, const std::string& path) {
  STOKER_ASSIGN(const Contents contents, LookInto(disk, path));
  if (!contents.Ours()) {
    return {core::Code::kNotFound, "there is none; give the folder of one"};
  }
  STOKER_ASSIGN(std::unique_ptr<DiskFile> lock,
                TakeLock(disk, path, DiskOpen::kCreate, DiskLock::kExclusive));
  STOKER_TRY(RemoveCacheFiles(disk, path));
  STOKER_TRY(disk.Remove(InFolder(path, kLockFile)));
  STOKER_TRY(disk.FlushFolder(path));
  lock.reset();
  if (contents.mark != FolderMark::kMade) {
    return {};
  }
  STOKER_ASSIGN(const bool removed, disk.RemoveFolder(path));
  return removed ? disk.FlushFolder(FolderAbove(path)) : core::Status();
}

}  // namespace

core::Status FormatOn(Disk& disk, const std::string& path,
                      const FormatOptions& options,
                      std::uint64_t most_slot_file_bytes) {
  const auto geometry = PlanGeometry(options);
  const auto id = NewCacheId();
  for (const core::Status& status : {geometry.status(), id.status()}) {
    if (!status.ok()) {
      return Explained(status, "format", path);
    }
  }
  const std::uint64_t slot_bytes = options.slot_bytes;
  const std::uint64_t slots_in_file =
      std::max<std::uint64_t>(most_slot_file_bytes / slot_bytes, 1);
  const SuperBlock super{.id = id.value(),
                         .quota_bytes = options.quota_bytes,
                         .slot_file_bytes = slots_in_file * slot_bytes,
                         .geometry = geometry.value()};
  return Formatter(disk, path, options, super).Run();
}

core::Status RemoveOn(Disk& disk, const std::string& path) {
  return Explained(TryRemove(disk, path), "remove", path);
}

}  // namespace stoker::cache::internal
