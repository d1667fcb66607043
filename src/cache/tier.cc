#include "cache/tier.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "cache/internal/write_budget.h"
#include "cache/theory_endurance.h"
#include "core/check.h"

namespace stoker::cache {

namespace {

// How long another process of the host may take to make the cache.
constexpr core::Nanos kFormatPatience = std::chrono::minutes(2);

// Opens the cache, or makes it where there is none; all processes of a host do
// so at once, and one of them is first.
core::Result<std::unique_ptr<Directory>> OpenOrFormat(
    const std::string& path, const CacheOptions& options, core::Clock& clock) {
  const core::TimePoint deadline = clock.Now() + kFormatPatience;
  while (true) {
    core::Result<std::unique_ptr<Directory>> opened = Directory::Open(path);
    core::Status status = opened.status();
    if (status.code() == core::Code::kNotFound && options.quota_bytes > 0) {
      status =
          Directory::Format(path, {.quota_bytes = options.quota_bytes,
                                   .slot_bytes = options.slot_bytes,
                                   .small_slot_bytes = options.small_slot_bytes,
                                   .small_share = options.small_share});
      if (status.ok() || status.code() == core::Code::kInvalidArgument) {
        opened = Directory::Open(path);
        status = opened.ok() ? core::Status() : status;
      }
    }
    if (opened.ok()) {
      return opened;
    }
    if (status.code() != core::Code::kUnavailable || clock.Now() >= deadline) {
      return status.ok() ? opened.status() : status;
    }
    clock.SleepUntil(clock.Now() + std::chrono::milliseconds(20));
  }
}

core::Result<std::unique_ptr<Directory>> OpenDirectory(
    const std::string& path, const CacheOptions& options, core::Clock& clock) {
  core::Result<std::unique_ptr<Directory>> opened =
      OpenOrFormat(path, options, clock);
  if (opened.ok() && options.quota_bytes > 0 &&
      opened.value()->quota_bytes() != options.quota_bytes) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("cache {}: it was made for {} bytes, not {}; remedy: leave "
                    "out size, or make it anew: stoker cache format --force",
                    path, opened.value()->quota_bytes(), options.quota_bytes));
  }
  return opened;
}

// What the device below may be written to a day.
core::Result<double> RatedBytesPerDay(const std::string& path,
                                      const CacheOptions& options) {
  std::error_code failed;
  const std::filesystem::space_info space =
      std::filesystem::space(path, failed);
  if (failed) {
    return core::Status::FromErrno(failed.value(), "look at " + path);
  }
  return DailyBudgetBytes(options.drive_writes_per_day,
                          static_cast<double>(space.capacity));
}

core::Result<std::uint32_t> RestoreRecords(Directory& directory,
                                           const Index::Restore& restore,
                                           bool cold) {
  STOKER_ASSIGN(const std::uint32_t epoch, directory.NextEpoch());
  const auto kept = [&](std::uint32_t slot, const SlotRecord& record) {
    // What the store does not have is not let go of.
    if (!cold || record.state == SlotState::kDirty) {
      restore(slot, record);
    }
  };
  STOKER_TRY(directory.ReadRecords(kept).status());
  // A slot is used less than 2^16 times between two losses of the index, or
  // else a checksum begins as one did that far back.
  return epoch << 16U | 1U;
}

}  // namespace

Tier::Tier(std::unique_ptr<storage::BlockDevice> device,
           std::vector<TierUnit> units, double rated_bytes_per_day)
    : device_(std::move(device)),
      units_(std::move(units)),
      rated_bytes_per_day_(rated_bytes_per_day) {
  STOKER_CHECK(!units_.empty());
  for (const TierUnit& unit : units_) {
    slots_ += unit.index->geometry().slots();
  }
}

std::size_t Tier::NumberOf(const Fingerprint& key) const {
  if (units_.size() == 1) {
    return 0;
  }
  // Another part of the key than the bucket within the unit is chosen by.
  std::uint64_t at = ((key.high >> 32U) * slots_) >> 32U;
  for (std::size_t number = 0; number < units_.size(); ++number) {
    const std::uint64_t slots = units_[number].index->geometry().slots();
    if (at < slots) {
      return number;
    }
    at -= slots;
  }
  return units_.size() - 1;
}

core::Result<std::unique_ptr<Tier>> OpenTier(const CacheOptions& options,
                                             const std::string& run,
                                             core::Clock& clock) {
  std::vector<TierUnit> units;
  std::vector<std::string> files;
  double rated_bytes_per_day = 0;
  for (const std::string& path : options.directories) {
    TierUnit unit;
    STOKER_ASSIGN(unit.directory, OpenDirectory(path, options, clock));
    Directory& directory = *unit.directory;
    if (!units.empty() &&
        directory.geometry() != units.front().directory->geometry()) {
      return core::Status(
          core::Code::kInvalidArgument,
          fmt::format("cache {}: it is cut otherwise than {}; remedy: make one "
                      "of them anew, with the size and slots of the other: "
                      "stoker cache format --force",
                      path, options.directories.front()));
    }
    const bool cold = options.start == Start::kCold;
    STOKER_ASSIGN(const double rated, RatedBytesPerDay(path, options));
    rated_bytes_per_day += rated;
    core::Result<std::unique_ptr<Index>> index = Index::Attach(
        {.id = directory.id(),
         .geometry = directory.geometry(),
         .policy = options.policy,
         .seed = options.seed,
         .run = run,
         .start_empty = cold,
         .write_bytes_per_day =
             options.write_budget ? rated : internal::kNoBudget},
        [&](const Index::Restore& restore) {
          return RestoreRecords(directory, restore, cold);
        },
        clock);
    if (!index.ok()) {
      return index.status().WithContext("cache " + path);
    }
    unit.index = std::move(index).value();
    unit.device_offset = files.size() * directory.slot_file_bytes();
    for (std::string& file : directory.slot_files()) {
      files.push_back(std::move(file));
    }
    units.push_back(std::move(unit));
  }
  const std::uint64_t file_bytes = units.front().directory->slot_file_bytes();
  STOKER_ASSIGN(std::unique_ptr<storage::BlockDevice> device,
                storage::OpenBlockFiles(files, file_bytes, options.engine));
  return std::make_unique<Tier>(std::move(device), std::move(units),
                                rated_bytes_per_day);
}

}  // namespace stoker::cache
