#pragma once

// What the tests of a cache's folder share.

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "cache/directory.h"
#include "cache/internal/format.h"
#include "cache/internal/open_directory.h"
#include "core/check.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/units.h"
#include "tests/cache/power_loss_disk.h"

namespace stoker::testing {

// Four slots of 64 KiB and four of 16 KiB: beside them each costs 256 bytes,
// and all of them 64 KiB.
// 65536 + 4 * (65536 + 256) + 4 * (16384 + 256) = 395264. Of the 329728 bytes
// behind the first term a fifth is 65945, which is 3 small slots; the other
// 279808 bytes are 4 large ones and, exactly, one small one.
inline cache::FormatOptions EightSlots() {
  return {.quota_bytes = 395264,
          .slot_bytes = 64U << 10,
          .small_slot_bytes = 16U << 10,
          .small_share = 0.2};
}
inline constexpr std::uint32_t kLargeSlots = 4;
inline constexpr std::uint32_t kDirectorySlots = 8;

// Two slots in a file: 327680 bytes of slots are three.
inline constexpr std::uint64_t kTwoLargeSlots = 2U * (64U << 10);

// Where caches lie on a PowerLossDisk.
inline const std::string kPlace = "/cache";

inline core::Status FormatAt(PowerLossDisk& disk,
                             const cache::FormatOptions& options) {
  return cache::internal::FormatOn(disk, kPlace, options, kTwoLargeSlots);
}

// Of threads that are not attached: waiting lets time jump.
inline core::VirtualClock& JumpingClock() {
  static core::VirtualClock clock;
  return clock;
}

inline core::Result<std::unique_ptr<cache::Directory>> TryOpen(
    PowerLossDisk& disk) {
  return cache::internal::OpenOn(disk, JumpingClock(), kPlace);
}

template <class T>
T Value(core::Result<T> result) {
  if (!result.ok()) {
    std::cerr << result.status().ToString() << '\n';
  }
  STOKER_CHECK(result.ok());
  return std::move(result).value();
}

inline std::unique_ptr<cache::Directory> OpenAt(PowerLossDisk& disk) {
  return Value(TryOpen(disk));
}

// A disk with an empty cache of EightSlots, all flushed.
inline std::unique_ptr<PowerLossDisk> FormattedDisk() {
  auto disk = std::make_unique<PowerLossDisk>();
  const core::Status status = FormatAt(*disk, EightSlots());
  STOKER_CHECK(status.ok());
  return disk;
}

// Different in all fields for each `number`.
inline cache::SlotRecord RecordOf(std::uint64_t number) {
  core::CounterRandom random(core::StreamKey(number));
  cache::SlotRecord record{
      .state = random() % 2 == 0 ? cache::SlotState::kValid
                                 : cache::SlotState::kDirty,
      .key = {.high = random(), .low = random()},
      .generation = static_cast<std::uint32_t>(number),
      .length = static_cast<std::uint32_t>(random.Below((16U << 10) + 1))};
  for (std::uint32_t& crc : record.crc) {
    crc = static_cast<std::uint32_t>(random());
  }
  return record;
}

struct Table {
  std::map<std::uint32_t, cache::SlotRecord> records{};
  std::uint64_t damaged = 0;
  friend bool operator==(const Table&, const Table&) = default;
};

inline Table ReadTable(cache::Directory& directory) {
  Table table;
  table.damaged = Value(directory.ReadRecords(
      [&table](std::uint32_t slot, const cache::SlotRecord& record) {
        table.records.emplace(slot, record);
      }));
  return table;
}

}  // namespace stoker::testing
