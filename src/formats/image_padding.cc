#include "formats/image_padding.h"

#include <fmt/format.h>

#include <string_view>

#include "formats/byte_order.h"

namespace stoker::formats {
namespace {

constexpr std::string_view kMark{"Stoker\0\1", 8};
// Small enough to stay in the second-level cache until its checksum is taken.
constexpr std::uint64_t kPiece = 256U << 10;

}  // namespace

std::array<std::byte, kStampBytes> EncodeStamp(const ImageStamp& stamp) {
  std::array<std::byte, kStampBytes> out{};
  std::ranges::copy(std::as_bytes(std::span(kMark)), out.begin());
  const std::array<std::uint64_t, 2> values = {stamp.index, stamp.file_bytes};
  std::ranges::copy(std::as_bytes(std::span(values)),
                    out.begin() + kMark.size());
  return out;
}

std::optional<ImageStamp> ParseStamp(std::span<const std::byte> bytes) {
  if (AsText(bytes.first(kMark.size())) != kMark) {
    return std::nullopt;
  }
  return ImageStamp{.index = LoadLe<std::uint64_t>(bytes, 8),
                    .file_bytes = LoadLe<std::uint64_t>(bytes, 16)};
}

core::Status CheckStamp(const ImageStamp& stamp, const FileSpec& file) {
  if (stamp.index != file.index) {
    return {core::Code::kCorruption,
            fmt::format("the stamp is of file {}, expected {}: the file holds "
                        "another one's content",
                        stamp.index, file.index)};
  }
  return {};
}

core::Result<std::uint32_t> PaddingWriter::Write(
    std::uint64_t bytes,
    std::uint32_t (*crc)(std::span<const std::byte>, std::uint32_t seed),
    std::uint32_t seed) {
  while (bytes > 0) {
    STOKER_ASSIGN(std::span<std::byte> room, out_.Buffer());
    const std::uint64_t offset = next_ % file_.sample_bytes();
    room = room.first(std::min<std::uint64_t>(
        {room.size(), bytes, kPiece, file_.sample_bytes() - offset}));
    payload_.Fill(file_.index, 0, offset, room);
    seed = crc(room, seed);
    const std::size_t length = room.size();
    STOKER_TRY(out_.Append(length));
    next_ += length;
    bytes -= length;
  }
  return seed;
}

}  // namespace stoker::formats
