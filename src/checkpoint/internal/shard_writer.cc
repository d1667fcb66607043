#include "checkpoint/internal/shard_writer.h"

#include <algorithm>
#include <span>

#include "checkpoint/internal/request_limits.h"
#include "core/crc.h"
#include "core/pages.h"
#include "core/units.h"

namespace stoker::checkpoint::internal {

namespace {

// Made, summed and left for the copy to storage while in a core's cache.
constexpr std::size_t kBlock = 64U << 10;

constexpr std::size_t kLeanPart = 1U << 20;
constexpr std::size_t kLeanInFlight = 3;
// The v3.0 reference writes raw files through four buffers of 32 MiB.
constexpr std::size_t kRawPart = 32U << 20;
constexpr std::size_t kRawInFlight = 3;

std::size_t Fit(std::size_t part, std::size_t buffers, std::uint64_t pool) {
  const std::uint64_t most = core::PagesDown(pool / buffers);
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(
      part, core::kPageBytes, std::max(most, core::kPageBytes)));
}

}  // namespace

WriteShape ShapeOf(const ShardContext& context, FileFormat format,
                   std::size_t small_unit) {
  const auto shape = [&](std::size_t part, std::size_t in_flight,
                         std::size_t small) {
    return WriteShape{
        .part_bytes = Fit(part, in_flight + 1, context.pool_bytes),
        .in_flight = in_flight,
        .small_buffer = small};
  };
  if (context.style == IoStyle::kLean) {
    return shape(kLeanPart, kLeanInFlight, 0);
  }
  if (format == FileFormat::kRaw) {
    return shape(kRawPart, kRawInFlight, 0);
  }
  // One request under way, the next tensor in the making.
  return shape(LargestWrite(context, format), 1, small_unit);
}

std::uint64_t LargestWrite(const ShardContext& context, FileFormat format) {
  if (context.style == IoStyle::kLean) {
    return kLeanPart;
  }
  if (format == FileFormat::kRaw) {
    return std::min<std::uint64_t>(kRawPart, context.pool_bytes / 4);
  }
  return std::min(kKernelCap, core::PagesDown(context.pool_bytes / 2));
}

core::Status ShardWriter::Write(const ShardFile& file, const FileLayout& layout,
                                const FileContent& content,
                                const ShardContext& context,
                                std::uint64_t before) {
  std::vector<std::uint32_t> crcs;
  crcs.reserve(layout.tensors());
  for (std::size_t position = 0; position < layout.tensors(); ++position) {
    if (context.cancel != nullptr && context.cancel->IsSet()) {
      return {core::Code::kCancelled, "the run was stopped"};
    }
    STOKER_TRY(Literals(layout.Between(position, crcs), position == 0));
    const std::size_t index = layout.index(position);
    const TensorSpec& tensor = file.tensors[index];
    std::uint32_t crc = 0;
    STOKER_TRY(MakeRoom(tensor.bytes()));
    for (std::uint64_t at = 0; at < tensor.bytes();) {
      const std::uint64_t start = stream_.position();
      STOKER_TRY(Chunk(index, tensor, content, at, crc));
      at += stream_.position() - start;
      if (context.progress) {
        context.progress(before + stream_.position());
      }
      if (context.cancel != nullptr && context.cancel->IsSet()) {
        return {core::Code::kCancelled, "the run was stopped"};
      }
    }
    if (shape_.small_buffer > 0 && tensor.bytes() > shape_.small_buffer) {
      STOKER_TRY(stream_.Cut());
      gathered_ = 0;
    }
    crc_ = core::Crc32Combine(crc_, crc, tensor.bytes());
    crcs.push_back(crc);
  }
  return Literals(layout.Between(layout.tensors(), crcs),
                  layout.tensors() == 0);
}

// Python's buffered file: what does not fit beside what is gathered sends that
// away first.
core::Status ShardWriter::MakeRoom(std::uint64_t bytes) {
  if (shape_.small_buffer == 0) {
    return {};
  }
  if (gathered_ + bytes > shape_.small_buffer) {
    STOKER_TRY(stream_.Cut());
    gathered_ = 0;
  }
  if (bytes <= shape_.small_buffer) {
    gathered_ += static_cast<std::size_t>(bytes);
  }
  return {};
}

// Where the reference hands over more than its small buffer holds at once:
// data.pkl's bytes (they begin at 64) and the central directory go out by
// themselves if they are large.
core::Status ShardWriter::Literals(std::string_view text, bool first) {
  constexpr std::size_t kFirstPayload = 64;
  constexpr std::size_t kTrailer = 56 + 20 + 22;  // the three end records
  constexpr std::string_view kDescriptor("PK\x07\x08", 4);
  constexpr std::string_view kDirectory("PK\x01\x02", 4);
  const auto take = [&](std::size_t count) {
    const std::string_view piece = text.substr(0, count);
    text.remove_prefix(piece.size());
    return Literal(piece);
  };
  if (shape_.small_buffer > 0 && first && text.size() > kFirstPayload) {
    STOKER_TRY(take(kFirstPayload));
    STOKER_TRY(take(text.find(kDescriptor)));
  }
  const std::size_t directory = text.find(kDirectory);
  if (shape_.small_buffer > 0 && directory != std::string_view::npos) {
    STOKER_TRY(take(directory));
    STOKER_TRY(take(text.size() - std::min(text.size(), kTrailer)));
  }
  return Literal(text);
}

core::Status ShardWriter::Literal(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  const std::uint32_t crc = core::Crc32(bytes);
  crc_ = core::Crc32Combine(crc_, crc, bytes.size());
  frame_crc_ = core::Crc32(bytes, frame_crc_);
  STOKER_TRY(MakeRoom(bytes.size()));
  STOKER_TRY(stream_.Write(bytes));
  if (shape_.small_buffer > 0 && bytes.size() > shape_.small_buffer) {
    STOKER_TRY(stream_.Cut());
    gathered_ = 0;
  }
  return {};
}

// Fills what the stream has room for.
core::Status ShardWriter::Chunk(std::size_t index, const TensorSpec& tensor,
                                const FileContent& content,
                                std::uint64_t offset, std::uint32_t& crc) {
  STOKER_ASSIGN(std::span<std::byte> room, stream_.Buffer());
  const auto bytes = static_cast<std::size_t>(
      std::min<std::uint64_t>(room.size(), tensor.bytes() - offset));
  room = room.first(bytes);
  core::TimePoint now = clock_.Now();
  while (!room.empty()) {
    const std::span<std::byte> block =
        room.first(std::min(room.size(), kBlock));
    content.Fill(index, tensor.type, offset, block);
    const core::TimePoint made = clock_.Now();
    crc = core::Crc32(block, crc);
    const core::TimePoint summed = clock_.Now();
    times_.content += made - now;
    times_.checksum += summed - made;
    now = summed;
    offset += block.size();
    room = room.subspan(block.size());
  }
  return stream_.Append(bytes);
}

}  // namespace stoker::checkpoint::internal
