#include "cache/internal/super_block.h"

#include <algorithm>

#include "cache/internal/cache_files.h"
#include "cache/internal/slot_record.h"
#include "core/byte_order.h"
#include "core/crc.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

constexpr std::uint64_t kMagic = 0x45484341434B5453;  // "STKCACHE"

// Where the fields are. Magic, version and checksum are for all versions.
constexpr std::size_t kAtMagic = 0;
constexpr std::size_t kAtVersion = 8;
constexpr std::size_t kAtEpoch = 12;
constexpr std::size_t kAtId = 16;
constexpr std::size_t kAtSequence = 32;
constexpr std::size_t kAtQuota = 40;
constexpr std::size_t kAtSlotFile = 48;
constexpr std::size_t kAtClasses = 56;
constexpr std::size_t kClassBytes = 12;  // size 8, number 4
constexpr std::size_t kSuperAtCrc = kSuperBytes - 4;

// A block with a right checksum was written by us; what it says is looked at
// all the same, for it is divided by.
bool MakesSense(const SuperBlock& super) {
  const SlotClass& large = super.geometry.classes[0];
  const SlotClass& small = super.geometry.classes[1];
  const auto is_size = [](std::uint64_t bytes) {
    return bytes > 0 && bytes % kSlotUnitBytes == 0 && bytes <= kMostSlotBytes;
  };
  const bool one = small.slot_bytes == 0 && small.slots == 0;
  const bool two = is_size(small.slot_bytes) && small.slots > 0 &&
                   is_size(large.slot_bytes) &&
                   large.slot_bytes % small.slot_bytes == 0;
  return is_size(large.slot_bytes) && large.slots > 0 && (one || two) &&
         std::uint64_t{large.slots} + small.slots < kNoSlot &&
         super.slot_file_bytes > 0 &&
         super.slot_file_bytes % large.slot_bytes == 0 &&
         super.geometry.data_bytes() < super.quota_bytes;
}

}  // namespace

std::array<std::byte, kSuperBytes> EncodeSuper(const SuperBlock& super) {
  std::array<std::byte, kSuperBytes> bytes{};
  core::StoreLe(bytes, kAtMagic, kMagic);
  core::StoreLe(bytes, kAtVersion, kFormatVersion);
  core::StoreLe(bytes, kAtEpoch, super.epoch);
  std::ranges::copy(std::as_bytes(std::span(super.id.bytes)),
                    bytes.begin() + kAtId);
  core::StoreLe(bytes, kAtSequence, super.sequence);
  core::StoreLe(bytes, kAtQuota, super.quota_bytes);
  core::StoreLe(bytes, kAtSlotFile, super.slot_file_bytes);
  std::size_t at = kAtClasses;
  for (const SlotClass& slot_class : super.geometry.classes) {
    core::StoreLe(bytes, at, slot_class.slot_bytes);
    core::StoreLe(bytes, at + 8, slot_class.slots);
    at += kClassBytes;
  }
  core::StoreLe(bytes, kSuperAtCrc,
                core::Crc32c(std::span(bytes).first(kSuperAtCrc)));
  return bytes;
}

core::Result<SuperBlock> DecodeSuper(
    std::span<const std::byte, kSuperBytes> bytes) {
  if (core::LoadLe<std::uint32_t>(bytes, kSuperAtCrc) !=
          core::Crc32c(bytes.first(kSuperAtCrc)) ||
      core::LoadLe<std::uint64_t>(bytes, kAtMagic) != kMagic) {
    return core::Status(core::Code::kCorruption, "super block: is damaged");
  }
  if (core::LoadLe<std::uint32_t>(bytes, kAtVersion) != kFormatVersion) {
    return core::Status(core::Code::kUnsupported,
                        "super block: is of another version of the format");
  }
  SuperBlock super;
  super.epoch = core::LoadLe<std::uint32_t>(bytes, kAtEpoch);
  std::ranges::copy(bytes.subspan(kAtId, super.id.bytes.size()),
                    std::as_writable_bytes(std::span(super.id.bytes)).begin());
  super.sequence = core::LoadLe<std::uint64_t>(bytes, kAtSequence);
  super.quota_bytes = core::LoadLe<std::uint64_t>(bytes, kAtQuota);
  super.slot_file_bytes = core::LoadLe<std::uint64_t>(bytes, kAtSlotFile);
  std::size_t at = kAtClasses;
  for (SlotClass& slot_class : super.geometry.classes) {
    slot_class.slot_bytes = core::LoadLe<std::uint64_t>(bytes, at);
    slot_class.slots = core::LoadLe<std::uint32_t>(bytes, at + 8);
    at += kClassBytes;
  }
  if (!MakesSense(super)) {
    return core::Status(core::Code::kCorruption,
                        "super block: says what cannot be");
  }
  return super;
}

std::vector<ExpectedFile> ExpectedFiles(const SuperBlock& super) {
  std::vector<ExpectedFile> files;
  files.push_back({.name = std::string(kRecordsFile),
                   .bytes = core::PagesUp(std::uint64_t{kRecordBytes} *
                                          super.geometry.slots())});
  std::uint64_t left = super.geometry.data_bytes();
  for (std::size_t i = 0; left > 0; ++i) {
    const std::uint64_t bytes = std::min(left, super.slot_file_bytes);
    files.push_back({.name = SlotFileName(i), .bytes = bytes});
    left -= bytes;
  }
  return files;
}

std::optional<std::size_t> SuperPair::Newest() const {
  std::optional<std::size_t> newest;
  for (std::size_t i = 0; i < sides.size(); ++i) {
    if (sides[i].state == State::kWhole &&
        (!newest || sides[i].block.sequence > sides[*newest].block.sequence)) {
      newest = i;
    }
  }
  return newest;
}

core::Result<SuperPair> ReadSuperPair(Disk& disk, const std::string& folder) {
  using State = SuperPair::State;
  SuperPair pair;
  for (std::size_t i = 0; i < pair.sides.size(); ++i) {
    SuperPair::Side& side = pair.sides[i];
    auto file = disk.Open(InFolder(folder, kSuperFiles[i]), DiskOpen::kRead);
    if (!file.ok() && file.status().code() == core::Code::kNotFound) {
      continue;
    }
    STOKER_TRY(file.status());
    std::array<std::byte, kSuperBytes> bytes{};
    // A medium that cannot read a block has damaged it; the other may do.
    const auto got = file.value()->ReadAt(0, bytes);
    side.state = State::kDamaged;
    if (!got.ok() || got.value() != bytes.size()) {
      continue;
    }
    auto super = DecodeSuper(bytes);
    if (super.ok()) {
      side = {.state = State::kWhole, .block = super.value()};
    } else if (super.status().code() == core::Code::kUnsupported) {
      side.state = State::kOtherVersion;
    }
  }
  return pair;
}

core::Status FlushSuper(Disk& disk, const std::string& folder,
                        std::size_t side) {
  STOKER_ASSIGN(
      const std::unique_ptr<DiskFile> file,
      disk.Open(InFolder(folder, kSuperFiles[side]), DiskOpen::kRead));
  return file->Flush();
}

core::Status WriteSuper(Disk& disk, const std::string& folder, std::size_t side,
                        const SuperBlock& super) {
  STOKER_ASSIGN(
      const std::unique_ptr<DiskFile> file,
      disk.Open(InFolder(folder, kSuperFiles[side]), DiskOpen::kCreate));
  STOKER_ASSIGN(const std::uint64_t size, file->Size());
  if (size < kSuperBytes) {
    STOKER_TRY(file->Allocate(kSuperBytes));
  }
  STOKER_TRY(file->WriteAt(0, EncodeSuper(super)));
  STOKER_TRY(file->Flush());
  return size < kSuperBytes ? disk.FlushFolder(folder) : core::Status();
}

}  // namespace stoker::cache::internal
