#include "dataset/shape.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/random.h"

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

Shapes Shapes::Make(const SizeModel& model, std::uint64_t files) {
  Shapes shapes;
  const std::uint32_t edge = NominalEdge(model);
  shapes.nominal_ = {edge, edge};
  shapes.files_ = files;
  if (!(model.stdev > 0)) {
    return shapes;
  }
  const double stdev = EdgeStdev(model);
  core::NumpyRandom random(kSizeSeed);
  shapes.drawn_.resize(files);
  for (Dims& dims : shapes.drawn_) {
    dims.rows = ToEdge(random.Normal(edge, stdev));
    dims.columns = ToEdge(random.Normal(edge, stdev));
  }
  return shapes;
}

std::uint64_t Shapes::SumBytes(std::uint64_t first, std::uint64_t count) const {
  STOKER_CHECK(first <= files_ && count <= files_ - first);
  if (drawn_.empty()) {
    return count * nominal_.bytes();
  }
  std::uint64_t sum = 0;
  for (std::uint64_t i = first; i < first + count; ++i) {
    sum += drawn_[i].bytes();
  }
  return sum;
}

std::uint64_t Shapes::MaxBytes(std::uint64_t first, std::uint64_t count) const {
  STOKER_CHECK(first <= files_ && count <= files_ - first);
  if (drawn_.empty()) {
    return count == 0 ? 0 : nominal_.bytes();
  }
  std::uint64_t max = 0;
  for (std::uint64_t i = first; i < first + count; ++i) {
    max = std::max(max, drawn_[i].bytes());
  }
  return max;
}

}  // namespace stoker::dataset
