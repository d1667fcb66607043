#pragma once

// Which sample is where in the batches of the index-sampler pipelines.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataset/order.h"
#include "emulator/internal/pump.h"
#include "emulator/loader.h"

namespace stoker::emulator::internal {

// Of one rank in one epoch at a time; PlaceOf of all ranks. Safe for concurrent
// use, but for BeginEpoch and Invert. Shuffles need tables of 4 bytes for each
// file of the set and for each sample of the rank (LaneTableBytes), Invert as
// much again.
class LaneOrder {
 public:
  // kTorch or kTfGenerator.
  LaneOrder(PipelineShape shape, std::size_t lanes,
            const LoaderOptions& options);

  // Each epoch in turn, from 1: a list of files is shuffled on top of its last
  // order.
  void BeginEpoch(std::uint32_t epoch);
  // Sample `k` of a batch.
  Visit VisitOf(std::uint64_t batch, std::uint64_t k) const;

  // Makes PlaceOf possible until the next BeginEpoch.
  void Invert();
  struct Place {
    std::uint64_t rank = 0;
    std::uint64_t position = 0;  // batch * batch size + k
  };
  // Of a sample of a file; nothing if no rank reads it.
  std::optional<Place> PlaceOf(std::uint64_t file, std::uint64_t sample) const;

 private:
  using Index = std::uint32_t;  // of a shuffled file or sample

  std::uint64_t ChunkStart(std::uint64_t lane) const;
  std::uint64_t BatchAt(std::uint64_t place) const;

  PipelineShape shape_;
  std::uint64_t lanes_;
  LoaderOptions options_;
  dataset::Share share_;
  std::uint64_t stride_ = 0;         // from one rank's share to the next's
  std::vector<Index> file_order_;    // empty: as they lie
  std::vector<Index> sample_order_;  // positions in the share
  std::vector<Index> file_places_;   // the inverses
  std::vector<Index> sample_places_;
};

}  // namespace stoker::emulator::internal
