#include "formats/hdf5_format.h"

#include <fmt/format.h>

#include <array>

#include "formats/hdf5_layout.h"
#include "formats/hdf5_reader.h"
#include "formats/payload_io.h"
#include "formats/range_reader.h"

namespace stoker::formats {
namespace {

core::Status WriteLabelsHeader(const hdf5::Plan& plan, std::uint64_t block,
                               storage::WriteStream& out) {
  std::array<std::byte, hdf5::kDatasetHeaderBytes> header;
  hdf5::BuildLabelsHeader(plan, header);
  STOKER_TRY(out.Write(header));
  return StreamZeros(block - header.size(), out);
}

core::Status WriteTree(const hdf5::Plan& plan, storage::WriteStream& out) {
  const hdf5::ChunkTree tree(plan.shape.chunks());
  std::array<std::byte, hdf5::kNodeBytes> node;
  for (int level = tree.levels() - 1; level >= 0; --level) {
    for (std::uint64_t index = 0; index < tree.nodes(level); ++index) {
      hdf5::BuildNode(plan, level, index, node);
      STOKER_TRY(out.Write(node));
    }
  }
  return {};
}

core::Status WriteChunks(const FileSpec& file, const hdf5::Shape& shape,
                         PayloadSource& payload, storage::WriteStream& out) {
  const std::uint64_t end = shape.stored_bytes();
  for (std::uint64_t at = 0; at < end;) {
    const hdf5::Run run = hdf5::RunAt(shape, at, end - at);
    if (run.padding) {
      STOKER_TRY(StreamZeros(run.bytes, out));
    } else {
      STOKER_TRY(StreamPayload(
          {.file = file.index, .bytes = run.bytes, .begin = run.offset},
          payload, out));
    }
    at += run.bytes;
  }
  return {};
}

}  // namespace

std::uint64_t Hdf5Format::FileBytes(const FileSpec& file) const {
  return hdf5::Plan(file).file_bytes;
}

core::Status Hdf5Format::Encode(const FileSpec& file, PayloadSource& payload,
                                storage::WriteStream& out) const {
  const hdf5::Plan plan(file);
  if (plan.shape.chunk_bytes() > UINT32_MAX) {
    return {core::Code::kInvalidArgument,
            fmt::format("hdf5 chunks of {} x {} bytes: a chunk must be smaller "
                        "than 4 GiB; choose a smaller chunk size",
                        plan.shape.chunk_rows, plan.shape.chunk_columns)};
  }
  std::array<std::byte, hdf5::kFrontBytes> front;
  hdf5::BuildFront(plan, front);
  STOKER_TRY(out.Write(front));
  if (plan.shape.chunked()) {
    STOKER_TRY(WriteTree(plan, out));
  } else {
    STOKER_TRY(WriteLabelsHeader(plan, hdf5::kArray - hdf5::kFrontBytes, out));
  }
  STOKER_TRY(WriteChunks(file, plan.shape, payload, out));
  if (plan.shape.chunked()) {
    STOKER_TRY(WriteLabelsHeader(plan, hdf5::kLabelsBlock, out));
  }
  return StreamZeros(8 * plan.shape.samples, out);
}

std::unique_ptr<ReaderProgram> Hdf5Format::NewReader(
    const ReaderOptions& options) const {
  if (options.style == ReaderOptions::Style::kReference) {
    return std::make_unique<Hdf5ReferenceReader>(options);
  }
  return NewRangeReader(options, std::make_unique<Hdf5Content>(options.expect));
}

}  // namespace stoker::formats
