#pragma once

// Records of a zip archive as torch's writer makes them (miniz with streamed
// sizes; PKWARE's APPNOTE 6.3): stored, payload on multiples of 64 bytes, zip64
// where needed, always with the zip64 end records. docs/checkpoints.md has the
// fields.

#include <cstdint>
#include <string>

namespace stoker::checkpoint::zip {

inline constexpr std::uint64_t kLocalBytes = 30;    // local header
inline constexpr std::uint64_t kEntryBytes = 46;    // directory entry
inline constexpr std::uint64_t kEnd64Bytes = 56;    // zip64 end of directory
inline constexpr std::uint64_t kLocatorBytes = 20;  // zip64 locator
inline constexpr std::uint64_t kEndBytes = 22;      // end of directory

inline constexpr std::uint32_t kLocalMagic = 0x04034b50;
inline constexpr std::uint32_t kDescriptorMagic = 0x08074b50;
inline constexpr std::uint32_t kEntryMagic = 0x02014b50;
inline constexpr std::uint32_t kEnd64Magic = 0x06064b50;
inline constexpr std::uint32_t kLocatorMagic = 0x07064b50;
inline constexpr std::uint32_t kEndMagic = 0x06054b50;

inline constexpr std::uint16_t kStreamedFlag = 0x0008;  // has a descriptor
inline constexpr std::uint16_t kUtf8Flag = 0x0800;
inline constexpr std::uint16_t kZip64Id = 1;

struct Record {
  std::string name;
  std::uint64_t bytes = 0;  // of the payload
  std::uint64_t header_offset =
      0;  // of the local header, from the file's start

  bool wide_size() const { return bytes >= 0xFFFFFFFF; }
  bool wide_offset() const { return header_offset >= 0xFFFFFFFF; }
};

// Of the first byte behind the local header; a multiple of 64.
std::uint64_t PayloadOffset(const Record& record);
// Behind the payload: 24 bytes if the record has a zip64 field, none if it has
// no payload, else 16.
std::uint64_t DescriptorBytes(const Record& record);
std::uint64_t DirectoryBytes(const Record& record);

void AppendLocal(std::string& out, const Record& record);
void AppendDescriptor(std::string& out, const Record& record,
                      std::uint32_t crc);
void AppendEntry(std::string& out, const Record& record, std::uint32_t crc);

struct End {
  std::uint64_t entries = 0;
  std::uint64_t directory_offset = 0;
  std::uint64_t directory_bytes = 0;
};
inline constexpr std::uint64_t kTrailerBytes =
    kEnd64Bytes + kLocatorBytes + kEndBytes;
void AppendTrailer(std::string& out, const End& end);

}  // namespace stoker::checkpoint::zip
