#include "formats/jpeg_format.h"

#include <fmt/format.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/crc.h"
#include "formats/image_padding.h"
#include "formats/jpeg_content.h"
#include "formats/jpeg_markers.h"
#include "formats/whole_file.h"

namespace stoker::formats {
namespace {

// Pillow's default, and what to try where the image is too large with it.
constexpr std::array<int, 4> kQualities = {75, 50, 25, 10};
constexpr std::uint32_t kMaxEdge = 65500;  // libjpeg's limit
constexpr std::size_t kStampSegment =
    jpeg::kSegmentHead + kStampBytes + jpeg::kCrcBytes;
constexpr std::uint64_t kLargestSegment = 2 + 65535;

class Compressor {
 public:
  Compressor() : handle_(::tjInitCompress()) {}
  ~Compressor() {
    if (handle_ != nullptr) {
      ::tjDestroy(handle_);
    }
  }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // The whole JPEG stream; valid until the next call.
  core::Result<std::span<const std::byte>> Compress(
      std::span<const std::byte> pixels, std::uint32_t rows,
      std::uint32_t columns, int quality) {
    if (handle_ == nullptr) {
      return Failed(rows, columns);
    }
    const int width = static_cast<int>(columns);
    const int height = static_cast<int>(rows);
    out_.resize(::tjBufSize(width, height, TJSAMP_GRAY));
    auto* out = reinterpret_cast<unsigned char*>(out_.data());
    // NOLINTNEXTLINE(google-runtime-int): the library's type
    unsigned long bytes = out_.size();
    if (::tjCompress2(
            handle_, reinterpret_cast<const unsigned char*>(pixels.data()),
            width, /*pitch=*/0, height, TJPF_GRAY, &out, &bytes, TJSAMP_GRAY,
            quality, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0) {
      return Failed(rows, columns);
    }
    return std::span<const std::byte>(out_).first(bytes);
  }

 private:
  core::Status Failed(std::uint32_t rows, std::uint32_t columns) const {
    return {core::Code::kUnsupported,
            fmt::format("compress an image of {} x {} to jpeg: {}", rows,
                        columns, ::tjGetErrorStr2(handle_))};
  }

  ::tjhandle handle_;
  std::vector<std::byte> out_;
};

// The first image of those in docs/formats.md that leaves room for the stamp.
core::Result<std::span<const std::byte>> FittingImage(const FileSpec& file,
                                                      PayloadSource& payload,
                                                      Compressor& compressor) {
  std::vector<std::byte> pixels;
  for (int halvings = 0;; ++halvings) {
    const std::uint32_t rows = HalvedEdge(file.rows, halvings);
    const std::uint32_t columns = HalvedEdge(file.columns, halvings);
    if (std::max(rows, columns) > kMaxEdge) {
      continue;
    }
    const std::uint64_t count = std::uint64_t{rows} * columns;
    if (pixels.empty()) {
      pixels.resize(count);
      payload.Fill(file.index, 0, 0, pixels);
    }
    std::size_t smallest = 0;
    for (const int quality : kQualities) {
      STOKER_ASSIGN(const std::span<const std::byte> image,
                    compressor.Compress(std::span(pixels).first(count), rows,
                                        columns, quality));
      if (image.size() + kStampSegment <= file.record_bytes) {
        return image;
      }
      smallest = image.size() + kStampSegment;
    }
    if (rows == 1 && columns == 1) {
      return core::Status(
          core::Code::kInvalidArgument,
          fmt::format("a jpeg file of {} bytes holds no image: the smallest "
                      "one has {} with its stamp; remedy: a larger "
                      "dataset.record_length_bytes",
                      file.record_bytes, smallest));
    }
  }
}

core::Status WritePadding(PaddingWriter& padding, std::uint64_t gap,
                          std::uint32_t& crc, storage::WriteStream& out) {
  while (gap > 0) {
    const std::uint64_t block =
        NextBlock(gap, jpeg::kSegmentHead, kLargestSegment);
    const auto head = jpeg::SegmentHead(jpeg::kComment, block - 2);
    crc = core::Crc32c(head, crc);
    STOKER_TRY(out.Write(head));
    STOKER_ASSIGN(crc, padding.Write(block - head.size(), core::Crc32c, crc));
    gap -= block;
  }
  return {};
}

}  // namespace

core::Status JpegFormat::Encode(const FileSpec& file, PayloadSource& payload,
                                storage::WriteStream& out) const {
  Compressor compressor;
  STOKER_ASSIGN(const std::span<const std::byte> image,
                FittingImage(file, payload, compressor));
  // libjpeg begins with SOI and the JFIF segment, which must be the first.
  constexpr std::size_t kJfifEnd = 20;
  const std::span<const std::byte> end = image.last(jpeg::kEndOfImage.size());
  const std::span<const std::byte> body =
      image.subspan(kJfifEnd, image.size() - kJfifEnd - end.size());
  std::uint64_t gap = file.record_bytes - image.size() - kStampSegment;
  const std::uint64_t slack = gap < jpeg::kSegmentHead ? gap : 0;
  gap -= slack;

  std::vector<std::byte> head(image.begin(), image.begin() + kJfifEnd);
  const auto segment =
      jpeg::SegmentHead(jpeg::kApp15, kStampSegment - 2 + slack);
  head.insert(head.end(), segment.begin(), segment.end());
  const auto stamp =
      EncodeStamp({.index = file.index, .file_bytes = file.record_bytes});
  head.insert(head.end(), stamp.begin(), stamp.end());
  const std::size_t crc_at = head.size();
  std::uint32_t crc = core::Crc32c(head);
  head.resize(head.size() + jpeg::kCrcBytes);
  STOKER_TRY(out.Write(head));

  PaddingWriter padding(file, payload, out);
  STOKER_ASSIGN(crc, padding.Write(slack, core::Crc32c, crc));
  crc = core::Crc32c(body, crc);
  STOKER_TRY(out.Write(body));
  STOKER_TRY(WritePadding(padding, gap, crc, out));
  crc = core::Crc32c(end, crc);
  STOKER_TRY(out.Write(end));
  return out.Patch(crc_at, std::as_bytes(std::span(&crc, 1)));
}

std::unique_ptr<ReaderProgram> JpegFormat::NewReader(
    const ReaderOptions& options) const {
  return std::make_unique<WholeFileReader>(
      options, *this, kPillowBlock,
      std::make_unique<JpegContent>(options, *this));
}

}  // namespace stoker::formats
