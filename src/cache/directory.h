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

inline constexpr std::uint64_t kSlotUnitBytes = 16U << 10;  // granules: pages
inline constexpr std::uint64_t kMostSlotBytes = 256U << 20;

// What a slot takes of the quota beside its bytes: 64 for its record, 192 for
// what the file system keeps about where it lies. That is most where each of
// the four granules is an extent of its own, written while its neighbours are
// not, and the blocks of the file system's tree are half full: 96 bytes on
// ext4 (entries of 12 bytes), 131 on XFS (16 bytes and a head for each block).
inline constexpr std::uint64_t kBytesBesideSlot = 256;
// What a cache takes beside its slots: two super blocks, the lock file, the
// last page of the table, and the first blocks of those trees.
inline constexpr std::uint64_t kBytesBesideSlots = 64U << 10;

// Slots of one size. Numbers run through the classes, the large ones first.
struct SlotClass {
  std::uint64_t slot_bytes = 0;  // of kSlotUnitBytes; 0: no such class
  std::uint32_t slots = 0;
  friend bool operator==(const SlotClass&, const SlotClass&) = default;
};

// How the bytes of a cache are cut. The slots of a class lie one behind the
// other, those of the second class behind those of the first. The size of the
// first is a multiple of the second's, so that each slot begins at a multiple
// of its own size. Slots are below slots().
struct Geometry {
  std::array<SlotClass, 2> classes{};

  std::uint32_t slots() const { return classes[0].slots + classes[1].slots; }
  std::uint64_t data_bytes() const;  // of all slots
  std::size_t ClassOf(std::uint32_t slot) const;
  std::uint64_t OffsetOf(std::uint32_t slot) const;  // on the device
  std::uint64_t BytesOf(std::uint32_t slot) const;
  friend bool operator==(const Geometry&, const Geometry&) = default;
};

struct FormatOptions {
  std::uint64_t quota_bytes = 0;        // of all files of the folder together
  std::uint64_t slot_bytes = 1U << 20;  // of kSlotUnitBytes, to kMostSlotBytes
  // 0: one class only; else slot_bytes is a multiple of it.
  std::uint64_t small_slot_bytes = 256U << 10;
  double small_share = 0.1;  // of the bytes, for the small slots; in (0, 1)
  // Writes zeros to every slot, so that no later write has to convert reserved
  // space; takes as long as writing the quota does.
  bool zero = false;
  bool force = false;  // replaces the cache that is there
};

// The most slots that fit into quota_bytes, where each takes its bytes and
// kBytesBesideSlot, and all together kBytesBesideSlots. The small ones get
// their share rounded down, but one at least, and what is left when there is no
// room for another large one. kInvalidArgument: sizes that are no slot sizes,
// no room for one slot of each class, or more slots than have numbers.
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
  friend bool operator==(const SlotRecord&, const SlotRecord&) = default;
};

// Safe for concurrent use by threads and processes, but for Format. Every
// operation is whole or can be told from one that is not: a super block is one
// of two with a checksum, a record has its own, and what is in a slot is proved
// by its checksums. So nothing needs an order or a flush but what is marked.
class Directory {
 public:
  // Makes the folder if missing (not those above it), reserves all space for
  // good and writes the super blocks last. What an unfinished Format left is
  // replaced. A Format that fails leaves nothing behind; a cache that was there
  // stays, unless the error is kIoError or kUnsupported.
  //   kInvalidArgument: a cache is there and not `force`, or other files are,
  //     or no geometry can be planned
  //   kNotFound: the folder above is missing
  //   kIoError with errno 28 (no space): says how much is missing; found before
  //     anything is touched, if the file system knows
  //   kUnavailable: somebody has it open
  //   kUnsupported: the file system does not reserve space
  //   kPermission
  static core::Status Format(const std::string& path,
                             const FormatOptions& options);
  // kNotFound: no folder, or no cache in it. kCorruption: both super blocks
  // are damaged, or a file is missing or not as long as they say. kUnsupported:
  // of another version of the format. kUnavailable: it is being formatted or
  // removed. kPermission: the files cannot be read and written.
  static core::Result<std::unique_ptr<Directory>> Open(const std::string& path);
  // Removes the files of a cache, whole or not, and the folder if it was made
  // by Format and is empty then. kNotFound: no folder, or no cache in it.
  // kUnavailable: somebody has it open. kPermission.
  static core::Status Remove(const std::string& path);

  virtual ~Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  virtual const std::string& path() const = 0;
  virtual const CacheId& id() const = 0;
  virtual const Geometry& geometry() const = 0;
  virtual std::uint64_t quota_bytes() const = 0;
  // For storage::OpenBlockFiles. No slot lies in two files.
  virtual std::vector<std::string> slot_files() const = 0;
  virtual std::uint64_t slot_file_bytes() const = 0;  // of all but the last

  // Writes the record of a slot; not flushed. kInvalidArgument: no such slot,
  // another state, or a length beyond the slot's.
  virtual core::Status WriteRecord(std::uint32_t slot,
                                   const SlotRecord& record) = 0;
  // Records written before are on stable storage. After it has failed once it
  // fails for good, for nobody can tell what was lost: the kernel reports a
  // failed write once, to whoever asks first, and then takes the pages for
  // clean.
  virtual core::Status FlushRecords() = 0;
  // Calls `visit` for each slot whose record is whole and not kFree, in order
  // of the slots. Damaged ones are counted and passed over: returns how many.
  // A record that is being written meanwhile may count as damaged. At least a
  // million a second.
  virtual core::Result<std::uint64_t> ReadRecords(
      const std::function<void(std::uint32_t, const SlotRecord&)>& visit) = 0;
  // A number no earlier call of any process has given for this cache, also if
  // one super block has been damaged since: told apart are the uses of slots
  // before and after their index was lost. Durable when it returns. Counts up
  // from 1, with gaps. kTimedOut: another process did not finish its call for
  // 10 s. kCorruption: both super blocks are damaged.
  virtual core::Result<std::uint32_t> NextEpoch() = 0;

 protected:
  Directory() = default;
};

}  // namespace stoker::cache
