#pragma once

// The files of a cache's folder: names, the lock, and taking them away.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/internal/disk.h"
#include "core/status.h"

namespace stoker::cache::internal {

inline constexpr std::string_view kLockFile = "lock";
inline constexpr std::string_view kRecordsFile = "records";
inline constexpr std::array<std::string_view, 2> kSuperFiles = {"super.a",
                                                                "super.b"};
// What a super block is called until it is whole.
inline constexpr std::string_view kNewSuperFile = "super.new";

std::string SlotFileName(std::size_t index);  // "slots.0"
std::string InFolder(std::string_view folder, std::string_view name);
// Whether a cache's folder may hold a file of that name.
bool IsCacheFile(std::string_view name);

// What `lock` says of the folder. It is the first file to be made, and written
// durably before any other: files with our names beside a lock that does not
// say that it is ours belong to somebody else.
enum class FolderMark : std::uint8_t {
  kNone,     // no such file
  kBlank,    // made by a Format that did not come to write it
  kForeign,  // not ours
  kFound,    // ours; the folder was there before
  kMade,     // ours; the folder was made by Format
};
core::Result<FolderMark> ReadMark(Disk& disk, const std::string& folder);
// Durably, with the name of the file. `mark` is kFound or kMade.
core::Status WriteMark(Disk& disk, DiskFile& lock, const std::string& folder,
                       FolderMark mark);

// Opens `lock` and takes it. Everybody who has the cache open holds it shared,
// who makes or removes it holds it alone; it is held until the result is
// destroyed. kUnavailable: others hold it. kNotFound.
core::Result<std::unique_ptr<DiskFile>> TakeLock(Disk& disk,
                                                 const std::string& folder,
                                                 DiskOpen how, DiskLock kind);

// Removes all files of a cache but the lock, durably, in an order that leaves
// the cache or none after a crash at any point.
core::Status RemoveCacheFiles(Disk& disk, const std::string& folder);

// `status` as that of "<doing> cache <folder>", with what can be done about it
// where its code or errno tells.
core::Status Explained(const core::Status& status, std::string_view doing,
                       const std::string& folder);

}  // namespace stoker::cache::internal
