#pragma once

// The table of commits of a cache, on its device.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/internal/commit.h"
#include "cache/internal/commit_board.h"
#include "cache/tier.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/block_device.h"

namespace stoker::cache::internal {

// The key of a slot of the table: a number, spread over the upper half by which
// slots are looked for.
Fingerprint TableKey(std::uint32_t number);

// A page of the table is two slots of the first directory with the same bytes,
// so that damage to one of them, or to the record of one, loses nothing. It is
// cut into units of 4096 bytes; an entry is some units in a row, with a
// checksum over key, slot, generation and place. A unit is written in whole or
// can be told from one that is not. Slots of a page stay what they are: nobody
// evicts or frees them.
//
// Every call is made with the board's lock held. Belongs to one process, whose
// view of the table it keeps. After kTimedOut it is of no use: what is on its
// way to the device may still arrive.
class CommitTable {
 public:
  // `tier` and `clock` outlive it.
  static core::Result<std::unique_ptr<CommitTable>> Make(Tier& tier,
                                                         core::Clock& clock);
  ~CommitTable();
  CommitTable(const CommitTable&) = delete;
  CommitTable& operator=(const CommitTable&) = delete;

  // Whether nobody has changed anything since. The board's lock need not be
  // held for this and the next.
  bool IsUpToDate();
  // By the number of their first unit.
  const std::map<std::uint32_t, Commit>& entries() const { return entries_; }
  // Brings the view up to date. kIoError and such: as the device says.
  core::Status Refresh();

  // Writes an entry where there is room, in a new page if need be. Not flushed.
  // kUnavailable: there is no slot for another page. An error: it is not there.
  // Returns its first unit.
  core::Result<std::uint32_t> Put(const Commit& commit);
  // Writes it in the place of the one of the same writing, whose texts it has.
  // After a power cut there may be neither.
  core::Status ReplaceWriting(const Commit& commit);
  // Its room is free again. Not flushed.
  core::Status Erase(std::uint32_t unit);
  // What was done is on stable storage.
  core::Status Flush();
  // Makes the first page, if there is none; another, if there is no room.
  core::Status EnsurePage();
  core::Status EnsureRoom(const Commit& commit);
  bool HasRoom(const Commit& commit) const;

  // Whether an entry has room in a page.
  bool Fits(const Commit& commit) const;
  std::uint64_t page_bytes() const { return page_bytes_; }

 private:
  using Copies = std::array<std::optional<DirtySlot>, 2>;
  static constexpr std::uint64_t kMostPageBytes = 1U << 20U;

  CommitTable(Tier& tier, core::Clock& clock);
  CommitBoard& board();
  std::uint32_t units() const;  // of a page
  Copies CopiesOf(std::uint32_t page) const;
  core::Status AddPage();
  core::Result<Claim> ClaimApart(const Fingerprint& key,
                                 const std::optional<DirtySlot>& other);
  core::Result<Index::FoundBlock> ClaimPage(
      const Fingerprint& key, const std::optional<DirtySlot>& other);
  core::Status ReadAll();
  core::Status ReadPage(std::uint32_t page);
  core::Status ReadEntry(std::uint32_t unit);
  std::optional<Commit> Parse(std::span<const std::byte> bytes,
                              const DirtySlot& slot, std::uint32_t copy,
                              std::uint32_t unit) const;
  void Note(std::uint32_t unit, Commit commit);
  void NoteNewer(std::uint32_t unit, Commit commit);
  std::optional<std::uint32_t> RoomFor(std::uint32_t count) const;
  core::Status WriteUnits(std::uint32_t unit, std::span<const std::byte> body,
                          std::uint32_t count);
  core::Status Transfer(storage::BlockOp::Kind kind, const DirtySlot& slot,
                        std::uint64_t offset, std::span<std::byte> buffer);

  Tier& tier_;
  core::Clock& clock_;
  std::uint64_t page_bytes_ = 0;
  core::AlignedBuffer memory_;  // a page; outlives what is on its way
  std::unique_ptr<storage::BlockQueue> queue_;
  std::map<std::uint32_t, Commit> entries_;
  std::uint64_t seen_ = 0;  // changes of the table that the view has
  bool read_ = false;
  core::Status broken_;
};

}  // namespace stoker::cache::internal
