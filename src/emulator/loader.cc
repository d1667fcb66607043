#include "emulator/loader.h"

#include <utility>

#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/loader_model.h"
#include "emulator/internal/pump_loader.h"

namespace stoker::emulator {

std::uint64_t PoolBytes(PipelineShape shape, const LoaderData& data,
                        const LoaderOptions& options,
                        const storage::ReadLimits& limits) {
  return internal::LanesOf(shape, data, options) *
             internal::LaneBufferBytes(data, options, limits) +
         internal::TensorBytes(shape, data, options) +
         internal::TableBytes(shape, data, options);
}

std::uint64_t OpenFiles(PipelineShape shape, const LoaderData& data,
                        const LoaderOptions& options) {
  return internal::LanesOf(shape, data, options);
}

core::Result<std::unique_ptr<Loader>> MakeLoader(
    PipelineShape shape, const LoaderData& data, const LoaderOptions& options,
    core::Clock& clock, const core::CancelFlag& cancel) {
  return internal::PumpLoader::Make(shape, data, options, clock, cancel);
}

namespace internal {

namespace {

std::unique_ptr<BatchSchedule> MakePlain(PipelineShape shape,
                                         const LoaderData& data,
                                         const LoaderOptions& options,
                                         core::Clock& clock) {
  switch (shape) {
    case PipelineShape::kTfRecord:
      return MakeRecordSchedule(data, options, clock);
    case PipelineShape::kShuffled:
      return MakeLeanSchedule(data, options, clock);
    case PipelineShape::kTorch:
    case PipelineShape::kTfGenerator:
      break;
  }
  return MakeLaneSchedule(shape, data, options, clock);
}

}  // namespace

std::uint64_t TableBytes(PipelineShape shape, const LoaderData& data,
                         const LoaderOptions& options) {
  switch (shape) {
    case PipelineShape::kTfRecord:
      return RecordTableBytes(data, options);
    case PipelineShape::kTorch:
    case PipelineShape::kTfGenerator:
      return LaneTableBytes(shape, options);
    case PipelineShape::kShuffled:
      break;
  }
  return 0;
}

std::unique_ptr<BatchSchedule> MakeSchedule(PipelineShape shape,
                                            const LoaderData& data,
                                            const LoaderOptions& options,
                                            core::Clock& clock) {
  std::unique_ptr<BatchSchedule> schedule =
      MakePlain(shape, data, options, clock);
  return ReadsSidecars(data, options)
             ? WithSidecars(std::move(schedule), shape, data, options)
             : std::move(schedule);
}

}  // namespace internal

}  // namespace stoker::emulator
