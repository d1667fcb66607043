#include "cache/internal/slot_record.h"

#include <cstring>

#include "core/byte_order.h"
#include "core/crc.h"

namespace stoker::cache::internal {

namespace {

constexpr std::size_t kAtKeyHigh = 0;
constexpr std::size_t kAtKeyLow = 8;
constexpr std::size_t kAtGeneration = 16;
constexpr std::size_t kAtLength = 20;
constexpr std::size_t kAtGranules = 24;
constexpr std::size_t kAtSlot = 40;
constexpr std::size_t kAtState = 44;
constexpr std::size_t kAtCrc = kRecordBytes - 4;

constexpr RecordBytes kZeros{};

}  // namespace

std::uint32_t RecordSeed(const CacheId& id) {
  return core::Crc32c(std::as_bytes(std::span(id.bytes)));
}

RecordBytes EncodeRecord(std::uint32_t slot, const SlotRecord& record,
                         std::uint32_t seed) {
  RecordBytes bytes{};
  if (record.state == SlotState::kFree) {
    return bytes;
  }
  core::StoreLe(bytes, kAtKeyHigh, record.key.high);
  core::StoreLe(bytes, kAtKeyLow, record.key.low);
  core::StoreLe(bytes, kAtGeneration, record.generation);
  core::StoreLe(bytes, kAtLength, record.length);
  std::size_t at = kAtGranules;
  for (const std::uint32_t crc : record.crc) {
    core::StoreLe(bytes, at, crc);
    at += sizeof(crc);
  }
  core::StoreLe(bytes, kAtSlot, slot);
  core::StoreLe(bytes, kAtState, static_cast<std::uint32_t>(record.state));
  core::StoreLe(bytes, kAtCrc,
                core::Crc32c(std::span(bytes).first(kAtCrc), seed));
  return bytes;
}

RecordState DecodeRecord(std::span<const std::byte, kRecordBytes> bytes,
                         std::uint32_t slot, std::uint32_t seed,
                         SlotRecord& record) {
  if (std::memcmp(bytes.data(), kZeros.data(), kRecordBytes) == 0) {
    return RecordState::kFree;
  }
  const auto state = core::LoadLe<std::uint32_t>(bytes, kAtState);
  if (core::LoadLe<std::uint32_t>(bytes, kAtCrc) !=
          core::Crc32c(bytes.first(kAtCrc), seed) ||
      core::LoadLe<std::uint32_t>(bytes, kAtSlot) != slot ||
      (state != static_cast<std::uint32_t>(SlotState::kValid) &&
       state != static_cast<std::uint32_t>(SlotState::kDirty))) {
    return RecordState::kDamaged;
  }
  record.state = static_cast<SlotState>(state);
  record.key.high = core::LoadLe<std::uint64_t>(bytes, kAtKeyHigh);
  record.key.low = core::LoadLe<std::uint64_t>(bytes, kAtKeyLow);
  record.generation = core::LoadLe<std::uint32_t>(bytes, kAtGeneration);
  record.length = core::LoadLe<std::uint32_t>(bytes, kAtLength);
  std::size_t at = kAtGranules;
  for (std::uint32_t& crc : record.crc) {
    crc = core::LoadLe<std::uint32_t>(bytes, at);
    at += sizeof(crc);
  }
  return RecordState::kWhole;
}

}  // namespace stoker::cache::internal
