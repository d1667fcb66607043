#include "cache/internal/foresight.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace stoker::cache::internal {

void Foresight::SetOrder(storage::ReadOrder& order) {
  const std::uint64_t points =
      (std::uint64_t{order.epochs()} + 1) * order.positions();
  // The last one must differ from kNeverAgain.
  shift_ = static_cast<std::uint32_t>(
      std::max(0, static_cast<int>(std::bit_width(points + 1)) - 32));
  order_.store(&order, std::memory_order_release);
}

void Foresight::BeginEpoch(std::uint32_t epoch) {
  const std::scoped_lock lock(mutex_);
  if (has_order()) {
    plan()->BeginEpoch(epoch);
  }
  position_ = 0;
  epoch_ = epoch;
}

std::uint32_t Foresight::UseAt(storage::ReadPoint point) const {
  return static_cast<std::uint32_t>(
      (point.epoch * order().positions() + point.position) >> shift_);
}

Uses Foresight::OnRead(std::uint64_t number) {
  if (!has_order() || number == storage::ReadOrder::kNone) {
    return {};
  }
  storage::ReadPoint now = reader();
  if (now.epoch > 0) {
    if (!has_read()) {
      has_read_ = true;
    }
    // One that is late stays behind the latest.
    const std::optional<std::uint64_t> position =
        order().PositionOf(number, now.epoch, now.position);
    if (position.has_value()) {
      while (now.position < *position &&
             !position_.compare_exchange_weak(now.position, *position)) {
      }
      now.position = std::max(now.position, *position);
    }
  }
  const std::optional<storage::ReadPoint> next = order().NextUse(number, now);
  return {.now = UseAt(now),
          .next = next.has_value() ? UseAt(*next) : kNeverAgain};
}

}  // namespace stoker::cache::internal
