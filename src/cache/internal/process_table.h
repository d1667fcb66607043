#pragma once

// The processes that use an index, and what each of them has pinned.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/slot_entry.h"
#include "core/status.h"

namespace stoker::cache::internal {

inline constexpr std::size_t kMostProcesses = 128;
inline constexpr std::size_t kPinsPerProcess = 512;

// A process is known by its number and the time it started at, in clock ticks
// since the boot: numbers are used again.
struct ProcessRow {
  // 0: the row is free. Negative: its process is dead, and this one takes back
  // what it had.
  std::atomic<std::int32_t> pid;
  std::atomic<std::uint64_t> started;
  std::array<std::atomic<char>, 48> run;  // zero-terminated
  std::atomic<std::uint32_t> reserved;    // slots promised for dirty blocks
  // Slots that must not be used for something else, or kNoSlot (hazard
  // pointers: Michael, IEEE TPDS 2004). A dead process's count for nothing, so
  // that nothing has to be taken back after it.
  std::array<std::atomic<std::uint32_t>, kPinsPerProcess> pins;
};

// What /proc/<pid>/stat says.
struct ProcessFacts {
  bool gone = false;          // there is no such process, or it has ended
  bool known = false;         // else: whether it could be asked
  char state = '?';           // field 3
  std::uint64_t started = 0;  // field 22
};
ProcessFacts FactsOf(std::int32_t pid);

// A view of rows in shared memory. Safe for concurrent use.
class ProcessTable {
 public:
  explicit ProcessTable(std::array<ProcessRow, kMostProcesses>& rows)
      : rows_(rows) {}

  // Before first use.
  void Reset();
  // A row for this process, of the run `run` ("": of none, who get along with
  // everybody). kUnavailable: no row is free, or a row is of another run.
  core::Result<std::uint16_t> Join(std::string_view run);
  void Leave(std::uint16_t row);
  // Whether no process has the row; true for what is no row at all.
  bool IsFree(std::uint16_t row) const;
  // False for a row that is free, or whose process is gone. Asks the kernel.
  bool IsAlive(std::uint16_t row) const;
  // Whether the row is taken by a process that is gone.
  bool IsDead(std::uint16_t row) const;
  // Whether the row's process is gone, and the caller's is now the one who
  // takes back what it had: until Leave nobody moves in.
  bool BeginBurial(std::uint16_t row);
  std::int32_t PidOf(std::uint16_t row) const;
  // Whether its process is stopped (SIGSTOP), or being traced and held.
  bool IsStopped(std::uint16_t row) const;
  // Living processes besides the one of `row`.
  std::size_t Others(std::uint16_t row) const;

  std::atomic<std::uint32_t>& pin(std::uint16_t row, std::size_t cell) {
    return rows_[row].pins[cell];
  }
  std::atomic<std::uint32_t>& reserved(std::uint16_t row) {
    return rows_[row].reserved;
  }
  std::uint64_t Reserved() const;  // of all
  bool IsPinned(std::uint32_t slot) const;

 private:
  std::array<ProcessRow, kMostProcesses>& rows_;
};

}  // namespace stoker::cache::internal
