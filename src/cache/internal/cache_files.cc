#include "cache/internal/cache_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "core/byte_order.h"

namespace stoker::cache::internal {

namespace {

constexpr std::string_view kSlotFilePrefix = "slots.";
// Of equal length, so that one replaces the other in whole.
constexpr std::string_view kFoundText = "stoker cache in a folder found\n";
constexpr std::string_view kMadeText = "stoker cache in a folder made.\n";
static_assert(kFoundText.size() == kMadeText.size());

bool IsSuper(std::string_view name) {
  return std::ranges::find(kSuperFiles, name) != kSuperFiles.end();
}

std::string_view RemedyFor(const core::Status& status) {
  if (status.code() == core::Code::kPermission) {
    return "; run as the owner of the folder, on a file system that is mounted "
           "for writing";
  }
  return status.os_error() == EFBIG
             ? "; raise the limit on the size of files (ulimit -f)"
             : "";
}

}  // namespace

std::string SlotFileName(std::size_t index) {
  return fmt::format("{}{}", kSlotFilePrefix, index);
}

std::string InFolder(std::string_view folder, std::string_view name) {
  return fmt::format("{}/{}", folder, name);
}

bool IsCacheFile(std::string_view name) {
  if (name.starts_with(kSlotFilePrefix)) {
    const std::string_view number = name.substr(kSlotFilePrefix.size());
    return !number.empty() &&
           number.find_first_not_of("0123456789") == std::string_view::npos;
  }
  return name == kLockFile || name == kRecordsFile || name == kNewSuperFile ||
         IsSuper(name);
}

core::Result<FolderMark> ReadMark(Disk& disk, const std::string& folder) {
  const auto file = disk.Open(InFolder(folder, kLockFile), DiskOpen::kRead);
  if (!file.ok()) {
    return file.status().code() == core::Code::kNotFound
               ? core::Result<FolderMark>(FolderMark::kNone)
               : core::Result<FolderMark>(file.status());
  }
  std::array<std::byte, kMadeText.size() + 1> bytes{};
  STOKER_ASSIGN(const std::size_t got, file.value()->ReadAt(0, bytes));
  const std::span<const std::byte> content = std::span(bytes).first(got);
  if (core::AsText(content) == kMadeText) {
    return FolderMark::kMade;
  }
  if (core::AsText(content) == kFoundText) {
    return FolderMark::kFound;
  }
  const bool blank = std::ranges::all_of(
      content, [](std::byte byte) { return byte == std::byte{0}; });
  return blank && got <= kMadeText.size() ? FolderMark::kBlank
                                          : FolderMark::kForeign;
}

core::Status WriteMark(Disk& disk, DiskFile& lock, const std::string& folder,
                       FolderMark mark) {
  const std::string_view text =
      mark == FolderMark::kMade ? kMadeText : kFoundText;
  STOKER_TRY(lock.WriteAt(0, std::as_bytes(std::span(text))));
  STOKER_TRY(lock.Flush());
  return disk.FlushFolder(folder);
}

core::Result<std::unique_ptr<DiskFile>> TakeLock(Disk& disk,
                                                 const std::string& folder,
                                                 DiskOpen how, DiskLock kind) {
  while (true) {
    STOKER_ASSIGN(std::unique_ptr<DiskFile> lock,
                  disk.Open(InFolder(folder, kLockFile), how));
    STOKER_ASSIGN(const bool taken, lock->TryLock(kind));
    if (!taken) {
      return core::Status(core::Code::kUnavailable,
                          kind == DiskLock::kShared
                              ? "it is being formatted or removed; wait until "
                                "that is done"
                              : "somebody has it open; end the runs that use "
                                "it (lslocks lists them)");
    }
    // Whoever held it may have removed it: then there is none, or another.
    STOKER_ASSIGN(const bool linked, lock->Linked());
    if (linked) {
      return lock;
    }
  }
}

core::Status RemoveCacheFiles(Disk& disk, const std::string& folder) {
  STOKER_ASSIGN(const std::vector<std::string> names, disk.List(folder));
  for (const std::string& name : names) {
    if (IsSuper(name)) {
      STOKER_TRY(disk.Remove(InFolder(folder, name)));
    }
  }
  // Before anything else goes: a super block speaks of files that are there.
  STOKER_TRY(disk.FlushFolder(folder));
  for (const std::string& name : names) {
    if (IsCacheFile(name) && !IsSuper(name) && name != kLockFile) {
      STOKER_TRY(disk.Remove(InFolder(folder, name)));
    }
  }
  // The lock may go now, which says that the others were ours.
  return disk.FlushFolder(folder);
}

core::Status Explained(const core::Status& status, std::string_view doing,
                       const std::string& folder) {
  return status.ok()
             ? status
             : core::Status(status.code(),
                            fmt::format("{} cache {}: {}{}", doing, folder,
                                        status.message(), RemedyFor(status)),
                            status.os_error());
}

}  // namespace stoker::cache::internal
