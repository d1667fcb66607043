#pragma once

// The options of the back ends over local files.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/status.h"
#include "storage/backend.h"
#include "storage/internal/open_files.h"
#include "storage/registry.h"

namespace stoker::storage::internal {

enum class FileEngine : std::uint8_t { kAuto, kUring, kThreads };

struct FileSettings {
  std::string scheme;  // "file", "direct", "mmap"
  std::string root;    // no slash at the end; empty: the file system's root
  std::string place;   // as the user wrote it
  // What Access::kDefault means; kDefault: through the page cache.
  Access access = Access::kDefault;
  FileEngine engine = FileEngine::kAuto;
  std::uint64_t io_threads = 0;  // 0: by the depth
  std::uint64_t write_threads = 1;
  std::size_t depth = SIZE_MAX;  // of ops in the kernel
  // Bytes of a block, a multiple of 4096; 0: reads are not split. Nothing: as
  // suits the way and the engine.
  std::optional<std::uint64_t> block;
  PageAdvice advice;
};

// kInvalidArgument: no place, a bad option, options at odds. kUnsupported:
// engine=uring where io_uring is refused.
core::Result<FileSettings> ParseFileSettings(const Uri& uri, Access access);

}  // namespace stoker::storage::internal
