#include "cache/internal/process_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace stoker::cache::internal {

namespace {

std::string RunOf(const ProcessRow& row) {
  std::string run;
  for (const std::atomic<char>& letter : row.run) {
    const char value = letter.load(std::memory_order_relaxed);
    if (value == '\0') {
      break;
    }
    run.push_back(value);
  }
  return run;
}

void Clear(ProcessRow& row) {
  for (std::atomic<std::uint32_t>& pin : row.pins) {
    pin.store(kNoSlot, std::memory_order_relaxed);
  }
  row.reserved.store(0, std::memory_order_relaxed);
  row.run[0].store('\0', std::memory_order_relaxed);
  row.started.store(0, std::memory_order_relaxed);
  row.pid.store(0, std::memory_order_release);
}

}  // namespace

ProcessFacts FactsOf(std::int32_t pid) {
  const std::string path = fmt::format("/proc/{}/stat", pid);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    // Who has no descriptor left must not take others for dead.
    return {.gone = errno == ENOENT || errno == ESRCH};
  }
  std::array<char, 1024> text{};
  const ssize_t size = ::read(fd, text.data(), text.size());
  const int failed = errno;
  ::close(fd);
  if (size <= 0) {
    return {.gone = size < 0 && failed == ESRCH};
  }
  // Field 2 is the program's name in parentheses, which may hold anything.
  const std::string_view all(text.data(), static_cast<std::size_t>(size));
  std::size_t at = all.rfind(')');
  if (at == std::string_view::npos || at + 2 >= all.size()) {
    return {};
  }
  at += 2;
  ProcessFacts facts{.state = all[at]};
  // Of one that has ended only its parent's wait is missing.
  facts.gone = facts.state == 'Z' || facts.state == 'X';
  for (int field = 3; field < 22 && at != std::string_view::npos; ++field) {
    at = all.find(' ', at);
    at += at == std::string_view::npos ? 0 : 1;
  }
  if (at != std::string_view::npos) {
    const auto [end, error] = std::from_chars(
        all.data() + at, all.data() + all.size(), facts.started);
    facts.known = error == std::errc();
  }
  return facts;
}

void ProcessTable::Reset() {
  for (ProcessRow& row : rows_) {
    Clear(row);
  }
}

bool ProcessTable::IsFree(std::uint16_t row) const {
  return row >= rows_.size() ||
         rows_[row].pid.load(std::memory_order_acquire) == 0;
}

bool ProcessTable::IsAlive(std::uint16_t row) const {
  if (IsFree(row)) {
    return false;
  }
  const std::int32_t pid = PidOf(row);
  if (pid <= 0) {
    return false;
  }
  const ProcessFacts facts = FactsOf(pid);
  const std::uint64_t started =
      rows_[row].started.load(std::memory_order_acquire);
  // 0: it is just moving in.
  return !facts.gone &&
         (!facts.known || started == 0 || started == facts.started);
}

core::Result<std::uint16_t> ProcessTable::Join(std::string_view run) {
  const std::int32_t self = ::getpid();
  std::optional<std::uint16_t> free;
  for (std::uint16_t i = 0; i < kMostProcesses; ++i) {
    std::int32_t pid = rows_[i].pid.load(std::memory_order_acquire);
    if (pid == 0 && !free.has_value() &&
        rows_[i].pid.compare_exchange_strong(pid, self)) {
      free = i;
      continue;
    }
    if (pid <= 0) {
      continue;
    }
    const std::string other = RunOf(rows_[i]);
    if (!run.empty() && !other.empty() && other != run) {
      if (free.has_value()) {
        Clear(rows_[*free]);
      }
      return core::Status(
          core::Code::kUnavailable,
          fmt::format("in use by process {} of run {}; remedy: wait for its "
                      "end, or give this run a directory of its own",
                      pid, other));
    }
  }
  if (!free.has_value()) {
    return core::Status(core::Code::kUnavailable,
                        fmt::format("used by {} processes already, the most "
                                    "there may be",
                                    kMostProcesses));
  }
  ProcessRow& row = rows_[*free];
  const std::size_t length = std::min(run.size(), row.run.size() - 1);
  for (std::size_t i = 0; i < length; ++i) {
    row.run[i].store(run[i], std::memory_order_relaxed);
  }
  row.run[length].store('\0', std::memory_order_relaxed);
  row.started.store(FactsOf(self).started, std::memory_order_release);
  return *free;
}

void ProcessTable::Leave(std::uint16_t row) { Clear(rows_[row]); }

bool ProcessTable::IsStopped(std::uint16_t row) const {
  const std::int32_t pid = PidOf(row);
  const char state = pid > 0 ? FactsOf(pid).state : '?';
  return state == 'T' || state == 't';
}

std::int32_t ProcessTable::PidOf(std::uint16_t row) const {
  return IsFree(row) ? 0 : rows_[row].pid.load(std::memory_order_acquire);
}

bool ProcessTable::BeginBurial(std::uint16_t row) {
  std::int32_t pid = PidOf(row);
  const std::int32_t self = ::getpid();
  // Whoever began before may have died over it.
  const bool dead = pid > 0 ? !IsAlive(row) : pid < 0 && FactsOf(-pid).gone;
  return dead && rows_[row].pid.compare_exchange_strong(pid, -self);
}

bool ProcessTable::IsDead(std::uint16_t row) const {
  return rows_[row].pid.load(std::memory_order_acquire) != 0 && !IsAlive(row);
}

std::size_t ProcessTable::Others(std::uint16_t row) const {
  std::size_t others = 0;
  for (std::uint16_t i = 0; i < kMostProcesses; ++i) {
    others += i != row && IsAlive(i) ? 1 : 0;
  }
  return others;
}

std::uint64_t ProcessTable::Reserved() const {
  std::uint64_t reserved = 0;
  for (const ProcessRow& row : rows_) {
    reserved += row.reserved.load(std::memory_order_relaxed);
  }
  return reserved;
}

bool ProcessTable::IsPinned(std::uint32_t slot) const {
  for (const ProcessRow& row : rows_) {
    if (row.pid.load(std::memory_order_acquire) <= 0) {
      continue;
    }
    for (const std::atomic<std::uint32_t>& pin : row.pins) {
      // Sequentially consistent, with the store in Index::Pin.
      if (pin.load() == slot) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace stoker::cache::internal
