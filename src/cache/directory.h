#pragma once

// The folder a cache keeps on a device: slot files, two super blocks, and a
// table that says what is in each slot.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cache/slot_entry.h"
#include "core/status.h"

namespace stoker::cache {

// Slots of one size. Numbers run through the classes, the large ones first.
struct SlotClass {
  std::uint64_t slot_bytes = 0;  // a multiple of 16 KiB; 0: no such class
  std::uint32_t slots = 0;
};

// How the bytes of a cache are cut. The slots of a class lie one behind the
// other, those of the second class behind those of the first.
struct Geometry {
  std::array<SlotClass, 2> classes{};

  std::uint32_t slots() const { return classes[0].slots + classes[1].slots; }
  std::uint64_t data_bytes() const;          // of all slots
  std::size_t ClassOf(std::uint32_t slot) const;
  std::uint64_t OffsetOf(std::uint32_t slot) const;  // on the device
  std::uint64_t BytesOf(std::uint32_t slot) const;
  friend bool operator==(const Geometry&, const Geometry&) = default;
};

struct FormatOptions {
  std::uint64_t quota_bytes = 0;  // of all files of the folder together
  std::uint64_t slot_bytes = 1U << 20;
  std::uint64_t small_slot_bytes = 256U << 10;  // 0: one class only
  double small_share = 0.1;  // of the bytes, for the small slots
  // Writes zeros to every slot, so that no later write has to convert reserved
  // space; takes as long as writing the quota does.
  bool zero = false;
  bool force = false;  // replaces the cache that is there
};

// The most slots that fit: slots, table and super blocks together are at most
// quota_bytes. kInvalidArgument: sizes that are no slot sizes, or no room for
// one slot of each class.
core::Result<Geometry> PlanGeometry(const FormatOptions& options);

struct CacheId {
  std::array<std::uint8_t, 16> bytes{};
  std::string ToString() const;  // 32 hexadecimal digits
  friend bool operator==(const CacheId&, const CacheId&) = default;
};

// What the table holds of a slot: 64 bytes with a checksum of their own.
struct SlotRecord {
  SlotState state = SlotState::kFree;  // kFree, kValid or kDirty
  Fingerprint key;
  std::uint32_t generation = 0;
  std::uint32_t length = 0;  // bytes
  std::array<std::uint32_t, kGranulesPerSlot> crc{};
};

// Safe for concurrent use by threads and processes, but for Format. Every
// operation is whole or can be told from one that is not: a super block is one
// of two with a checksum, a record has its own, and what is in a slot is proved
// by its checksums. So nothing needs an order or a flush but what is marked.
class Directory {
 public:
  // Makes the folder if missing, reserves all space for good and writes the
  // super blocks last. kInvalidArgument: a cache is there and not `force`, or
  // other files are. kIoError with errno 28 (no space): says how much is
  // missing and leaves nothing behind. kUnavailable: somebody has it open.
  static core::Status Format(const std::string& path,
                             const FormatOptions& options);
  // kNotFound: no folder, or no cache in it. kCorruption: both super blocks
  // are damaged, or a file is shorter than they say. kUnsupported: of another
  // version of the format. kPermission.
  static core::Result<std::unique_ptr<Directory>> Open(
      const std::string& path);
  // Removes the files of a cache, and the folder if it was made by Format and
  // is empty then. kUnavailable: somebody has it open.
  static core::Status Remove(const std::string& path);

  virtual ~Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  virtual const std::string& path() const = 0;
  virtual const CacheId& id() const = 0;
  virtual const Geometry& geometry() const = 0;
  virtual std::uint64_t quota_bytes() const = 0;
  // For storage::OpenBlockFiles.
  virtual std::vector<std::string> slot_files() const = 0;
  virtual std::uint64_t slot_file_bytes() const = 0;

  // Writes the record of a slot; not flushed.
  virtual core::Status WriteRecord(std::uint32_t slot,
                                   const SlotRecord& record) = 0;
  // Records and what was written before them are on stable storage.
  virtual core::Status FlushRecords() = 0;
  // Calls `visit` for each slot whose record is whole and not kFree, in order
  // of the slots. Damaged ones are counted and passed over: returns how many.
  // At least a million a second.
  virtual core::Result<std::uint64_t> ReadRecords(
      const std::function<void(std::uint32_t, const SlotRecord&)>& visit) = 0;
  // A number no earlier call of any process has given for this cache: told
  // apart are the uses of slots before and after their index was lost.
  // Durable when it returns.
  virtual core::Result<std::uint32_t> NextEpoch() = 0;

 protected:
  Directory() = default;
};

}  // namespace stoker::cache
