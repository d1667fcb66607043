#pragma once

// What a file system asks of reads and writes past the page cache.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"

namespace stoker::storage::internal {

struct DirectAlign {
  std::uint32_t offset = 4096;  // bytes, for offsets and lengths
  std::uint32_t buffer = 4096;  // bytes
};

// Asks the file (statx, Linux 6.1 and later); 4096 where nothing is said, which
// suits every block device. kUnsupported as DirectRefused; a file that cannot
// be opened for another reason is nobody's error yet.
core::Result<DirectAlign> AskDirectAlign(const std::string& path);
// The same of `fd`, open on `path` with O_DIRECT, about to be used by `doing`
// ("read", "write").
core::Result<DirectAlign> AskDirectAlign(int fd, std::string_view doing,
                                         const std::string& path);

// kUnsupported: "<doing> <path> …: the file system <type> on <mount> refuses
// O_DIRECT; …" with the remedy.
core::Status DirectRefused(std::string_view doing, const std::string& path,
                           int os_error);

}  // namespace stoker::storage::internal
