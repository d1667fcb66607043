#pragma once

// Reading the directory of a zip archive whose records are stored. Every length
// is held against the file's size before anything is allocated or read by it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/archive.h"
#include "checkpoint/internal/zip_records.h"
#include "core/status.h"

namespace stoker::checkpoint::zip {

using Bytes = std::span<const std::byte>;

// A file of known size; its end is read once and kept, as most of what an
// archive is asked for stands there. Errors: kCorruption outside of the file,
// and those of the source.
class ArchiveSource {
 public:
  // `source` must outlive this.
  ArchiveSource(ByteSource& source, std::uint64_t file_bytes)
      : source_(source), bytes_(file_bytes) {}

  std::uint64_t bytes() const { return bytes_; }
  core::Status Read(std::uint64_t offset, std::span<std::byte> out);
  // Requires a length that was held against bytes().
  core::Result<std::vector<std::byte>> Read(std::uint64_t offset,
                                            std::uint64_t length);

 private:
  ByteSource& source_;
  std::uint64_t bytes_;
  std::vector<std::byte> tail_;
};

struct Entry {
  Record record;
  std::uint32_t crc = 0;
  bool streamed = false;  // a descriptor follows the payload
  bool zip64 = false;     // of 24 bytes
  // Where the next record or the directory begins.
  std::uint64_t end = 0;
};

// In the order of the file. kCorruption: something is not where it must be, or
// records overlap; kUnsupported: compressed or encrypted records, an archive of
// several disks, a directory above 64 MiB.
core::Result<std::vector<Entry>> ReadDirectory(ArchiveSource& source);

// Where the payload begins: from the directory where torch's alignment and the
// record's end agree, else from the local header.
core::Result<std::uint64_t> FindPayload(ArchiveSource& source,
                                        const Entry& entry);

// What `header`, the first bytes of a record at `offset`, says of where the
// payload begins. kCorruption: it is no local header of a stored record.
core::Result<std::uint64_t> ParseLocal(Bytes header, std::uint64_t offset);

}  // namespace stoker::checkpoint::zip
