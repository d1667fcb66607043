#include "cache/directory.h"

#include <fmt/format.h>

#include "cache/internal/format.h"
#include "cache/internal/open_directory.h"
#include "cache/internal/posix_disk.h"
#include "core/clock.h"

namespace stoker::cache {

namespace {

// "/a/b/" is the folder "/a/b", with a name and a folder above.
std::string Plain(const std::string& path) {
  const std::size_t last = path.find_last_not_of('/');
  return last == std::string::npos ? path : path.substr(0, last + 1);
}

}  // namespace

std::string CacheId::ToString() const {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

core::Status Directory::Format(const std::string& path,
                               const FormatOptions& options) {
  return internal::FormatOn(internal::PosixDisk(), Plain(path), options);
}

core::Result<std::unique_ptr<Directory>> Directory::Open(
    const std::string& path) {
  static core::SystemClock clock;
  return internal::OpenOn(internal::PosixDisk(), clock, Plain(path));
}

core::Status Directory::Remove(const std::string& path) {
  return internal::RemoveOn(internal::PosixDisk(), Plain(path));
}

}  // namespace stoker::cache
