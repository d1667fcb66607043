#include "emulator/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/pump.h"
#include "emulator/internal/pump_loader.h"

namespace stoker::emulator {

namespace {

constexpr std::array<LoaderModelInfo, 1> kModels{{
    {"dlio-v2",
     "the pipelines of MLPerf Storage v2.0: pytorch worker lanes or the "
     "tensorflow record pipeline, small sequential requests, checksums "
     "verified"},
}};

}  // namespace

std::span<const LoaderModelInfo> LoaderModels() { return kModels; }

std::uint64_t PoolBytes(PipelineShape shape, const LoaderData& data,
                        const LoaderOptions& options,
                        const storage::ReadLimits& limits) {
  const std::size_t lanes = internal::LanesOf(shape, options);
  return internal::Pump::BufferBytes(lanes, data, options, limits) +
         internal::PumpLoader::TensorBytes(
             internal::LookAheadOf(shape, options), data, options);
}

std::uint64_t OpenFiles(PipelineShape shape, const LoaderOptions& options) {
  return internal::LanesOf(shape, options);
}

core::Result<std::unique_ptr<Loader>> MakeLoader(
    std::string_view model, PipelineShape shape, const LoaderData& data,
    const LoaderOptions& options, core::Clock& clock,
    const core::CancelFlag& cancel) {
  if (model != kModels[0].name) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("reader.loader_model '{}' is unknown; known: {}", model,
                    kModels[0].name));
  }
  return internal::PumpLoader::Make(shape, data, options, clock, cancel);
}

namespace internal {

std::unique_ptr<BatchSchedule> MakeSchedule(PipelineShape shape,
                                            const LoaderData& data,
                                            const LoaderOptions& options,
                                            core::Clock& clock) {
  return shape == PipelineShape::kTfRecord
             ? MakeRecordSchedule(data, options, clock)
             : MakeLaneSchedule(shape, data, options, clock);
}

// The read-ahead rules of the pipelines; docs/loader_models.md has them in
// words.
std::size_t LanesOf(PipelineShape shape, const LoaderOptions& options) {
  const std::size_t threads = std::max(1U, options.read_threads);
  return shape == PipelineShape::kTfRecord ? 3 * threads : threads;
}

LookAhead LookAheadOf(PipelineShape shape, const LoaderOptions& options) {
  const std::uint64_t threads = options.read_threads;
  const std::uint64_t prefetch = options.prefetch_size;
  switch (shape) {
    case PipelineShape::kTfRecord:
      return {.batches = prefetch + std::max(1U, options.computation_threads)};
    case PipelineShape::kTfGenerator:
      return {.batches = prefetch + std::max<std::uint64_t>(1, threads)};
    case PipelineShape::kTorch:
      break;
  }
  if (threads == 0) {
    return {.batches = 1, .on_demand = true};
  }
  const std::uint64_t factor =
      prefetch == 0 ? 2 : (prefetch + threads - 1) / threads;
  return {.batches = threads * factor};
}

}  // namespace internal

}  // namespace stoker::emulator
