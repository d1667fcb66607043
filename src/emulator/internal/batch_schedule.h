#pragma once

// The part of a loader that differs between pipelines: which sample goes into
// which batch, and how far ahead of the accelerator the pipeline runs.

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataset/op_stream.h"
#include "emulator/internal/pump.h"

namespace stoker::emulator::internal {

// Where whole batches go. Called by the pump's thread.
class BatchSink {
 public:
  virtual ~BatchSink() = default;
  virtual void Post(std::uint64_t step, std::uint64_t bytes) = 0;
};

struct Arrived {
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;  // payload
};

class BatchSchedule : public Schedule {
 public:
  // A pump's thread, before any lane moves in the epoch. `allowed` counts the
  // batches that may be begun; the consumer raises it.
  virtual void StartEpoch(std::uint32_t epoch,
                          const std::atomic<std::uint64_t>& allowed,
                          BatchSink& sink) = 0;
  // Samples that arrived since StartEpoch, handed over or not.
  virtual Arrived arrived() const = 0;
  // Consumer thread, for a posted batch that is not yet taken: adds its
  // samples in order.
  virtual void HashBatch(std::uint32_t epoch, std::uint64_t step,
                         dataset::OpStreamHash& hash) const = 0;
};

std::unique_ptr<BatchSchedule> MakeLaneSchedule(PipelineShape shape,
                                                const LoaderData& data,
                                                const LoaderOptions& options,
                                                core::Clock& clock);
std::unique_ptr<BatchSchedule> MakeRecordSchedule(const LoaderData& data,
                                                  const LoaderOptions& options,
                                                  core::Clock& clock);
std::unique_ptr<BatchSchedule> MakeLeanSchedule(const LoaderData& data,
                                                const LoaderOptions& options,
                                                core::Clock& clock);
// Memory of their lists of files, samples and records: taken by the first
// epoch's start, and for all epochs.
std::uint64_t LaneTableBytes(PipelineShape shape, const LoaderOptions& options);
std::uint64_t RecordTableBytes(const LoaderData& data,
                               const LoaderOptions& options);
// Of the schedule of `shape`; none for lean, which computes its order.
std::uint64_t TableBytes(PipelineShape shape, const LoaderData& data,
                         const LoaderOptions& options);
// `inner`, each of whose lanes reads all sidecars of the rank's files once
// before it does anything else; of all files where files are shuffled. Until
// the first StartEpoch the lanes do no more than that.
std::unique_ptr<BatchSchedule> WithSidecars(
    std::unique_ptr<BatchSchedule> inner, PipelineShape shape,
    const LoaderData& data, const LoaderOptions& options);
// The one of `shape`, with sidecars where the model reads them.
std::unique_ptr<BatchSchedule> MakeSchedule(PipelineShape shape,
                                            const LoaderData& data,
                                            const LoaderOptions& options,
                                            core::Clock& clock);

}  // namespace stoker::emulator::internal
