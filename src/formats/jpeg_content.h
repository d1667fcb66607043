#pragma once

// What is looked at of a jpeg file as its bytes go by. Nothing is decoded.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/status.h"
#include "formats/file_comparer.h"
#include "formats/format.h"
#include "formats/image_padding.h"
#include "formats/jpeg_markers.h"
#include "formats/whole_file.h"

namespace stoker::formats {

// What Pillow reads of a file at once (ImageFile.MAXBLOCK).
inline constexpr std::uint64_t kPillowBlock = 65536;

// Marker segments up to the scan, and that the file ends with the end-of-image
// marker; where there is a stamp, also file, length and, with `check`, the
// CRC-32C of all bytes. Asks as Pillow's open and load: byte by byte through
// the segments, then from the start again in blocks.
class JpegContent final : public FileContent {
 public:
  JpegContent(const ReaderOptions& options, const Format& format);
  core::Status Begin(const FileSpec& file, std::uint32_t sample,
                     std::uint64_t planned) override;
  core::Status Take(std::uint64_t offset,
                    std::span<const std::byte> bytes) override;
  bool MayEnd() const override;
  core::Status Finish(std::uint64_t size) override;
  std::uint64_t payload() const override { return file_.sample_bytes(); }
  FileAsk NextAsk(const FileAsked& last) override;

 private:
  enum class Part : std::uint8_t {
    kStart,    // start of the image
    kPrefix,   // first byte of a marker
    kMarker,   // its second
    kLength,   // of the segment
    kStamp,    // start of an APP15 segment
    kSegment,  // the rest
    kScan,     // to the end of the file
  };

  // Takes from `bytes` towards `wanted` bytes of scratch_; true: they are
  // there.
  bool Gather(std::span<const std::byte>& bytes, std::size_t wanted);
  core::Status TakePart(std::uint64_t offset,
                        std::span<const std::byte>& bytes);
  core::Status TakeMarker(std::uint64_t offset, std::byte marker);
  core::Status TakeLength(std::uint64_t offset);
  core::Status TakeStamp();
  void EndSegment();
  void Count(std::span<const std::byte> bytes);

  bool check_;
  bool blind_;
  FileComparer comparer_;
  FileSpec file_;
  Part part_ = Part::kStart;
  std::array<std::byte, kStampBytes + jpeg::kCrcBytes> scratch_;
  std::size_t gathered_ = 0;
  std::byte marker_{};
  std::uint64_t left_ = 0;  // bytes of the segment still to come
  std::array<std::byte, 2> last_{};
  bool counting_ = true;
  std::uint32_t crc_ = 0;
  std::uint32_t stored_crc_ = 0;
  std::optional<ImageStamp> stamp_;
  bool rewound_ = false;  // NextAsk: past the segments
};

}  // namespace stoker::formats
