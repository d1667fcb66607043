#include "storage/internal/stored_bytes.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>

#include "storage/internal/read_only_file.h"

namespace stoker::storage::internal {

namespace {

// One answer of the kernel: a head, and the extents behind it.
class ExtentPage {
 public:
  // Asks for the extents of [start, end); false: there is no such map.
  bool Ask(int fd, std::uint64_t start, std::uint64_t end, bool write_back) {
    memory_.fill(std::byte{0});
    fiemap& head = *Head();
    head.fm_start = start;
    head.fm_length = end - start;
    head.fm_flags = write_back ? FIEMAP_FLAG_SYNC : 0;
    head.fm_extent_count = kExtents;
    return ::ioctl(fd, FS_IOC_FIEMAP, &head) == 0;
  }
  std::span<const fiemap_extent> extents() {
    return {&Head()->fm_extents[0],
            std::min(Head()->fm_mapped_extents, kExtents)};
  }

 private:
  static constexpr std::uint32_t kExtents = 128;

  fiemap* Head() { return reinterpret_cast<fiemap*>(memory_.data()); }

  alignas(fiemap) std::array<
      std::byte, sizeof(fiemap) + kExtents * sizeof(fiemap_extent)> memory_{};
};

// Extents come in the order of their offsets and may reach beyond the end.
std::optional<std::uint64_t> AskExtents(const ReadOnlyFile& file,
                                        bool write_back) {
  ExtentPage page;
  std::uint64_t unwritten = 0;
  std::uint64_t at = 0;  // all before it is accounted for
  bool last = false;
  while (at < file.size() && !last) {
    if (!page.Ask(file.fd(), at, file.size(), write_back)) {
      return std::nullopt;
    }
    const std::uint64_t before = at;
    last = page.extents().empty();
    for (const fiemap_extent& extent : page.extents()) {
      const std::uint64_t start =
          std::clamp<std::uint64_t>(extent.fe_logical, at, file.size());
      const std::uint64_t end = std::clamp<std::uint64_t>(
          extent.fe_logical + extent.fe_length, start, file.size());
      unwritten += start - at;
      if ((extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0) {
        unwritten += end - start;
      }
      last |= (extent.fe_flags & FIEMAP_EXTENT_LAST) != 0;
      at = end;
    }
    if (!last && at == before) {
      return std::nullopt;  // makes no sense
    }
  }
  return unwritten + file.size() - at;
}

std::optional<std::uint64_t> AskHoles(const ReadOnlyFile& file) {
  std::uint64_t unwritten = 0;
  std::uint64_t at = 0;
  while (at < file.size()) {
    const off_t data = ::lseek(file.fd(), static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno != ENXIO) {
      return std::nullopt;
    }
    // ENXIO: nothing but a hole up to the end.
    const std::uint64_t start =
        data < 0 ? file.size() : static_cast<std::uint64_t>(data);
    unwritten += std::min(start, file.size()) - at;
    if (start >= file.size()) {
      break;
    }
    const off_t hole = ::lseek(file.fd(), data, SEEK_HOLE);
    if (hole <= data) {
      return std::nullopt;
    }
    at = static_cast<std::uint64_t>(hole);
  }
  return unwritten;
}

}  // namespace

core::Result<std::optional<std::uint64_t>> UnwrittenBytesOf(
    const std::string& path) {
  STOKER_ASSIGN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  std::optional<std::uint64_t> bytes = AskExtents(file, /*write_back=*/false);
  if (bytes.value_or(0) != 0) {
    // Reserved space stays so in the map until what was written there is
    // written back.
    bytes = AskExtents(file, /*write_back=*/true);
  }
  return bytes.has_value() ? bytes : AskHoles(file);
}

core::Result<std::optional<std::uint64_t>> UnwrittenBytesBySeek(
    const std::string& path) {
  STOKER_ASSIGN(const ReadOnlyFile file, ReadOnlyFile::Open(path));
  return AskHoles(file);
}

}  // namespace stoker::storage::internal
