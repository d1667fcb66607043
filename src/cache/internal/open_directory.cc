#include "cache/internal/open_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "cache/internal/cache_files.h"
#include "cache/internal/slot_record.h"
#include "cache/internal/super_block.h"

namespace stoker::cache::internal {

namespace {

// Of records in one read: 1 MiB.
constexpr std::size_t kReadAhead = 16384;
// Of a call that is two writes of 4 KiB and their flushes.
constexpr std::chrono::seconds kEpochWait{10};
constexpr std::chrono::milliseconds kEpochPoll{1};

core::Status BothDamaged(const std::string& path) {
  return {core::Code::kCorruption,
          fmt::format("both super blocks are damaged, and what it holds is "
                      "lost; format it again: stoker cache format {} --size "
                      "SIZE --force",
                      path)};
}

// The lock among those who write super blocks, held until the result is
// destroyed. It is that of the table, opened anew, for `lock` is held by all
// who have the cache open.
core::Result<std::unique_ptr<DiskFile>> LockSupers(Disk& disk,
                                                   core::Clock& clock,
                                                   const std::string& path) {
  STOKER_ASSIGN(std::unique_ptr<DiskFile> file,
                disk.Open(InFolder(path, kRecordsFile), DiskOpen::kReadWrite));
  const core::TimePoint deadline = clock.Now() + kEpochWait;
  while (true) {
    STOKER_ASSIGN(const bool taken, file->TryLock(DiskLock::kExclusive));
    if (taken) {
      return file;
    }
    const core::TimePoint now = clock.Now();
    if (now >= deadline) {
      return core::Status(
          core::Code::kTimedOut,
          fmt::format("another process has held the lock of {} for {} s; "
                      "lslocks says which; end it",
                      InFolder(path, kRecordsFile), kEpochWait.count()));
    }
    clock.SleepUntil(now + kEpochPoll);
  }
}

// Of a cache that is open or about to be.
core::Result<SuperPair> ReadWholePair(Disk& disk, core::Clock& clock,
                                      const std::string& path) {
  STOKER_ASSIGN(SuperPair pair, ReadSuperPair(disk, path));
  if (!pair.Newest() && pair.Any(SuperPair::State::kDamaged)) {
    // Either may have been seen while it was written.
    STOKER_ASSIGN(const std::unique_ptr<DiskFile> lock,
                  LockSupers(disk, clock, path));
    STOKER_ASSIGN(pair, ReadSuperPair(disk, path));
  }
  return pair;
}

class OpenDirectory final : public Directory {
 public:
  struct Files {
    std::unique_ptr<DiskFile> lock;  // held, so that nobody removes the cache
    std::unique_ptr<DiskFile> records;
  };
  OpenDirectory(Disk& disk, core::Clock& clock, std::string path,
                const SuperBlock& super, Files files)
      : disk_(disk),
        clock_(clock),
        path_(std::move(path)),
        super_(super),
        seed_(RecordSeed(super.id)),
        files_(std::move(files)) {}

  const std::string& path() const override { return path_; }
  const CacheId& id() const override { return super_.id; }
  const Geometry& geometry() const override { return super_.geometry; }
  std::uint64_t quota_bytes() const override { return super_.quota_bytes; }
  std::vector<std::string> slot_files() const override;
  std::uint64_t slot_file_bytes() const override {
    return super_.slot_file_bytes;
  }
  core::Status WriteRecord(std::uint32_t slot,
                           const SlotRecord& record) override;
  core::Status FlushRecords() override;
  core::Result<std::uint64_t> ReadRecords(
      const std::function<void(std::uint32_t, const SlotRecord&)>& visit)
      override;
  core::Result<std::uint32_t> NextEpoch() override;

 private:
  core::Status CheckRecord(std::uint32_t slot, const SlotRecord& record) const;
  core::Result<std::uint32_t> TryNextEpoch();

  Disk& disk_;
  core::Clock& clock_;
  const std::string path_;
  const SuperBlock super_;  // as it was when this was opened
  const std::uint32_t seed_;
  const Files files_;
  // Held while flushing: of two at once, the kernel would tell only one that
  // the other's records were lost.
  std::mutex flush_mutex_;
  bool flush_failed_ = false;  // guarded by flush_mutex_
};

std::vector<std::string> OpenDirectory::slot_files() const {
  std::vector<std::string> paths;
  for (const ExpectedFile& expected : ExpectedFiles(super_)) {
    if (expected.name != kRecordsFile) {
      paths.push_back(InFolder(path_, expected.name));
    }
  }
  return paths;
}

core::Status OpenDirectory::CheckRecord(std::uint32_t slot,
                                        const SlotRecord& record) const {
  const bool state_is_kept = record.state == SlotState::kFree ||
                             record.state == SlotState::kValid ||
                             record.state == SlotState::kDirty;
  if (slot < geometry().slots() && state_is_kept &&
      (record.state == SlotState::kFree ||
       record.length <= geometry().BytesOf(slot))) {
    return {};
  }
  return {core::Code::kInvalidArgument,
          fmt::format("write a record of cache {}: slot {} of {}, state {}, {} "
                      "bytes",
                      path_, slot, geometry().slots(),
                      static_cast<int>(record.state), record.length)};
}

core::Status OpenDirectory::WriteRecord(std::uint32_t slot,
                                        const SlotRecord& record) {
  STOKER_TRY(CheckRecord(slot, record));
  return Explained(files_.records->WriteAt(std::uint64_t{slot} * kRecordBytes,
                                           EncodeRecord(slot, record, seed_)),
                   "write a record of", path_);
}

core::Status OpenDirectory::FlushRecords() {
  const std::scoped_lock lock(flush_mutex_);
  if (flush_failed_) {
    return {core::Code::kIoError,
            fmt::format("flush the records of cache {}: an earlier flush "
                        "failed, and what it lost is not known; open the cache "
                        "again, which finds what is whole",
                        path_)};
  }
  const core::Status status = files_.records->Flush();
  flush_failed_ = !status.ok();
  return Explained(status, "flush the records of", path_);
}

core::Result<std::uint64_t> OpenDirectory::ReadRecords(
    const std::function<void(std::uint32_t, const SlotRecord&)>& visit) {
  const std::uint32_t slots = geometry().slots();
  std::vector<std::byte> bytes(std::min<std::size_t>(slots, kReadAhead) *
                               kRecordBytes);
  std::uint64_t damaged = 0;
  SlotRecord record;
  for (std::uint32_t slot = 0; slot < slots;) {
    const std::size_t count = std::min<std::size_t>(slots - slot, kReadAhead);
    const std::span<std::byte> piece =
        std::span(bytes).first(count * kRecordBytes);
    STOKER_ASSIGN(
        const std::size_t got,
        files_.records->ReadAt(std::uint64_t{slot} * kRecordBytes, piece));
    if (got != piece.size()) {
      return core::Status(
          core::Code::kCorruption,
          fmt::format("read the records of cache {}: the table has become "
                      "shorter; format it again",
                      path_));
    }
    for (std::size_t i = 0; i < count; ++i, ++slot) {
      const std::span<const std::byte, kRecordBytes> stored(
          piece.data() + i * kRecordBytes, kRecordBytes);
      const RecordState state = DecodeRecord(stored, slot, seed_, record);
      if (state == RecordState::kWhole &&
          record.length <= geometry().BytesOf(slot)) {
        visit(slot, record);
      } else if (state != RecordState::kFree) {
        ++damaged;
      }
    }
  }
  return damaged;
}

core::Result<std::uint32_t> OpenDirectory::NextEpoch() {
  auto epoch = TryNextEpoch();
  return epoch.ok() ? epoch
                    : core::Result<std::uint32_t>(
                          Explained(epoch.status(), "number a use of", path_));
}

core::Result<std::uint32_t> OpenDirectory::TryNextEpoch() {
  STOKER_ASSIGN(const std::unique_ptr<DiskFile> lock,
                LockSupers(disk_, clock_, path_));
  STOKER_ASSIGN(const SuperPair pair, ReadSuperPair(disk_, path_));
  const std::optional<std::size_t> newest = pair.Newest();
  if (!newest) {
    return BothDamaged(path_);
  }
  SuperBlock next = pair.sides[*newest].block;
  if (next.id != super_.id) {
    return core::Status(core::Code::kUnavailable,
                        "it has been replaced by another; open it again");
  }
  const std::size_t other = 1 - *newest;
  const bool alone = pair.sides[other].state != SuperPair::State::kWhole;
  // The damaged one may have been the newer, and its number given.
  const std::uint32_t step = alone ? 2 : 1;
  if (next.epoch > UINT32_MAX - step) {
    return core::Status(core::Code::kUnsupported,
                        "all numbers are used up; format it again");
  }
  STOKER_TRY(FlushSuper(disk_, path_, *newest));
  next.epoch += step;
  ++next.sequence;
  STOKER_TRY(WriteSuper(disk_, path_, other, next));
  if (alone) {
    // Both blocks are to know of the gap, lest the next damage hit this one.
    ++next.sequence;
    STOKER_TRY(WriteSuper(disk_, path_, *newest, next));
  }
  return next.epoch;
}

// That the files are there and as long as the super block says.
core::Status CheckFiles(Disk& disk, const std::string& path,
                        const SuperBlock& super) {
  for (const ExpectedFile& expected : ExpectedFiles(super)) {
    const auto file =
        disk.Open(InFolder(path, expected.name), DiskOpen::kReadWrite);
    const bool missing =
        !file.ok() && file.status().code() == core::Code::kNotFound;
    if (!missing) {
      STOKER_TRY(file.status());
    }
    std::uint64_t bytes = 0;
    if (!missing) {
      STOKER_ASSIGN(bytes, file.value()->Size());
    }
    if (bytes != expected.bytes) {
      return {core::Code::kCorruption,
              fmt::format(
                  "{} {} instead of {} bytes; format it again: stoker "
                  "cache format {} --size SIZE --force",
                  expected.name,
                  missing ? "is missing" : fmt::format("has {} bytes", bytes),
                  expected.bytes, path)};
    }
  }
  return {};
}

core::Result<std::unique_ptr<Directory>> TryOpen(Disk& disk, core::Clock& clock,
                                                 const std::string& path) {
  const auto no_cache = [&path](std::string_view why) {
    return core::Status(
        core::Code::kNotFound,
        fmt::format("{}; format it: stoker cache format {} --size SIZE", why,
                    path));
  };
  auto lock = TakeLock(disk, path, DiskOpen::kRead, DiskLock::kShared);
  if (!lock.ok() && lock.status().code() == core::Code::kNotFound) {
    return no_cache(disk.List(path).ok() ? "there is none in the folder"
                                         : "there is no such folder");
  }
  STOKER_TRY(lock.status());
  STOKER_ASSIGN(const SuperPair pair, ReadWholePair(disk, clock, path));
  if (pair.Any(SuperPair::State::kOtherVersion)) {
    return core::Status(
        core::Code::kUnsupported,
        fmt::format("it is not of version {} of the format, which is the one "
                    "this program knows; use the program that made it, or "
                    "format it again: stoker cache format {} --size SIZE "
                    "--force",
                    kFormatVersion, path));
  }
  const std::optional<std::size_t> newest = pair.Newest();
  if (!newest) {
    return pair.Any(SuperPair::State::kDamaged)
               ? BothDamaged(path)
               : no_cache("its formatting was not finished");
  }
  const SuperBlock& super = pair.sides[*newest].block;
  STOKER_TRY(CheckFiles(disk, path, super));
  STOKER_ASSIGN(std::unique_ptr<DiskFile> records,
                disk.Open(InFolder(path, kRecordsFile), DiskOpen::kReadWrite));
  return std::unique_ptr<Directory>(std::make_unique<OpenDirectory>(
      disk, clock, path, super,
      OpenDirectory::Files{.lock = std::move(lock).value(),
                           .records = std::move(records)}));
}

}  // namespace

core::Result<std::unique_ptr<Directory>> OpenOn(Disk& disk, core::Clock& clock,
                                                const std::string& path) {
  auto opened = TryOpen(disk, clock, path);
  return opened.ok() ? std::move(opened)
                     : core::Result<std::unique_ptr<Directory>>(
                           Explained(opened.status(), "open", path));
}

}  // namespace stoker::cache::internal
