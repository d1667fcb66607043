#include "checkpoint/internal/zip_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/byte_order.h"

namespace stoker::checkpoint::zip {
namespace {

using core::Code;
using core::LoadLe;
using core::Status;

constexpr std::uint64_t kMaxComment = 0xFFFF;
constexpr std::uint64_t kTailBytes = kMaxComment + kTrailerBytes;
constexpr std::uint64_t kMaxDirectoryBytes = 64ULL << 20;
constexpr std::uint16_t kEncryptedFlags = 0x0041;

Status Corrupt(std::uint64_t at, std::string_view what) {
  return {Code::kCorruption, fmt::format("at offset {}: {}", at, what)};
}

Status Unsupported(std::uint64_t at, std::string_view what) {
  return {Code::kUnsupported, fmt::format("at offset {}: {}", at, what)};
}

struct Place {
  End end;
  std::uint64_t limit = 0;  // what follows the directory
};

// Offset of the end record within `tail`, the file's last bytes. It reaches the
// file's end with its comment.
std::optional<std::size_t> FindEnd(Bytes tail) {
  if (tail.size() < kEndBytes) {
    return std::nullopt;
  }
  for (std::size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
    if (LoadLe<std::uint32_t>(tail, at) == kEndMagic &&
        LoadLe<std::uint16_t>(tail, at + 20) == tail.size() - kEndBytes - at) {
      return at;
    }
  }
  return std::nullopt;
}

// Whether a field of the classic end record agrees with the zip64 one's.
bool Agrees(std::uint64_t narrow, std::uint64_t cap, std::uint64_t wide) {
  return narrow == cap || narrow == wide;
}

Status ReadEnd64(ArchiveSource& source, std::uint64_t locator_at,
                 Place& place) {
  std::array<std::byte, kLocatorBytes> locator{};
  STOKER_TRY(source.Read(locator_at, locator));
  const auto at = LoadLe<std::uint64_t>(locator, 8);
  if (LoadLe<std::uint32_t>(locator, 4) != 0 ||
      LoadLe<std::uint32_t>(locator, 16) != 1) {
    return Unsupported(locator_at, "archives of several disks are not read");
  }
  if (locator_at < kEnd64Bytes || at > locator_at - kEnd64Bytes) {
    return Corrupt(locator_at + 8,
                   fmt::format("expected the offset of a zip64 end record "
                               "before here, found {}",
                               at));
  }
  std::array<std::byte, kEnd64Bytes> record{};
  STOKER_TRY(source.Read(at, record));
  if (LoadLe<std::uint32_t>(record, 0) != kEnd64Magic ||
      LoadLe<std::uint64_t>(record, 4) != locator_at - at - 12 ||
      LoadLe<std::uint64_t>(record, 16) != 0 ||
      LoadLe<std::uint64_t>(record, 24) != LoadLe<std::uint64_t>(record, 32)) {
    return Corrupt(at, "expected a zip64 end record up to its locator");
  }
  const End wide{.entries = LoadLe<std::uint64_t>(record, 32),
                 .directory_offset = LoadLe<std::uint64_t>(record, 48),
                 .directory_bytes = LoadLe<std::uint64_t>(record, 40)};
  if (!Agrees(place.end.entries, 0xFFFF, wide.entries) ||
      !Agrees(place.end.directory_bytes, 0xFFFFFFFF, wide.directory_bytes) ||
      !Agrees(place.end.directory_offset, 0xFFFFFFFF, wide.directory_offset)) {
    return Corrupt(at, "the two end records contradict each other");
  }
  place = {.end = wide, .limit = at};
  return {};
}

core::Result<Place> ReadEnd(ArchiveSource& source) {
  const std::uint64_t tail_bytes = std::min(source.bytes(), kTailBytes);
  const std::uint64_t tail_at = source.bytes() - tail_bytes;
  STOKER_ASSIGN(const std::vector<std::byte> tail,
                source.Read(tail_at, tail_bytes));
  const std::optional<std::size_t> found = FindEnd(tail);
  if (!found) {
    return Corrupt(source.bytes(),
                   "expected the end record of a zip archive before the end of "
                   "the file: it is cut off or no archive");
  }
  const Bytes record = Bytes(tail).subspan(*found);
  const std::uint64_t at = tail_at + *found;
  if (LoadLe<std::uint32_t>(record, 4) != 0 ||
      LoadLe<std::uint16_t>(record, 8) != LoadLe<std::uint16_t>(record, 10)) {
    return Unsupported(at, "archives of several disks are not read");
  }
  Place place{.end = {.entries = LoadLe<std::uint16_t>(record, 10),
                      .directory_offset = LoadLe<std::uint32_t>(record, 16),
                      .directory_bytes = LoadLe<std::uint32_t>(record, 12)},
              .limit = at};
  if (*found >= kLocatorBytes &&
      LoadLe<std::uint32_t>(tail, *found - kLocatorBytes) == kLocatorMagic) {
    STOKER_TRY(ReadEnd64(source, at - kLocatorBytes, place));
  }
  const End& end = place.end;
  if (end.directory_bytes > place.limit ||
      end.directory_offset != place.limit - end.directory_bytes) {
    return Corrupt(place.limit,
                   fmt::format("expected the directory to end here, but it is "
                               "given as {} bytes at {}",
                               end.directory_bytes, end.directory_offset));
  }
  return place;
}

// Takes the next 64-bit value of a zip64 extra field if `value` refers to it.
// False: it is not there.
bool Widen(std::uint64_t& value, Bytes& zip64) {
  if (value != 0xFFFFFFFF) {
    return true;
  }
  if (zip64.size() < 8) {
    return false;
  }
  value = LoadLe<std::uint64_t>(zip64, 0);
  zip64 = zip64.subspan(8);
  return true;
}

// The values of the zip64 extra field, nothing if there is none; nullopt if the
// fields do not fill `extra`.
std::optional<Bytes> FindZip64(Bytes extra) {
  Bytes found;
  while (!extra.empty()) {
    if (extra.size() < 4) {
      return std::nullopt;
    }
    const std::size_t length = LoadLe<std::uint16_t>(extra, 2);
    if (extra.size() - 4 < length) {
      return std::nullopt;
    }
    if (LoadLe<std::uint16_t>(extra, 0) == kZip64Id) {
      found = extra.subspan(4, length);
    }
    extra = extra.subspan(4 + length);
  }
  return found;
}

// `bytes` is the whole entry, at `at` of the file.
core::Result<Entry> ParseEntry(Bytes bytes, std::uint64_t at) {
  const std::size_t name_bytes = LoadLe<std::uint16_t>(bytes, 28);
  const std::size_t extra_bytes = LoadLe<std::uint16_t>(bytes, 30);
  Entry entry;
  entry.record.name = core::AsText(bytes.subspan(kEntryBytes, name_bytes));
  const auto flags = LoadLe<std::uint16_t>(bytes, 8);
  if ((flags & kEncryptedFlags) != 0) {
    return Unsupported(
        at + 8, fmt::format("record {} is encrypted", entry.record.name));
  }
  if (const auto method = LoadLe<std::uint16_t>(bytes, 10); method != 0) {
    return Unsupported(at + 10,
                       fmt::format("record {} is compressed (method {}), "
                                   "expected stored (0)",
                                   entry.record.name, method));
  }
  if (LoadLe<std::uint16_t>(bytes, 34) != 0) {
    return Unsupported(at + 34, "archives of several disks are not read");
  }
  std::optional<Bytes> zip64 =
      FindZip64(bytes.subspan(kEntryBytes + name_bytes, extra_bytes));
  std::uint64_t stored = LoadLe<std::uint32_t>(bytes, 20);
  entry.record.bytes = LoadLe<std::uint32_t>(bytes, 24);
  entry.record.header_offset = LoadLe<std::uint32_t>(bytes, 42);
  entry.zip64 = zip64 && !zip64->empty();
  if (!zip64 || !Widen(entry.record.bytes, *zip64) || !Widen(stored, *zip64) ||
      !Widen(entry.record.header_offset, *zip64)) {
    return Corrupt(at + kEntryBytes,
                   "expected whole extra fields with every 64-bit value that "
                   "the entry refers to");
  }
  if (stored != entry.record.bytes) {
    return Corrupt(at + 20,
                   fmt::format("stored record {} of {} bytes is given "
                               "as {} compressed bytes",
                               entry.record.name, entry.record.bytes, stored));
  }
  entry.crc = LoadLe<std::uint32_t>(bytes, 16);
  entry.streamed = (flags & kStreamedFlag) != 0;
  return entry;
}

core::Result<std::vector<Entry>> ParseEntries(Bytes directory, const End& end) {
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < directory.size();) {
    const std::uint64_t at = end.directory_offset + i;
    const Bytes rest = directory.subspan(i);
    if (rest.size() < kEntryBytes ||
        LoadLe<std::uint32_t>(rest, 0) != kEntryMagic) {
      return Corrupt(at, "expected a directory entry");
    }
    const std::size_t length = kEntryBytes + LoadLe<std::uint16_t>(rest, 28) +
                               LoadLe<std::uint16_t>(rest, 30) +
                               LoadLe<std::uint16_t>(rest, 32);
    if (rest.size() < length) {
      return Corrupt(at + 28, "the entry ends behind the directory");
    }
    STOKER_ASSIGN(Entry entry, ParseEntry(rest.first(length), at));
    entries.push_back(std::move(entry));
    i += length;
  }
  if (entries.size() != end.entries) {
    return Corrupt(end.directory_offset,
                   fmt::format("expected {} directory entries, found {}",
                               end.entries, entries.size()));
  }
  return entries;
}

// Sorts by offset and finds where each record must end.
Status SetEnds(std::vector<Entry>& entries, std::uint64_t directory_offset) {
  std::ranges::sort(entries, {}, [](const Entry& entry) {
    return entry.record.header_offset;
  });
  std::uint64_t end = directory_offset;
  for (std::size_t i = entries.size(); i-- > 0;) {
    Entry& entry = entries[i];
    const Record& record = entry.record;
    if (record.header_offset > end ||
        end - record.header_offset < kLocalBytes ||
        end - record.header_offset - kLocalBytes < record.bytes) {
      return Corrupt(record.header_offset,
                     fmt::format("record {} of {} bytes does not fit before "
                                 "what follows at {}",
                                 record.name, record.bytes, end));
    }
    entry.end = end;
    end = record.header_offset;
  }
  return {};
}

}  // namespace

core::Status ArchiveSource::Read(std::uint64_t offset,
                                 std::span<std::byte> out) {
  if (offset > bytes_ || out.size() > bytes_ - offset) {
    return Corrupt(offset, fmt::format("expected {} bytes, but the file ends "
                                       "at {}",
                                       out.size(), bytes_));
  }
  if (tail_.empty() && bytes_ > 0) {
    std::vector<std::byte> tail(std::min(bytes_, kTailBytes));
    STOKER_TRY(source_.Read(bytes_ - tail.size(), tail));
    tail_ = std::move(tail);
  }
  const std::uint64_t tail_at = bytes_ - tail_.size();
  if (offset >= tail_at) {
    std::ranges::copy(Bytes(tail_).subspan(offset - tail_at, out.size()),
                      out.begin());
    return {};
  }
  return source_.Read(offset, out);
}

core::Result<std::vector<std::byte>> ArchiveSource::Read(std::uint64_t offset,
                                                         std::uint64_t length) {
  std::vector<std::byte> out(length);
  STOKER_TRY(Read(offset, std::span(out)));
  return out;
}

core::Result<std::vector<Entry>> ReadDirectory(ArchiveSource& source) {
  STOKER_ASSIGN(const Place place, ReadEnd(source));
  const End& end = place.end;
  if (end.directory_bytes > kMaxDirectoryBytes) {
    return Unsupported(
        end.directory_offset,
        fmt::format("a directory of {} bytes; at most {} are read",
                    end.directory_bytes, kMaxDirectoryBytes));
  }
  STOKER_ASSIGN(const std::vector<std::byte> directory,
                source.Read(end.directory_offset, end.directory_bytes));
  STOKER_ASSIGN(std::vector<Entry> entries, ParseEntries(directory, end));
  STOKER_TRY(SetEnds(entries, end.directory_offset));
  return entries;
}

core::Result<std::uint64_t> ParseLocal(Bytes header, std::uint64_t offset) {
  if (header.size() < kLocalBytes ||
      LoadLe<std::uint32_t>(header, 0) != kLocalMagic ||
      LoadLe<std::uint16_t>(header, 8) != 0) {
    return Corrupt(offset, "expected the local header of a stored record");
  }
  return offset + kLocalBytes + LoadLe<std::uint16_t>(header, 26) +
         LoadLe<std::uint16_t>(header, 28);
}

core::Result<std::uint64_t> FindPayload(ArchiveSource& source,
                                        const Entry& entry) {
  const std::uint64_t descriptor =
      entry.streamed ? (entry.zip64 ? 24U : 16U) : 0U;
  const std::uint64_t room = entry.end - entry.record.header_offset;
  if (room >= entry.record.bytes + descriptor &&
      entry.end - descriptor - entry.record.bytes ==
          PayloadOffset(entry.record)) {
    return PayloadOffset(entry.record);
  }
  std::array<std::byte, kLocalBytes> header{};
  STOKER_TRY(source.Read(entry.record.header_offset, header));
  STOKER_ASSIGN(const std::uint64_t payload,
                ParseLocal(header, entry.record.header_offset));
  if (payload > entry.end || entry.end - payload < entry.record.bytes) {
    return Corrupt(
        entry.record.header_offset,
        fmt::format("record {} of {} bytes does not fit before what "
                    "follows at {}",
                    entry.record.name, entry.record.bytes, entry.end));
  }
  return payload;
}

}  // namespace stoker::checkpoint::zip
