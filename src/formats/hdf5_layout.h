#pragma once

// Where things are in an hdf5 file of ours: dataset "records", uint8 of shape
// (samples, rows, columns), contiguous or in chunks of one sample, and dataset
// "labels", int64 zeros of shape (samples,). Superblock version 0 and the
// objects of "HDF5 File Format Specification Version 3.0", as libhdf5 1.10
// writes them for h5py; documented in docs/formats.md.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "formats/format.h"

namespace stoker::formats::hdf5 {

using Bytes = std::span<const std::byte>;

// Offsets in every file of ours, bytes.
inline constexpr std::uint64_t kRootHeader = 96;
inline constexpr std::uint64_t kGroupTree = 136;
inline constexpr std::uint64_t kHeap = 680;
inline constexpr std::uint64_t kHeapData = 712;
inline constexpr std::uint64_t kRecordsHeader = 800;
inline constexpr std::uint64_t kSymbols = 1072;
inline constexpr std::uint64_t kFrontBytes = 1400;  // all of the above
inline constexpr std::uint64_t kArray = 2048;       // contiguous: of the data
inline constexpr std::uint64_t kSuperblockBytes = 96;
inline constexpr std::uint64_t kLabelsBlock = 2048;  // chunked: of its header
inline constexpr std::uint64_t kDatasetHeaderBytes = 272;

// Parameters of the library's trees, as in a superblock of version 0.
inline constexpr std::uint16_t kGroupLeafK = 4;
inline constexpr std::uint16_t kGroupInternalK = 16;
inline constexpr std::uint64_t kFanout = 64;  // children of an index node
inline constexpr std::uint64_t kKeyBytes = 40;
inline constexpr std::uint64_t kNodeHeadBytes = 24;
inline constexpr std::uint64_t kNodeBytes =
    kNodeHeadBytes + kFanout * 8 + (kFanout + 1) * kKeyBytes;  // 3136
inline constexpr int kMaxLevels = 11;  // enough for 2^64 chunks

inline constexpr std::uint64_t kUndefined = UINT64_MAX;

// Shape of "records" and of its chunks (1, chunk_rows, chunk_columns); both 0:
// contiguous.
struct Shape {
  std::uint64_t samples = 0;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::uint64_t chunk_rows = 0;
  std::uint64_t chunk_columns = 0;

  bool chunked() const { return chunk_rows > 0; }
  std::uint64_t sample_bytes() const { return rows * columns; }
  std::uint64_t array_bytes() const { return samples * sample_bytes(); }
  // Chunks beside one another, below one another, of a sample, of all.
  std::uint64_t across() const {
    return (columns + chunk_columns - 1) / chunk_columns;
  }
  std::uint64_t down() const { return (rows + chunk_rows - 1) / chunk_rows; }
  std::uint64_t per_sample() const { return across() * down(); }
  std::uint64_t chunks() const { return samples * per_sample(); }
  // Every chunk is stored whole, also those across an edge of the sample.
  std::uint64_t chunk_bytes() const { return chunk_rows * chunk_columns; }
  std::uint64_t stored_bytes() const {
    return chunked() ? chunks() * chunk_bytes() : array_bytes();
  }

  friend bool operator==(const Shape&, const Shape&) = default;
};

// A stretch of the stored bytes: of the array, or filling up a chunk.
struct Run {
  bool padding = false;
  std::uint64_t offset = 0;  // within the array, unless padding
  std::uint64_t bytes = 0;
};
// The run that begins at `stored` of the array or of the chunks in row-major
// order; at most `limit` bytes.
Run RunAt(const Shape& shape, std::uint64_t stored, std::uint64_t limit);

// The tree of chunks as we write it: every node full but the last of a level,
// root first, level by level.
class ChunkTree {
 public:
  explicit ChunkTree(std::uint64_t chunks);
  int levels() const { return levels_; }  // the leaves are level 0
  std::uint64_t nodes(int level) const;
  std::uint64_t bytes() const;
  // Place in the file.
  std::uint64_t NodeOffset(int level, std::uint64_t index) const;
  // Chunks below a node of the level, if full; level -1: 1.
  static std::uint64_t Span(int level);

 private:
  int levels_ = 0;
  std::array<std::uint64_t, kMaxLevels> nodes_{};
};

// What Hdf5Format::Encode writes for a file.
struct Plan {
  explicit Plan(const FileSpec& file);
  Plan() = default;

  Shape shape;
  std::uint64_t data = 0;           // of the array or of the first chunk
  std::uint64_t labels_header = 0;  // of dataset "labels"
  std::uint64_t labels = 0;         // its data
  std::uint64_t file_bytes = 0;

  // What the data layout of "records" points to.
  std::uint64_t layout_address() const {
    return shape.chunked() ? kFrontBytes : data;
  }
};

// The first kFrontBytes of the file.
void BuildFront(const Plan& plan, std::span<std::byte, kFrontBytes> out);
void BuildLabelsHeader(const Plan& plan,
                       std::span<std::byte, kDatasetHeaderBytes> out);
void BuildNode(const Plan& plan, int level, std::uint64_t index,
               std::span<std::byte, kNodeBytes> out);

}  // namespace stoker::formats::hdf5
