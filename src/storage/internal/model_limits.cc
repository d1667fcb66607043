#include "storage/internal/model_limits.h"

#include <algorithm>
#include <cmath>

namespace stoker::storage::internal {

namespace {

// Finer than a nanosecond: 4 KiB at 100 GB/s take 41 of them.
constexpr std::int64_t kTicksPerNano = 16;
constexpr std::int64_t kMostTicks = INT64_C(1) << 62;

std::int64_t ToTicks(core::TimePoint at) {
  const std::int64_t nanos = at.time_since_epoch().count();
  return std::clamp(nanos, std::int64_t{0}, kMostTicks / kTicksPerNano) *
         kTicksPerNano;
}

// Rounded up: never early.
core::TimePoint FromTicks(std::int64_t ticks) {
  return core::TimePoint(
      core::Nanos((ticks + kTicksPerNano - 1) / kTicksPerNano));
}

std::int64_t TicksOf(double seconds) {
  const double ticks = seconds * 1e9 * kTicksPerNano;
  return ticks < static_cast<double>(kMostTicks) ? std::llround(ticks)
                                                 : kMostTicks;
}

// Reserves `cost` from `earliest` on; returns where it begins.
std::int64_t Reserve(std::atomic<std::int64_t>& taken, std::int64_t earliest,
                     std::int64_t cost) {
  std::int64_t seen = taken.load(std::memory_order_relaxed);
  while (true) {
    const std::int64_t begin = std::max(seen, earliest);
    const std::int64_t end = begin + std::min(cost, kMostTicks - begin);
    if (taken.compare_exchange_weak(seen, end, std::memory_order_relaxed)) {
      return begin;
    }
  }
}

core::TimePoint SlotTime(std::int64_t nanos) {
  return core::TimePoint(core::Nanos(nanos));
}

core::TimePoint Later(core::TimePoint from, core::Nanos by) {
  return core::kNever - from > by ? from + by : core::kNever;
}

}  // namespace

core::TimePoint ModelLimits::Admit(core::TimePoint at) {
  if (caps_.requests_per_second == 0) {
    return at;
  }
  const std::int64_t begin = Reserve(times_.requests, ToTicks(at),
                                     TicksOf(1 / caps_.requests_per_second));
  return std::max(at, FromTicks(begin));
}

ModelLimits::Flow ModelLimits::Transfer(Direction direction,
                                        core::TimePoint earliest,
                                        std::uint64_t bytes) {
  if (caps_.bytes_per_second == 0 || bytes == 0) {
    return {.begin = earliest, .end = earliest};
  }
  const std::int64_t cost =
      TicksOf(static_cast<double>(bytes) / caps_.bytes_per_second);
  const std::int64_t begin = Reserve(
      direction == Direction::kRead ? times_.read_pipe : times_.write_pipe,
      ToTicks(earliest), cost);
  const std::int64_t end = begin + std::min(cost, kMostTicks - begin);
  return {.begin = std::max(earliest, FromTicks(begin)),
          .end = std::max(earliest, FromTicks(end))};
}

core::Nanos ModelLimits::TransferTime(std::uint64_t bytes) const {
  if (caps_.bytes_per_second == 0) {
    return core::Nanos{0};
  }
  const double part =
      caps_.split ? static_cast<double>(caps_.concurrency) : 1.0;
  return FromTicks(TicksOf(static_cast<double>(bytes) * part /
                           caps_.bytes_per_second))
      .time_since_epoch();
}

std::size_t ModelLimits::FirstFree() const {
  std::size_t first = 0;
  std::int64_t at = INT64_MAX;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const std::int64_t free_at = slots_[i].load(std::memory_order_relaxed);
    if (free_at < at) {
      first = i;
      at = free_at;
    }
    if (at == 0) {
      break;  // never used
    }
  }
  return first;
}

std::optional<ModelLimits::Lease> ModelLimits::TryEnter(core::TimePoint arrived,
                                                        core::TimePoint now,
                                                        core::Nanos hold) {
  while (true) {
    const std::size_t slot = FirstFree();
    std::int64_t seen = slots_[slot].load(std::memory_order_relaxed);
    if (SlotTime(seen) > now) {
      if (NextFree() > now) {
        return std::nullopt;
      }
      continue;
    }
    const core::TimePoint begin = std::max(arrived, SlotTime(seen));
    const core::TimePoint until = Later(begin, hold);
    if (slots_[slot].compare_exchange_strong(seen,
                                             until.time_since_epoch().count(),
                                             std::memory_order_relaxed)) {
      return Lease{.slot = slot, .begin = begin, .until = until};
    }
  }
}

ModelLimits::Lease ModelLimits::Enter(core::TimePoint arrived,
                                      core::Nanos hold) {
  while (true) {
    const std::size_t slot = FirstFree();
    std::int64_t seen = slots_[slot].load(std::memory_order_relaxed);
    const core::TimePoint begin = std::max(arrived, SlotTime(seen));
    const core::TimePoint until = Later(begin, hold);
    if (slots_[slot].compare_exchange_strong(seen,
                                             until.time_since_epoch().count(),
                                             std::memory_order_relaxed)) {
      return {.slot = slot, .begin = begin, .until = until};
    }
  }
}

void ModelLimits::Extend(Lease& lease, core::TimePoint until) {
  std::int64_t seen = lease.until.time_since_epoch().count();
  if (until > lease.until &&
      slots_[lease.slot].compare_exchange_strong(
          seen, until.time_since_epoch().count(), std::memory_order_relaxed)) {
    lease.until = until;
  }
}

core::TimePoint ModelLimits::NextFree() const {
  std::int64_t at = INT64_MAX;
  for (const ModelSlot& slot : slots_) {
    at = std::min(at, slot.load(std::memory_order_relaxed));
  }
  return SlotTime(at);
}

}  // namespace stoker::storage::internal
