#include "formats/hdf5_layout.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "formats/byte_order.h"

namespace stoker::formats::hdf5 {
namespace {

// Writes fields one after the other.
class Cursor {
 public:
  Cursor(std::span<std::byte> out, std::uint64_t at) : out_(out), at_(at) {}

  template <std::unsigned_integral T>
  Cursor& Put(std::uint64_t value) {
    StoreLe(out_, at_, static_cast<T>(value));
    at_ += sizeof(T);
    return *this;
  }
  Cursor& U8(std::uint64_t value) { return Put<std::uint8_t>(value); }
  Cursor& U16(std::uint64_t value) { return Put<std::uint16_t>(value); }
  Cursor& U32(std::uint64_t value) { return Put<std::uint32_t>(value); }
  Cursor& U64(std::uint64_t value) { return Put<std::uint64_t>(value); }
  Cursor& Text(std::string_view text) {
    std::memcpy(out_.subspan(at_, text.size()).data(), text.data(),
                text.size());
    at_ += text.size();
    return *this;
  }
  Cursor& Skip(std::uint64_t bytes) {
    at_ += bytes;
    return *this;
  }
  // An object header of version 1 with `messages` of `bytes` in all.
  Cursor& Header(std::uint64_t messages, std::uint64_t bytes) {
    return U8(1).U8(0).U16(messages).U32(1).U32(bytes).U32(0);
  }
  Cursor& Message(std::uint64_t type, std::uint64_t bytes,
                  std::uint64_t flags) {
    return U16(type).U16(bytes).U8(flags).Skip(3);
  }
  std::uint64_t at() const { return at_; }

 private:
  std::span<std::byte> out_;
  std::uint64_t at_;
};

constexpr std::uint64_t kNameOfRecords = 8;  // in the heap
constexpr std::uint64_t kNameOfLabels = 16;

void PutSuperblock(const Plan& plan, std::span<std::byte> out) {
  Cursor(out, 0)
      .Text("\x89HDF\r\n\x1a\n")
      .U32(0)  // versions of superblock, free space and root entry
      .U8(0)   // version of the shared header
      .U8(8)   // bytes of an offset
      .U8(8)   // and of a length
      .U8(0)
      .U16(kGroupLeafK)
      .U16(kGroupInternalK)
      .U32(0)
      .U64(0)  // base address
      .U64(kUndefined)
      .U64(plan.file_bytes)
      .U64(kUndefined)
      // The root group's entry, with its tree and heap cached.
      .U64(0)
      .U64(kRootHeader)
      .U32(1)
      .U32(0)
      .U64(kGroupTree)
      .U64(kHeap);
}

void PutRootGroup(const Plan& plan, std::span<std::byte> out) {
  Cursor(out, kRootHeader)
      .Header(1, 24)
      .Message(0x11, 16, 0)  // symbol table
      .U64(kGroupTree)
      .U64(kHeap);
  Cursor(out, kGroupTree)
      .Text("TREE")
      .U8(0)   // of a group
      .U8(0)   // leaf
      .U16(1)  // entry
      .U64(kUndefined)
      .U64(kUndefined)
      .U64(0)
      .U64(kSymbols)
      .U64(kNameOfRecords);
  Cursor(out, kHeap)
      .Text("HEAP")
      .U32(0)
      .U64(kRecordsHeader - kHeapData)
      .U64(24)  // first free block
      .U64(kHeapData);
  Cursor(out, kHeapData)
      .Skip(kNameOfRecords)
      .Text("records")
      .Skip(1)
      .Text("labels")
      .Skip(2)
      .U64(1)  // the last free block
      .U64(kRecordsHeader - kHeapData - 24);
  Cursor(out, kSymbols)
      .Text("SNOD")
      .U8(1)
      .U8(0)
      .U16(2)
      .U64(kNameOfLabels)
      .U64(plan.labels_header)
      .Skip(24)
      .U64(kNameOfRecords)
      .U64(kRecordsHeader);
}

// Fills the header up to kDatasetHeaderBytes.
void PutUnused(Cursor& cursor, std::uint64_t header) {
  cursor.Message(0, header + kDatasetHeaderBytes - cursor.at() - 8, 0);
}

void PutContiguous(Cursor& cursor, std::uint64_t address, std::uint64_t bytes) {
  cursor.Message(5, 8, 1).U8(2).U8(2).U8(2).U8(1).U32(0);  // fill: when set
  cursor.Message(8, 24, 0).U8(3).U8(1).U64(address).U64(bytes).Skip(6);
}

void PutRecords(const Plan& plan, std::span<std::byte> out) {
  const Shape& shape = plan.shape;
  Cursor cursor(out, kRecordsHeader);
  cursor.Header(5, kDatasetHeaderBytes - 16);
  cursor.Message(1, 56, 0).U8(1).U8(3).U8(1).Skip(5);  // with maximum sizes
  for (int i = 0; i < 2; ++i) {
    cursor.U64(shape.samples).U64(shape.rows).U64(shape.columns);
  }
  cursor.Message(3, 16, 1).U32(0x10).U32(1).U16(0).U16(8).U32(0);  // uint8
  if (shape.chunked()) {
    // Fill: space as it is needed, filled at once.
    cursor.Message(5, 8, 1).U8(2).U8(3).U8(0).U8(1).U32(0);
    cursor.Message(8, 32, 0).U8(3).U8(2).U8(4).U64(kFrontBytes);
    cursor.U32(1).U32(shape.chunk_rows).U32(shape.chunk_columns).U32(1);
    cursor.Skip(5);
  } else {
    PutContiguous(cursor, plan.data, shape.array_bytes());
  }
  PutUnused(cursor, kRecordsHeader);
}

// A key of the chunk tree.
void PutKey(Cursor& cursor, const Shape& shape, std::uint64_t chunk) {
  const std::uint64_t within = chunk % shape.per_sample();
  cursor.U32(shape.chunk_bytes())
      .U32(0)
      .U64(chunk / shape.per_sample())
      .U64(within / shape.across() * shape.chunk_rows)
      .U64(within % shape.across() * shape.chunk_columns)
      .U64(0);
}

// Behind the last chunk: empty, one further in every direction.
void PutLastKey(Cursor& cursor, const Shape& shape) {
  cursor.U32(0)
      .U32(0)
      .U64(shape.samples)
      .U64(shape.down() * shape.chunk_rows)
      .U64(shape.across() * shape.chunk_columns)
      .U64(1);
}

}  // namespace

Run RunAt(const Shape& shape, std::uint64_t stored, std::uint64_t limit) {
  if (!shape.chunked()) {
    return {.offset = stored, .bytes = limit};
  }
  const std::uint64_t chunk = stored / shape.chunk_bytes();
  const std::uint64_t in_chunk = stored % shape.chunk_bytes();
  const std::uint64_t in_sample = chunk % shape.per_sample();
  const std::uint64_t first_row = in_sample / shape.across() * shape.chunk_rows;
  const std::uint64_t first_column =
      in_sample % shape.across() * shape.chunk_columns;
  const std::uint64_t rows = std::min(shape.chunk_rows, shape.rows - first_row);
  const std::uint64_t columns =
      std::min(shape.chunk_columns, shape.columns - first_column);
  const std::uint64_t row = in_chunk / shape.chunk_columns;
  const std::uint64_t column = in_chunk % shape.chunk_columns;
  if (row >= rows) {
    return {.padding = true,
            .bytes = std::min(limit, shape.chunk_bytes() - in_chunk)};
  }
  if (column >= columns) {
    return {.padding = true,
            .bytes = std::min(limit, shape.chunk_columns - column)};
  }
  const std::uint64_t bytes =
      shape.chunk_columns == shape.columns
          ? rows * shape.columns - in_chunk  // its rows adjoin in the array
          : columns - column;
  return {.offset = chunk / shape.per_sample() * shape.sample_bytes() +
                    (first_row + row) * shape.columns + first_column + column,
          .bytes = std::min(limit, bytes)};
}

ChunkTree::ChunkTree(std::uint64_t chunks) {
  do {
    chunks = (chunks + kFanout - 1) / kFanout;
    nodes_[static_cast<std::size_t>(levels_++)] = chunks;
  } while (chunks > 1);
}

std::uint64_t ChunkTree::nodes(int level) const {
  return nodes_[static_cast<std::size_t>(level)];
}

std::uint64_t ChunkTree::bytes() const {
  return NodeOffset(0, nodes(0)) - kFrontBytes;
}

std::uint64_t ChunkTree::NodeOffset(int level, std::uint64_t index) const {
  for (int above = level + 1; above < levels_; ++above) {
    index += nodes(above);
  }
  return kFrontBytes + index * kNodeBytes;
}

std::uint64_t ChunkTree::Span(int level) {
  std::uint64_t span = 1;
  for (; level >= 0; --level) {
    span *= kFanout;
  }
  return span;
}

Plan::Plan(const FileSpec& file)
    : shape{.samples = file.samples,
            .rows = file.rows,
            .columns = file.columns,
            .chunk_rows = std::min(file.chunk_edge, file.rows),
            .chunk_columns = std::min(file.chunk_edge, file.columns)} {
  if (shape.chunked()) {
    data = kFrontBytes + ChunkTree(shape.chunks()).bytes();
    labels_header = data + shape.stored_bytes();
    labels = labels_header + kLabelsBlock;
  } else {
    data = kArray;
    labels_header = kFrontBytes;
    labels = data + shape.stored_bytes();
  }
  file_bytes = labels + 8 * shape.samples;
}

void BuildFront(const Plan& plan, std::span<std::byte, kFrontBytes> out) {
  std::ranges::fill(out, std::byte{0});
  PutSuperblock(plan, out);
  PutRootGroup(plan, out);
  PutRecords(plan, out);
}

void BuildLabelsHeader(const Plan& plan,
                       std::span<std::byte, kDatasetHeaderBytes> out) {
  std::ranges::fill(out, std::byte{0});
  Cursor cursor(out, 0);
  cursor.Header(5, kDatasetHeaderBytes - 16);
  cursor.Message(1, 24, 0).U8(1).U8(1).U8(1).Skip(5);
  cursor.U64(plan.shape.samples).U64(plan.shape.samples);
  cursor.Message(3, 16, 1).U32(0x0810).U32(8).U16(0).U16(64).U32(0);  // int64
  PutContiguous(cursor, plan.labels, 8 * plan.shape.samples);
  PutUnused(cursor, 0);
}

void BuildNode(const Plan& plan, int level, std::uint64_t index,
               std::span<std::byte, kNodeBytes> out) {
  const Shape& shape = plan.shape;
  const ChunkTree tree(shape.chunks());
  const std::uint64_t nodes = tree.nodes(level);
  const std::uint64_t children =
      level == 0 ? shape.chunks() : tree.nodes(level - 1);
  const std::uint64_t first = index * kFanout;
  const std::uint64_t end = std::min(first + kFanout, children);
  std::ranges::fill(out, std::byte{0});
  Cursor cursor(out, 0);
  cursor.Text("TREE")
      .U8(1)  // of chunks
      .U8(static_cast<std::uint64_t>(level))
      .U16(end - first)
      .U64(index == 0 ? kUndefined : tree.NodeOffset(level, index - 1))
      .U64(index + 1 == nodes ? kUndefined : tree.NodeOffset(level, index + 1));
  const std::uint64_t span = ChunkTree::Span(level - 1);
  for (std::uint64_t child = first; child < end; ++child) {
    PutKey(cursor, shape, child * span);
    cursor.U64(level == 0 ? plan.data + child * shape.chunk_bytes()
                          : tree.NodeOffset(level - 1, child));
  }
  if (end == children) {
    PutLastKey(cursor, shape);
  } else {
    PutKey(cursor, shape, end * span);
  }
}

}  // namespace stoker::formats::hdf5
