#pragma once

// An encoded file in memory, to compare a stored one with.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "formats/format.h"
#include "storage/write_stream.h"

namespace stoker::formats {

// Encodes each file anew, so Begin allocates; without a source it does nothing.
// Belongs to one thread.
class FileComparer {
 public:
  // Neither is owned; null `expect`: every comparison succeeds at no cost.
  FileComparer(const Format& format, PayloadSource* expect)
      : format_(format), expect_(expect) {}

  core::Status Begin(const FileSpec& file);
  // `found` are the bytes at `offset` of the file. kCorruption names the first
  // difference.
  core::Status Compare(std::uint64_t offset,
                       std::span<const std::byte> found) const;
  // The file has ended after `size` bytes.
  core::Status Finish(std::uint64_t size) const;

 private:
  const Format& format_;
  PayloadSource* expect_;
  core::SystemClock clock_;
  std::vector<std::byte> wanted_;
};

}  // namespace stoker::formats
