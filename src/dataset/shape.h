#pragma once

// How large the samples of each file are: the reference's size sequence.

#include <cstdint>
#include <vector>

#include "core/random.h"

namespace stoker::dataset {

// dataset.record_length_bytes and its companions, bytes.
struct SizeModel {
  double record_length = 65536;
  double stdev = 0;
  double resize = 0;  // 0: tensors are returned as read
};

// Seed of the size sequence; fixed by the reference.
inline constexpr std::uint32_t kSizeSeed = 10;

// ⌊√record_length⌋, at least 1: the edge all samples have when stdev is 0.
std::uint32_t NominalEdge(const SizeModel& model);
// stdev / 2 / √record_length: standard deviation of each edge.
double EdgeStdev(const SizeModel& model);
// Bytes of the tensor the pipeline hands over: ⌊√resize⌋², or ⌊√L⌋².
std::uint64_t ReturnedBytes(const SizeModel& model);
// Bytes of a file whose format pads to the record length: its whole part where
// all files have it, 0 where sizes vary.
std::uint64_t RecordBytes(const SizeModel& model);
// ⌈√chunk_bytes⌉: edge of an hdf5 chunk; 0 for 0.
std::uint32_t ChunkEdge(std::uint64_t chunk_bytes);

// d1 and d2 of one file's samples: uint8 elements.
struct Dims {
  std::uint32_t rows = 1;
  std::uint32_t columns = 1;
  std::uint64_t bytes() const { return std::uint64_t{rows} * columns; }
};

// Dims of files in ascending order, without storing any. The pair of a file
// does not depend on how many follow it. With stdev > 0: normals of numpy's
// legacy stream, seed kSizeSeed, rows before columns, truncated toward zero, at
// least 1; else the nominal edge.
class ShapeCursor {
 public:
  explicit ShapeCursor(const SizeModel& model);
  // By generation index (train files, then eval files). Going back starts the
  // stream over.
  Dims At(std::uint64_t file);

 private:
  SizeModel model_;
  Dims current_;
  std::uint64_t next_ = 0;  // file whose draws come next
  core::NumpyRandom random_;
};

// Number of different contents in a set of `files` files: `distinct` of them
// where that is > 0 and less than `files`, else all.
std::uint64_t DistinctFiles(std::uint64_t files, std::uint64_t distinct);

// The files whose dims are wanted.
struct ShapeSets {
  std::uint64_t train_files = 0;
  std::uint64_t valid_files = 0;
  std::uint64_t distinct = 0;  // ContentMode::distinct
  // Only the first so many files of a set are asked for.
  std::uint64_t train_used = UINT64_MAX;
  std::uint64_t valid_used = UINT64_MAX;
};

// Dims of files by generation index, in any order. With stdev 0 nothing is
// stored, else 8 bytes for each different content in use.
class Shapes {
 public:
  static Shapes Make(const SizeModel& model, const ShapeSets& sets);
  // Bytes that Make will take, or took.
  static std::uint64_t TableBytes(const SizeModel& model,
                                  const ShapeSets& sets);
  std::uint64_t table_bytes() const { return drawn_.size() * sizeof(Dims); }
  static Shapes Make(const SizeModel& model, std::uint64_t files) {
    return Make(model, ShapeSets{.train_files = files});
  }
  // `file` below files(), and within what Make was told is used. With distinct,
  // of the content that the file holds.
  Dims at(std::uint64_t file) const {
    return drawn_.empty() ? nominal_ : drawn_[Slot(file)];
  }
  std::uint64_t files() const { return train_files_ + valid_files_; }
  // False: all files have the same dims.
  bool vary() const { return !drawn_.empty(); }
  // Bytes of one sample, over files [first, first + count) within files().
  std::uint64_t SumBytes(std::uint64_t first, std::uint64_t count) const;
  std::uint64_t MaxBytes(std::uint64_t first, std::uint64_t count) const;

 private:
  std::uint64_t Slot(std::uint64_t file) const {
    const bool train = file < train_files_;
    const std::uint64_t index = train ? file : file - train_files_;
    const std::uint64_t kept = train ? train_kept_ : valid_kept_;
    return (train ? 0 : train_kept_) + (index < kept ? index : index % kept);
  }

  Dims nominal_;
  std::uint64_t train_files_ = 0;
  std::uint64_t valid_files_ = 0;
  std::uint64_t train_kept_ = 0;
  std::uint64_t valid_kept_ = 0;
  std::vector<Dims> drawn_;  // kept train files, then kept eval files
};

}  // namespace stoker::dataset
