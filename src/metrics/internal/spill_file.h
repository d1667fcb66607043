#pragma once

// A nameless file for records that need not stay in memory.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"

namespace stoker::metrics {

// Gone when closed, however the process ends. Movable; one thread at a time.
class SpillFile {
 public:
  // In `folder`. Errors name the folder.
  static core::Result<SpillFile> Make(const std::string& folder);
  ~SpillFile();
  SpillFile(SpillFile&& other) noexcept;
  SpillFile& operator=(SpillFile&& other) noexcept;
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  // The offset at which `bytes` now stand. kIoError.
  core::Result<std::uint64_t> Append(std::span<const std::byte> bytes);
  // kIoError; kCorruption if the file ends before.
  core::Result<std::vector<std::byte>> Read(std::uint64_t offset,
                                            std::uint64_t size) const;

 private:
  SpillFile(int fd, std::string folder);

  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::string folder_;  // for messages
};

}  // namespace stoker::metrics
