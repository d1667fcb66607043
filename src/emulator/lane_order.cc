#include "emulator/internal/lane_order.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "core/check.h"
#include "core/random.h"
#include "emulator/internal/loader_model.h"

namespace stoker::emulator::internal {

LaneOrder::LaneOrder(PipelineShape shape, std::size_t lanes,
                     const LoaderOptions& options)
    : shape_(shape),
      lanes_(lanes),
      options_(options),
      share_(ShareOf(options)) {
  if (options.order.ranks > 1) {
    LoaderOptions second = options;
    second.rank = 1;
    stride_ = ShareOf(second).first;
    STOKER_CHECK(share_.first == stride_ * options.rank);
  }
}

// The iterative sampler shuffles the list of files (in place, epoch after
// epoch) and each rank's samples, by numpy's stream from seed + epoch.
void LaneOrder::BeginEpoch(std::uint32_t epoch) {
  if (shape_ != PipelineShape::kTfGenerator) {
    return;
  }
  const std::uint32_t seed =
      options_.seed + (options_.seed_change_epoch ? epoch : 0);
  if (options_.shuffle_files) {
    if (file_order_.empty()) {
      file_order_.resize(options_.order.files);
      std::iota(file_order_.begin(), file_order_.end(), 0U);
    }
    core::NumpyRandom(seed).Shuffle(std::span(file_order_));
  }
  if (options_.shuffle_samples) {
    sample_order_.resize(options_.steps * options_.order.batch_size);
    std::iota(sample_order_.begin(), sample_order_.end(), 0U);
    core::NumpyRandom(seed).Shuffle(std::span(sample_order_));
  }
}

// Lane t yields batches t, t + T, …; the lanes' chunks lie one behind the other
// in the share. In batches.
std::uint64_t LaneOrder::ChunkStart(std::uint64_t lane) const {
  const std::uint64_t whole = options_.steps / lanes_;
  const std::uint64_t rest = options_.steps % lanes_;
  return lane * whole + std::min(lane, rest);
}

Visit LaneOrder::VisitOf(std::uint64_t batch, std::uint64_t k) const {
  const std::uint64_t place = shape_ == PipelineShape::kTorch
                                  ? batch
                                  : ChunkStart(batch % lanes_) + batch / lanes_;
  std::uint64_t position = place * options_.order.batch_size + k;
  if (!sample_order_.empty()) {
    position = sample_order_[static_cast<std::size_t>(position)];
  }
  const std::uint64_t sample = share_.first + position;
  std::uint64_t file = sample / options_.order.samples_per_file;
  if (!file_order_.empty()) {
    file = file_order_[static_cast<std::size_t>(file)];
  }
  return {.file = file,
          .sample = static_cast<std::uint32_t>(
              sample % options_.order.samples_per_file)};
}

void LaneOrder::Invert() {
  const auto invert = [](const std::vector<Index>& order,
                         std::vector<Index>& places) {
    places.resize(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      places[order[i]] = static_cast<Index>(i);
    }
  };
  invert(file_order_, file_places_);
  invert(sample_order_, sample_places_);
}

// The batch whose samples are the `place`-th in the share.
std::uint64_t LaneOrder::BatchAt(std::uint64_t place) const {
  if (shape_ == PipelineShape::kTorch) {
    return place;
  }
  // The first `rest` chunks have one batch more.
  const std::uint64_t whole = options_.steps / lanes_;
  const std::uint64_t rest = options_.steps % lanes_;
  const std::uint64_t lane = place < ChunkStart(rest)
                                 ? place / (whole + 1)
                                 : rest + (place - ChunkStart(rest)) / whole;
  return (place - ChunkStart(lane)) * lanes_ + lane;
}

std::optional<LaneOrder::Place> LaneOrder::PlaceOf(std::uint64_t file,
                                                   std::uint64_t sample) const {
  const dataset::OrderSpec& order = options_.order;
  if (!file_places_.empty()) {
    file = file_places_[static_cast<std::size_t>(file)];
  }
  const std::uint64_t number = file * order.samples_per_file + sample;
  const std::uint64_t rank =
      stride_ == 0 ? 0 : std::min(number / stride_, order.ranks - 1);
  std::uint64_t position = number - rank * stride_;
  if (position >= options_.steps * order.batch_size) {
    return std::nullopt;
  }
  if (!sample_places_.empty()) {
    position = sample_places_[static_cast<std::size_t>(position)];
  }
  const std::uint64_t batch = BatchAt(position / order.batch_size);
  return Place{
      .rank = rank,
      .position = batch * order.batch_size + position % order.batch_size};
}

}  // namespace stoker::emulator::internal
