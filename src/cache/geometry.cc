#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "cache/directory.h"
#include "core/units.h"

namespace stoker::cache {

namespace {

core::Status Refused(std::string why) {
  return {core::Code::kInvalidArgument, "plan a cache: " + std::move(why)};
}

std::string Size(std::uint64_t bytes) {
  return core::FormatBytes(static_cast<double>(bytes));
}

core::Status CheckSlotBytes(std::string_view which, std::uint64_t bytes) {
  if (bytes == 0 || bytes % kSlotUnitBytes != 0 || bytes > kMostSlotBytes) {
    return Refused(
        fmt::format("{} slots of {} bytes; allowed are multiples of {} up to "
                    "{}",
                    which, bytes, Size(kSlotUnitBytes), Size(kMostSlotBytes)));
  }
  return {};
}

core::Status CheckSizes(const FormatOptions& options) {
  STOKER_TRY(CheckSlotBytes("large", options.slot_bytes));
  if (options.small_slot_bytes == 0) {
    return {};
  }
  STOKER_TRY(CheckSlotBytes("small", options.small_slot_bytes));
  if (options.small_slot_bytes >= options.slot_bytes ||
      options.slot_bytes % options.small_slot_bytes != 0) {
    return Refused(
        fmt::format("small slots of {} beside large ones of {}; the large must "
                    "be a multiple of the small",
                    Size(options.small_slot_bytes), Size(options.slot_bytes)));
  }
  // Written so that NaN is refused, too.
  if (!(options.small_share > 0 && options.small_share < 1)) {
    return Refused(
        fmt::format("a share of {} for the small slots; allowed is more than 0 "
                    "and less than 1; for none set their size to 0",
                    options.small_share));
  }
  return {};
}

}  // namespace

std::uint64_t Geometry::data_bytes() const {
  return classes[0].slot_bytes * classes[0].slots +
         classes[1].slot_bytes * classes[1].slots;
}

std::size_t Geometry::ClassOf(std::uint32_t slot) const {
  return slot < classes[0].slots ? 0 : 1;
}

std::uint64_t Geometry::OffsetOf(std::uint32_t slot) const {
  if (ClassOf(slot) == 0) {
    return classes[0].slot_bytes * slot;
  }
  return classes[0].slot_bytes * classes[0].slots +
         classes[1].slot_bytes * (slot - classes[0].slots);
}

std::uint64_t Geometry::BytesOf(std::uint32_t slot) const {
  return classes[ClassOf(slot)].slot_bytes;
}

core::Result<Geometry> PlanGeometry(const FormatOptions& options) {
  STOKER_TRY(CheckSizes(options));
  const bool two = options.small_slot_bytes != 0;
  const std::uint64_t large_cost = options.slot_bytes + kBytesBesideSlot;
  const std::uint64_t small_cost =
      two ? options.small_slot_bytes + kBytesBesideSlot : 0;
  const std::uint64_t least = kBytesBesideSlots + large_cost + small_cost;
  if (options.quota_bytes < least) {
    return Refused(fmt::format(
        "{} bytes have no room for {}; it takes {} bytes", options.quota_bytes,
        two ? "one slot of each size" : "one slot", least));
  }
  std::uint64_t left = options.quota_bytes - kBytesBesideSlots;
  std::uint64_t small = 0;
  if (two) {
    const auto share = static_cast<std::uint64_t>(static_cast<double>(left) *
                                                  options.small_share);
    small = std::clamp<std::uint64_t>(share / small_cost, 1,
                                      (left - large_cost) / small_cost);
    left -= small * small_cost;
  }
  const std::uint64_t large = left / large_cost;
  left -= large * large_cost;
  // What is too little for a large slot may do for some small ones.
  small += two ? left / small_cost : 0;
  if (large + small >= kNoSlot) {
    return Refused(
        fmt::format("{} slots in {}; at most {} can be numbered; make them "
                    "larger",
                    large + small, Size(options.quota_bytes), kNoSlot - 1));
  }
  Geometry geometry;
  geometry.classes[0] = {.slot_bytes = options.slot_bytes,
                         .slots = static_cast<std::uint32_t>(large)};
  geometry.classes[1] = {.slot_bytes = options.small_slot_bytes,
                         .slots = static_cast<std::uint32_t>(small)};
  return geometry;
}

}  // namespace stoker::cache
