#pragma once

// What is looked at of a png file as its bytes go by. Nothing is inflated.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/status.h"
#include "formats/file_comparer.h"
#include "formats/format.h"
#include "formats/image_padding.h"
#include "formats/png_layout.h"
#include "formats/whole_file.h"

namespace stoker::formats {

// What Pillow reads at once of a chunk that is not image data
// (ImageFile.SAFEBLOCK).
inline constexpr std::uint64_t kPillowChunkBlock = 1U << 20;

// The chunks from the image header to the end; with `check` the CRC-32 of each,
// and where there is a stamp, also file and length. Asks as Pillow's open and
// load: head, data and CRC of one chunk after the other.
class PngContent final : public FileContent {
 public:
  PngContent(const ReaderOptions& options, const Format& format);
  core::Status Begin(const FileSpec& file, std::uint32_t sample,
                     std::uint64_t planned) override;
  core::Status Take(std::uint64_t offset,
                    std::span<const std::byte> bytes) override;
  void Skip(std::uint64_t bytes) override;
  bool MayEnd() const override { return part_ == Part::kEnd; }
  core::Status Finish(std::uint64_t size) override;
  std::uint64_t payload() const override { return file_.sample_bytes(); }
  FileAsk NextAsk(const FileAsked& last) override;

 private:
  enum class Part : std::uint8_t {
    kSignature,
    kHead,   // length and type of a chunk
    kStamp,  // start of a stamp's data
    kData,   // the rest
    kCrc,
    kEnd,  // behind the last chunk
  };

  bool Gather(std::span<const std::byte>& bytes, std::size_t wanted);
  core::Status TakePart(std::uint64_t offset,
                        std::span<const std::byte>& bytes);
  core::Status TakeSignature();
  core::Status TakeHead(std::uint64_t offset);
  core::Status TakeStamp();
  core::Status TakeCrc();
  void BeginData();
  void EndChunk();
  void PlanNextChunk();
  std::string ChunkName() const;

  bool check_;
  bool blind_;
  bool reference_;
  FileComparer comparer_;
  FileSpec file_;
  Part part_ = Part::kSignature;
  std::array<std::byte, kStampBytes> scratch_;
  std::size_t gathered_ = 0;
  std::uint32_t type_ = 0;
  std::uint64_t left_ = 0;  // bytes of the part still to come (data, or blind)
  std::uint64_t chunk_at_ = 0;  // offset of the chunk
  std::uint64_t end_ = 0;       // of the file, as its chunks have it
  std::uint32_t crc_ = 0;
  bool has_data_ = false;
  std::optional<ImageStamp> stamp_;
  // Blind: what the chunks would be.
  png::Plan plan_;
  std::uint64_t padding_left_ = 0;
};

}  // namespace stoker::formats
