#include "dataset/shape.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"

namespace stoker::dataset {

namespace {

// Toward zero, at least 1.
std::uint32_t ToEdge(double length) {
  constexpr double kMax = std::numeric_limits<std::uint32_t>::max();
  if (!(length >= 1)) {
    return 1;
  }
  return static_cast<std::uint32_t>(std::min(length, kMax));
}

// Contents of a set whose dims are stored.
std::uint64_t Kept(const ShapeSets& sets, std::uint64_t files,
                   std::uint64_t used) {
  return std::min(DistinctFiles(files, sets.distinct), used);
}

}  // namespace

std::uint32_t NominalEdge(const SizeModel& model) {
  return ToEdge(std::sqrt(model.record_length));
}

double EdgeStdev(const SizeModel& model) {
  return model.stdev / 2.0 / std::sqrt(model.record_length);
}

std::uint64_t ReturnedBytes(const SizeModel& model) {
  const std::uint64_t edge =
      model.resize > 0 ? ToEdge(std::sqrt(model.resize)) : NominalEdge(model);
  return edge * edge;
}

std::uint64_t RecordBytes(const SizeModel& model) {
  return model.stdev > 0 ? 0 : static_cast<std::uint64_t>(model.record_length);
}

std::uint32_t ChunkEdge(std::uint64_t chunk_bytes) {
  auto edge =
      static_cast<std::uint64_t>(std::sqrt(static_cast<double>(chunk_bytes)));
  edge -= edge > 0 ? 1 : 0;  // the root may have been rounded up
  while (edge * edge < chunk_bytes) {
    ++edge;
  }
  return static_cast<std::uint32_t>(edge);
}

ShapeCursor::ShapeCursor(const SizeModel& model)
    : model_(model), random_(kSizeSeed) {
  const std::uint32_t edge = NominalEdge(model);
  current_ = {edge, edge};
}

Dims ShapeCursor::At(std::uint64_t file) {
  if (!(model_.stdev > 0)) {
    return current_;
  }
  if (file + 1 == next_) {
    return current_;
  }
  if (file < next_) {
    random_ = core::NumpyRandom(kSizeSeed);
    next_ = 0;
  }
  random_.SkipNormalPairs(file - next_);
  next_ = file + 1;
  const double stdev = EdgeStdev(model_);
  const std::uint32_t edge = NominalEdge(model_);
  current_.rows = ToEdge(random_.Normal(edge, stdev));
  current_.columns = ToEdge(random_.Normal(edge, stdev));
  return current_;
}

std::uint64_t Shapes::TableBytes(const SizeModel& model,
                                 const ShapeSets& sets) {
  return model.stdev > 0 ? (Kept(sets, sets.train_files, sets.train_used) +
                            Kept(sets, sets.valid_files, sets.valid_used)) *
                               sizeof(Dims)
                         : 0;
}

std::uint64_t DistinctFiles(std::uint64_t files, std::uint64_t distinct) {
  return distinct > 0 && distinct < files ? distinct : files;
}

Shapes Shapes::Make(const SizeModel& model, const ShapeSets& sets) {
  Shapes shapes;
  const std::uint32_t edge = NominalEdge(model);
  shapes.nominal_ = {edge, edge};
  shapes.train_files_ = sets.train_files;
  shapes.valid_files_ = sets.valid_files;
  if (!(model.stdev > 0)) {
    return shapes;
  }
  shapes.train_kept_ = Kept(sets, sets.train_files, sets.train_used);
  shapes.valid_kept_ = Kept(sets, sets.valid_files, sets.valid_used);
  shapes.drawn_.reserve(shapes.train_kept_ + shapes.valid_kept_);
  ShapeCursor cursor(model);
  for (std::uint64_t i = 0; i < shapes.train_kept_; ++i) {
    shapes.drawn_.push_back(cursor.At(i));
  }
  for (std::uint64_t i = 0; i < shapes.valid_kept_; ++i) {
    shapes.drawn_.push_back(cursor.At(sets.train_files + i));
  }
  return shapes;
}

std::uint64_t Shapes::SumBytes(std::uint64_t first, std::uint64_t count) const {
  STOKER_CHECK(first <= files() && count <= files() - first);
  if (drawn_.empty()) {
    return count * nominal_.bytes();
  }
  std::uint64_t sum = 0;
  for (std::uint64_t i = first; i < first + count; ++i) {
    sum += at(i).bytes();
  }
  return sum;
}

std::uint64_t Shapes::MaxBytes(std::uint64_t first, std::uint64_t count) const {
  STOKER_CHECK(first <= files() && count <= files() - first);
  if (drawn_.empty()) {
    return count == 0 ? 0 : nominal_.bytes();
  }
  std::uint64_t max = 0;
  for (std::uint64_t i = first; i < first + count; ++i) {
    max = std::max(max, at(i).bytes());
  }
  return max;
}

}  // namespace stoker::dataset
