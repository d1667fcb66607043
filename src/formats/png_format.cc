#include "formats/png_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/crc.h"
#include "formats/image_padding.h"
#include "formats/png_content.h"
#include "formats/png_layout.h"
#include "formats/whole_file.h"

namespace stoker::formats {
namespace png {

core::Result<Plan> PlanFile(const FileSpec& file) {
  Plan plan;
  for (int halvings = 0;; ++halvings) {
    plan.rows = HalvedEdge(file.rows, halvings);
    plan.columns = HalvedEdge(file.columns, halvings);
    for (const std::uint32_t depth : {8U, 4U, 2U, 1U}) {
      plan.depth = depth;
      const std::uint64_t bytes = plan.image_bytes();
      if (bytes <= file.record_bytes && plan.idat_bytes() <= kMaxChunk) {
        const std::uint64_t gap = file.record_bytes - bytes;
        (gap < kChunkFrame ? plan.slack : plan.padding) = gap;
        return plan;
      }
    }
    if (plan.rows == 1 && plan.columns == 1) {
      return core::Status(
          core::Code::kInvalidArgument,
          fmt::format("a png file of {} bytes holds no image: the smallest one "
                      "has {} with its stamp; remedy: a larger "
                      "dataset.record_length_bytes",
                      file.record_bytes, plan.image_bytes()));
    }
  }
}

}  // namespace png

namespace {

using Crc = std::uint32_t;

void AppendBe(std::vector<std::byte>& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::byte>(value >> shift));
  }
}

void AppendBytes(std::vector<std::byte>& out,
                 std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// Length and type; the CRC-32 begins with the type.
Crc AppendHead(std::vector<std::byte>& out, std::uint32_t type,
               std::uint64_t length) {
  AppendBe(out, static_cast<std::uint32_t>(length));
  AppendBe(out, type);
  return core::Crc32(std::span(out).last(4));
}

void AppendChunk(std::vector<std::byte>& out, std::uint32_t type,
                 std::span<const std::byte> data) {
  const Crc crc = AppendHead(out, type, data.size());
  AppendBytes(out, data);
  AppendBe(out, core::Crc32(data, crc));
}

// Writes and keeps the CRC-32 of the chunk that is being written.
class ChunkWriter {
 public:
  explicit ChunkWriter(storage::WriteStream& out) : out_(out) {}

  core::Status Begin(std::uint32_t type, std::uint64_t length) {
    scratch_.clear();
    crc_ = AppendHead(scratch_, type, length);
    return out_.Write(scratch_);
  }
  core::Status Write(std::span<const std::byte> bytes) {
    crc_ = core::Crc32(bytes, crc_);
    return out_.Write(bytes);
  }
  core::Status Pad(PaddingWriter& padding, std::uint64_t bytes) {
    STOKER_ASSIGN(crc_, padding.Write(bytes, core::Crc32, crc_));
    return {};
  }
  core::Status End() {
    scratch_.clear();
    AppendBe(scratch_, crc_);
    return out_.Write(scratch_);
  }

 private:
  storage::WriteStream& out_;
  std::vector<std::byte> scratch_;
  Crc crc_ = 0;
};

// Signature, image header and stamp.
core::Status WriteHead(const FileSpec& file, const png::Plan& plan,
                       PaddingWriter& padding, storage::WriteStream& out) {
  std::vector<std::byte> head;
  AppendBytes(head, std::as_bytes(std::span(png::kSignature)));
  std::vector<std::byte> image;
  AppendBe(image, plan.columns);
  AppendBe(image, plan.rows);
  image.push_back(static_cast<std::byte>(plan.depth));
  image.resize(png::kHeaderBytes);  // greyscale, deflate, filtered, plain
  AppendChunk(head, png::kIhdr, image);
  STOKER_TRY(out.Write(head));
  ChunkWriter chunk(out);
  STOKER_TRY(chunk.Begin(png::kStamp, plan.stamp_bytes()));
  STOKER_TRY(chunk.Write(
      EncodeStamp({.index = file.index, .file_bytes = file.record_bytes})));
  STOKER_TRY(chunk.Pad(padding, plan.slack));
  return chunk.End();
}

// Rows of bytes of the source, each behind the number of "no filter".
void FillRows(const png::Plan& plan, const FileSpec& file,
              PayloadSource& payload, std::uint64_t offset,
              std::span<std::byte> out) {
  const std::uint64_t row = plan.row_bytes();
  payload.Fill(file.index, 0, offset, out);
  for (std::uint64_t at = (row - offset % row) % row; at < out.size();
       at += row) {
    out[at] = std::byte{0};
  }
}

core::Status WriteImage(const FileSpec& file, const png::Plan& plan,
                        PayloadSource& payload, storage::WriteStream& out) {
  ChunkWriter chunk(out);
  STOKER_TRY(chunk.Begin(png::kIdat, plan.idat_bytes()));
  // Deflate with a window of 32 KiB, fastest, no dictionary.
  constexpr std::array<std::byte, 2> kZlib = {std::byte{0x78}, std::byte{0x01}};
  STOKER_TRY(chunk.Write(kZlib));
  std::vector<std::byte> block(png::kBlockHead + png::kBlockBytes);
  std::uint32_t adler = 1;
  for (std::uint64_t offset = 0; offset < plan.raw_bytes();) {
    const std::uint64_t length =
        std::min(png::kBlockBytes, plan.raw_bytes() - offset);
    const std::span<std::byte> raw =
        std::span(block).subspan(png::kBlockHead, length);
    FillRows(plan, file, payload, offset, raw);
    adler = core::Adler32(raw, adler);
    offset += length;
    block[0] = std::byte{offset == plan.raw_bytes()};  // the last one, stored
    block[1] = static_cast<std::byte>(length);
    block[2] = static_cast<std::byte>(length >> 8);
    block[3] = ~block[1];
    block[4] = ~block[2];
    STOKER_TRY(chunk.Write(std::span(block).first(png::kBlockHead + length)));
  }
  std::vector<std::byte> end;
  AppendBe(end, adler);
  STOKER_TRY(chunk.Write(end));
  return chunk.End();
}

}  // namespace

core::Status PngFormat::Encode(const FileSpec& file, PayloadSource& payload,
                               storage::WriteStream& out) const {
  STOKER_ASSIGN(const png::Plan plan, png::PlanFile(file));
  PaddingWriter padding(file, payload, out);
  STOKER_TRY(WriteHead(file, plan, padding, out));
  STOKER_TRY(WriteImage(file, plan, payload, out));
  for (std::uint64_t gap = plan.padding; gap > 0;) {
    const std::uint64_t block =
        NextBlock(gap, png::kChunkFrame, png::kMaxPadding);
    ChunkWriter chunk(out);
    STOKER_TRY(chunk.Begin(png::kPadding, block - png::kChunkFrame));
    STOKER_TRY(chunk.Pad(padding, block - png::kChunkFrame));
    STOKER_TRY(chunk.End());
    gap -= block;
  }
  std::vector<std::byte> end;
  AppendChunk(end, png::kIend, {});
  return out.Write(end);
}

std::unique_ptr<ReaderProgram> PngFormat::NewReader(
    const ReaderOptions& options) const {
  return std::make_unique<WholeFileReader>(
      options, *this, kPillowChunkBlock,
      std::make_unique<PngContent>(options, *this));
}

}  // namespace stoker::formats
