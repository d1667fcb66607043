#pragma once

// Where things are in an npz archive: computed for a file of ours, or parsed
// from the records of any stored (uncompressed) zip that numpy reads. Records
// as in PKWARE's APPNOTE 6.3, arrays as in numpy's NEP 1.
//
// The parsers take the bytes of one record and its offset in the file (`at`),
// and say kCorruption or kUnsupported with the offset and what was expected.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats::npz {

using Bytes = std::span<const std::byte>;

inline constexpr std::uint64_t kEndBytes = 22;       // end of directory
inline constexpr std::uint64_t kLocatorBytes = 20;   // zip64 locator
inline constexpr std::uint64_t kEnd64Bytes = 56;     // zip64 end of directory
inline constexpr std::uint64_t kEntryBytes = 46;     // directory entry
inline constexpr std::uint64_t kLocalBytes = 30;     // local header
inline constexpr std::uint64_t kExtra64Bytes = 20;   // zip64 extra of two sizes
inline constexpr std::uint64_t kNpyBytes = 128;      // array header we write
inline constexpr std::uint64_t kMaxNpyBytes = 4096;  // and the longest we read
// From here on CPython's zipfile moves a value into the zip64 fields.
inline constexpr std::uint64_t kZip64Limit = (1ULL << 31) - 1;

inline constexpr std::uint32_t kLocalMagic = 0x04034b50;
inline constexpr std::uint32_t kEntryMagic = 0x02014b50;
inline constexpr std::uint32_t kEndMagic = 0x06054b50;
inline constexpr std::uint32_t kEnd64Magic = 0x06064b50;
inline constexpr std::uint32_t kLocatorMagic = 0x07064b50;

// The array's member is "x.npy". Offsets from the file's start, bytes.
struct Layout {
  std::uint64_t file_bytes = 0;
  // The directory.
  bool zip64_end = false;
  std::uint64_t entries = 0;
  std::uint64_t directory_offset = 0;
  std::uint64_t directory_bytes = 0;
  // The array's member.
  std::uint64_t local_offset = 0;
  std::uint16_t name_bytes = 0;
  std::uint16_t extra_bytes = 0;
  std::uint64_t member_offset = 0;  // behind the local header
  std::uint64_t member_bytes = 0;
  std::uint32_t crc = 0;
  std::uint16_t flags = 0;
  // The array.
  std::uint64_t header_bytes = 0;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::uint64_t samples = 0;

  std::uint64_t member_end() const { return member_offset + member_bytes; }
  std::uint64_t payload_offset() const { return member_offset + header_bytes; }
  std::uint64_t payload_bytes() const { return member_bytes - header_bytes; }
};

// Where the second member's local header is, and how long that member is.
struct LabelLayout {
  std::uint64_t local_offset = 0;
  std::uint64_t member_bytes = 0;
};

// What NpzFormat::Encode writes for `file`.
Layout PlanLayout(const FileSpec& file);
LabelLayout PlanLabels(const FileSpec& file);

// kEndBytes at the end of the file; sets entries and directory_*.
core::Status ParseEnd(Bytes record, std::uint64_t at, Layout& layout);
bool IsLocator(Bytes record);
// kLocatorBytes before the end record; sets zip64_end.
core::Status ParseLocator(Bytes record, std::uint64_t at, Layout& layout);
// kEnd64Bytes before the locator; sets entries and directory_*.
core::Status ParseEnd64(Bytes record, std::uint64_t at, Layout& layout);
// The directory's place against its end at `at`.
core::Status CheckDirectory(std::uint64_t at, const Layout& layout);
// The whole directory; sets local_offset, member_bytes, crc, flags.
core::Status ParseDirectory(Bytes directory, Layout& layout);
// The first kLocalBytes; sets name_bytes, extra_bytes and member_offset.
core::Status ParseLocalSizes(Bytes record, Layout& layout);
// The local header with name and extra fields, against the directory.
core::Status ParseLocal(Bytes record, const Layout& layout);
// The local header with name and extra fields of any member, at
// layout.local_offset, without a directory: sets flags, crc, member_* and the
// lengths. False: it is another member than the array's.
core::Result<bool> ParseLocalAlone(Bytes record, Layout& layout);
// Bytes of the array header that starts with `start`, at most kMaxNpyBytes; 0:
// too few to say.
core::Result<std::uint64_t> NpyHeaderBytes(Bytes start, std::uint64_t at);
// The whole array header; sets header_bytes and the shape.
core::Status ParseNpy(Bytes header, Layout& layout);

}  // namespace stoker::formats::npz
