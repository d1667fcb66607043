#include "checkpoint/internal/zip_records.h"

#include <algorithm>

#include "core/byte_order.h"

namespace stoker::checkpoint::zip {
namespace {

using core::AppendLe;

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kFieldBytes = 4;  // id and length of an extra field

void U16(std::string& out, std::uint64_t value) {
  AppendLe(out, static_cast<std::uint16_t>(value));
}

void U32(std::string& out, std::uint64_t value) {
  AppendLe(out, static_cast<std::uint32_t>(value));
}

void U64(std::string& out, std::uint64_t value) { AppendLe(out, value); }

std::uint64_t Capped32(std::uint64_t value) {
  return std::min<std::uint64_t>(value, 0xFFFFFFFF);
}

// The zip64 extra field of header and directory entry, id and length included.
std::uint64_t Zip64Bytes(const Record& record) {
  const std::uint64_t values =
      (record.wide_size() ? 16U : 0U) + (record.wide_offset() ? 8U : 0U);
  return values == 0 ? 0 : kFieldBytes + values;
}

// Header, name and extra fields but for the padding's own bytes.
std::uint64_t UnpaddedBytes(const Record& record) {
  return kLocalBytes + record.name.size() + Zip64Bytes(record) + kFieldBytes;
}

std::uint64_t PaddingBytes(const Record& record) {
  const std::uint64_t end = record.header_offset + UnpaddedBytes(record);
  return (kAlignment - end % kAlignment) % kAlignment;
}

void AppendZip64(std::string& out, const Record& record,
                 std::uint64_t stored_bytes) {
  const std::uint64_t bytes = Zip64Bytes(record);
  if (bytes == 0) {
    return;
  }
  U16(out, kZip64Id);
  U16(out, bytes - kFieldBytes);
  if (record.wide_size()) {
    U64(out, record.bytes);
    U64(out, stored_bytes);
  }
  if (record.wide_offset()) {
    U64(out, record.header_offset);
  }
}

// From "version needed" to the date, common to header and entry.
void AppendKind(std::string& out, const Record& record) {
  U16(out, 0);  // version needed
  U16(out, kUtf8Flag | (record.bytes > 0 ? kStreamedFlag : 0));
  U16(out, 0);  // stored
  U32(out, 0);  // time and date
}

}  // namespace

std::uint64_t PayloadOffset(const Record& record) {
  return record.header_offset + UnpaddedBytes(record) + PaddingBytes(record);
}

std::uint64_t DescriptorBytes(const Record& record) {
  if (record.bytes == 0) {
    return 0;
  }
  return Zip64Bytes(record) > 0 ? 24 : 16;
}

std::uint64_t DirectoryBytes(const Record& record) {
  return kEntryBytes + record.name.size() + Zip64Bytes(record);
}

void AppendLocal(std::string& out, const Record& record) {
  const std::uint64_t padding = PaddingBytes(record);
  U32(out, kLocalMagic);
  AppendKind(out, record);
  U32(out, 0);  // CRC-32: in the descriptor
  U32(out, 0);  // sizes too
  U32(out, 0);
  U16(out, record.name.size());
  U16(out, Zip64Bytes(record) + kFieldBytes + padding);
  out += record.name;
  AppendZip64(out, record, 0);
  out += "FB";
  U16(out, padding);
  out.append(padding, 'Z');
}

void AppendDescriptor(std::string& out, const Record& record,
                      std::uint32_t crc) {
  const std::uint64_t bytes = DescriptorBytes(record);
  if (bytes == 0) {
    return;
  }
  U32(out, kDescriptorMagic);
  U32(out, crc);
  if (bytes == 24) {
    U64(out, record.bytes);
    U64(out, record.bytes);
  } else {
    U32(out, record.bytes);
    U32(out, record.bytes);
  }
}

void AppendEntry(std::string& out, const Record& record, std::uint32_t crc) {
  U32(out, kEntryMagic);
  U16(out, 0);  // made by
  AppendKind(out, record);
  U32(out, crc);
  U32(out, Capped32(record.bytes));
  U32(out, Capped32(record.bytes));
  U16(out, record.name.size());
  U16(out, Zip64Bytes(record));
  U16(out, 0);  // comment
  U16(out, 0);  // disk
  U16(out, 0);  // attributes
  U32(out, 0);
  U32(out, Capped32(record.header_offset));
  out += record.name;
  AppendZip64(out, record, record.bytes);
}

void AppendTrailer(std::string& out, const End& end) {
  const std::uint64_t end64 = end.directory_offset + end.directory_bytes;
  U32(out, kEnd64Magic);
  U64(out, kEnd64Bytes - 12);
  U16(out, 0x031E);  // made by
  U16(out, 0x002D);  // version needed
  U32(out, 0);       // disks
  U32(out, 0);
  U64(out, end.entries);
  U64(out, end.entries);
  U64(out, end.directory_bytes);
  U64(out, end.directory_offset);

  U32(out, kLocatorMagic);
  U32(out, 0);  // disk
  U64(out, end64);
  U32(out, 1);  // disks

  const std::uint64_t entries = std::min<std::uint64_t>(end.entries, 0xFFFF);
  U32(out, kEndMagic);
  U32(out, 0);  // disks
  U16(out, entries);
  U16(out, entries);
  U32(out, Capped32(end.directory_bytes));
  U32(out, Capped32(end.directory_offset));
  U16(out, 0);  // comment
}

}  // namespace stoker::checkpoint::zip
