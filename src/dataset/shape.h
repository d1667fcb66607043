#pragma once

// How large the samples of each file are: the reference's size sequence.

#include <cstdint>
#include <vector>

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

// d1 and d2 of one file's samples: uint8 elements.
struct Dims {
  std::uint32_t rows = 1;
  std::uint32_t columns = 1;
  std::uint64_t bytes() const { return std::uint64_t{rows} * columns; }
};

// Dims of files 0 … files-1 in generation order (train files, then eval
// files). The pair of a file does not depend on how many follow it. With
// stdev > 0: normals of numpy's legacy stream, seed kSizeSeed, rows before
// columns, truncated toward zero, at least 1; else the nominal edge, and
// nothing is stored.
class Shapes {
 public:
  static Shapes Make(const SizeModel& model, std::uint64_t files);
  Dims at(std::uint64_t file) const {
    return drawn_.empty() ? nominal_ : drawn_[file];
  }
  std::uint64_t files() const { return files_; }
  // Bytes of one sample, over files [first, first + count) within files().
  std::uint64_t SumBytes(std::uint64_t first, std::uint64_t count) const;
  std::uint64_t MaxBytes(std::uint64_t first, std::uint64_t count) const;

 private:
  Dims nominal_;
  std::uint64_t files_ = 0;
  std::vector<Dims> drawn_;
};

}  // namespace stoker::dataset
