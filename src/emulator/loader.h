#pragma once

// Feeds one accelerator with batches, reading ahead of it the way a given
// input pipeline would.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "dataset/names.h"
#include "dataset/op_stream.h"
#include "dataset/order.h"
#include "dataset/spec.h"
#include "emulator/time_source.h"
#include "formats/format.h"
#include "metrics/run_record.h"
#include "storage/backend.h"

namespace stoker::emulator {

struct Batch {
  std::uint64_t step = 0;  // from 0 in the epoch
  std::uint32_t samples = 0;
  std::uint64_t bytes = 0;  // payload as delivered by storage
};

// The samples a loader reads: one set (train or valid) of a dataset. Pointers
// are not owned and outlive the loader.
struct LoaderData {
  storage::Backend* backend = nullptr;
  const formats::Format* format = nullptr;
  dataset::SpecSource specs;
  std::uint64_t first_index = 0;  // generation index of the set's first file
  dataset::Naming naming;
  std::uint64_t returned_bytes = 0;  // of the tensor handed over per sample

  // `file` is the index in the set.
  formats::FileSpec SpecOf(std::uint64_t file) const {
    return dataset::FileSpecOf(specs, first_index + file);
  }
};

// Whose way of asking is emulated; docs/loader_models.md has them in words.
enum class LoaderModel : std::uint8_t {
  kDlioV2,  // MLPerf Storage v2.0
  kDlioV3,  // MLPerf Storage v3.0 on local files
  kLean,    // what a good pipeline would do
};

// One row of the table of loader models.
struct LoaderModelInfo {
  LoaderModel model{};
  std::string_view name;  // value of reader.loader_model
  std::string_view summary;
};
std::span<const LoaderModelInfo> LoaderModels();
// kInvalidArgument names the models there are.
core::Result<LoaderModel> FindLoaderModel(std::string_view name);

struct LoaderOptions {
  LoaderModel model = LoaderModel::kDlioV2;
  dataset::OrderSpec order;
  std::uint64_t rank = 0;
  std::uint64_t steps = 0;   // batches per epoch
  std::uint32_t epochs = 1;  // of the run
  std::uint32_t read_threads = 1;
  std::uint32_t computation_threads = 1;
  std::uint32_t prefetch_size = 2;
  std::uint32_t shuffle_size = 1024;  // samples; acts with shuffle_samples
  std::uint32_t transfer_size = 256U << 10;  // bytes
  bool direct = false;                       // past the page cache
  std::uint32_t pump_threads = 1;
  std::uint32_t request_bytes = 1U << 20;    // lean: of a read
  std::uint64_t byte_budget = 256ULL << 20;  // lean: payload read ahead
  bool shuffle_files = false;
  bool shuffle_samples = false;
  // numpy seed of the shuffles of epoch e is seed + e, or seed.
  std::uint32_t seed = 123;
  bool seed_change_epoch = true;
  TimeSource preprocess;  // per sample
  bool check = true;      // verify the checksums the format carries
  // Read past the epoch's end and throw it away, as the reference does.
  bool read_past_end = false;
  // Where the next batch is whole already, what taking one allows is begun only
  // by GoOn (or the next call of Next).
  bool settle = false;
  core::Nanos io_timeout = std::chrono::seconds(60);
  // Sees every physical read (tests, traces); null: nobody.
  storage::ReadObserver* observer = nullptr;
};

// Called by one thread, the accelerator's; checking_so_far by any.
class Loader {
 public:
  virtual ~Loader() = default;
  // Starts reading epoch `epoch` (from 1).
  virtual core::Status StartEpoch(std::uint32_t epoch) = 0;
  // Blocks until the next batch is whole; empty after the epoch's last.
  // Releases the batch before it. kCancelled once the cancel flag is set.
  virtual core::Result<std::optional<Batch>> Next() = 0;
  // With LoaderOptions::settle: begins what the last Next allowed.
  virtual void GoOn() {}
  // Stops reading ahead, discards what is in flight and returns what was done
  // since StartEpoch.
  virtual core::Result<metrics::LoaderCounters> FinishEpoch() = 0;
  // CPU time since the loader was made that went into looking at what arrived,
  // estimated from one look in five. May lag behind by what is under way.
  // FinishEpoch tells an epoch's.
  virtual core::Nanos checking_so_far() const = 0;
  // Over the batches handed out so far, all epochs.
  virtual std::uint64_t op_stream_hash() const = 0;
  // Bytes taken for request buffers, batches ahead and tables, as PoolBytes.
  virtual std::uint64_t pool_bytes() const = 0;
  // As storage::ReadQueue::engine.
  virtual std::string_view engine() const = 0;
};

// Which pipeline a loader model emulates for a framework and a format.
enum class PipelineShape : std::uint8_t {
  kTorch,        // index sampler, worker lanes
  kTfRecord,     // parallel interleave over record files
  kTfGenerator,  // one generator per lane, other formats under tensorflow
  kShuffled      // lean: any lane takes the next sample of a global shuffle
};

// True if a file's samples can be had without reading all of the file for each:
// it streams them, or `model` asks for single ones. Found out by a dry run.
bool AsksForSingleSamples(const formats::Format& format, LoaderModel model);

// How the queue of a loader gets at the bytes.
storage::Access AccessOf(const LoaderData& data, const LoaderOptions& options);

// Bytes the loader will take, before it is made: request buffers, batches ahead
// and the tables of its order. `limits` are those of a queue opened with
// AccessOf. Walks over the set's files where their sizes vary.
std::uint64_t PoolBytes(PipelineShape shape, const LoaderData& data,
                        const LoaderOptions& options,
                        const storage::ReadLimits& limits);

// Files a loader has open at a time, at most.
std::uint64_t OpenFiles(PipelineShape shape, const LoaderData& data,
                        const LoaderOptions& options);

// Takes its memory now and starts its pump threads; the calling thread must be
// attached to `clock`. What dlio-v3 does before its first epoch is done when
// this returns.
core::Result<std::unique_ptr<Loader>> MakeLoader(
    PipelineShape shape, const LoaderData& data, const LoaderOptions& options,
    core::Clock& clock, const core::CancelFlag& cancel);

}  // namespace stoker::emulator
