#pragma once

// Writes one checkpoint file through a WriteStream, in the sizes of a style.

#include <cstdint>
#include <string_view>
#include <vector>

#include "checkpoint/archive.h"
#include "checkpoint/content.h"
#include "checkpoint/model.h"
#include "checkpoint/save.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/write_stream.h"

namespace stoker::checkpoint::internal {

// How a file's bytes are cut into requests. Memory taken is at most
// (in_flight + 1) * part_bytes.
struct WriteShape {
  std::size_t part_bytes = 0;  // of a request at most; a multiple of 4096
  std::size_t in_flight = 0;   // requests under way while the next is made
  // > 0: as Python's buffered file with a buffer of so many bytes: what is
  // smaller is gathered, what is larger goes out by itself. 0: whole parts.
  std::size_t small_buffer = 0;
};

// `small_unit`: st_blksize of the place. Fits into context.pool_bytes.
WriteShape ShapeOf(const ShardContext& context, FileFormat format,
                   std::size_t small_unit);
// Bytes of the largest request; larger tensors go out in several.
std::uint64_t LargestWrite(const ShardContext& context, FileFormat format);

// What making the bytes cost the client.
struct MakingTimes {
  core::Nanos content{};
  core::Nanos checksum{};
};

// One file; used once.
class ShardWriter {
 public:
  ShardWriter(storage::WriteStream& stream, const WriteShape& shape,
              core::Clock& clock)
      : stream_(stream), shape_(shape), clock_(clock) {}

  // All bytes of the file, but not the commit. `before`: bytes of the rank's
  // files before this one, for ShardContext::progress.
  core::Status Write(const ShardFile& file, const FileLayout& layout,
                     const FileContent& content, const ShardContext& context,
                     std::uint64_t before);

  std::uint32_t crc() const { return crc_; }              // of the file
  std::uint32_t frame_crc() const { return frame_crc_; }  // without tensors
  const MakingTimes& times() const { return times_; }

 private:
  core::Status Literals(std::string_view text, bool first);
  core::Status Literal(std::string_view text);
  core::Status Chunk(std::size_t index, const TensorSpec& tensor,
                     const FileContent& content, std::uint64_t offset,
                     std::uint32_t& crc);
  core::Status MakeRoom(std::uint64_t bytes);

  storage::WriteStream& stream_;
  const WriteShape& shape_;
  core::Clock& clock_;
  std::uint32_t crc_ = 0;
  std::uint32_t frame_crc_ = 0;
  std::size_t gathered_ = 0;  // bytes in the small buffer
  MakingTimes times_;
};

}  // namespace stoker::checkpoint::internal
