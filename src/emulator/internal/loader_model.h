#pragma once

// All that differs between the loader models, and the read-ahead rules of the
// pipelines, in one place; docs/loader_models.md has it in words.

#include <cstddef>
#include <cstdint>

#include "dataset/order.h"
#include "emulator/loader.h"
#include "formats/format.h"
#include "storage/read_queue.h"

namespace stoker::emulator::internal {

// How far a pipeline runs ahead.
struct LookAhead {
  // Batches that may be begun beyond those taken; at least 1.
  std::uint64_t batches = 1;
  // True: a batch is begun only when it is asked for (no overlap).
  bool on_demand = false;
};

// Lanes and look-ahead of a pipeline.
std::size_t LanesOf(PipelineShape shape, const LoaderData& data,
                    const LoaderOptions& options);
LookAhead LookAheadOf(PipelineShape shape, const LoaderData& data,
                      const LoaderOptions& options);

// The part of the samples a map-style pipeline gives a rank.
dataset::Share ShareOf(const LoaderOptions& options);

// How a lane asks for a file.
formats::ReaderOptions ReaderOptionsOf(const LoaderOptions& options,
                                       const storage::ReadLimits& limits);

// Whether lanes read the files that belong to the data files, before their
// first sample.
bool ReadsSidecars(const LoaderData& data, const LoaderOptions& options);
// Whether they do so before the first epoch rather than at its start.
bool WarmsUp(const LoaderOptions& options);

// Bytes of a lane's request buffer, in whole pages.
std::uint64_t LaneBufferBytes(const LoaderData& data,
                              const LoaderOptions& options,
                              const storage::ReadLimits& limits);
// Of the batches ahead and the one the accelerator holds.
std::uint64_t TensorBytes(PipelineShape shape, const LoaderData& data,
                          const LoaderOptions& options);

}  // namespace stoker::emulator::internal
