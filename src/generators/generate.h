#pragma once

// Producing a dataset: all ranks write, the manifest comes last.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "dataset/manifest.h"
#include "dataset/names.h"
#include "dataset/shape.h"
#include "formats/format.h"
#include "storage/backend.h"

namespace stoker::generators {

// Payload that is unique per (file, sample, offset) and can be made again from
// the manifest: FillCounterStream with key StreamKey(seed, file, sample).
class CounterPayload final : public formats::PayloadSource {
 public:
  explicit CounterPayload(std::uint64_t seed) : seed_(seed) {}
  void Fill(std::uint64_t file, std::uint32_t sample, std::uint64_t offset,
            std::span<std::byte> out) override;

 private:
  std::uint64_t seed_;
};

struct GeneratePlan {
  const formats::Format* format = nullptr;
  dataset::Naming train;
  dataset::Naming valid;  // total 0: none
  std::uint32_t samples_per_file = 1;
  dataset::SizeModel sizes;
  dataset::ContentMode content;
  bool write_index = false;     // tfrecord: index/<set>/<basename>.idx beside
  std::string tool = "stoker";  // name and version, for the manifest
};

struct GenerateResult {
  std::uint64_t files = 0;  // names of data files made by this rank
  std::uint64_t bytes = 0;  // written by this rank, record indexes included
  bool reused = false;      // the whole dataset was there; the same everywhere
  core::Nanos elapsed{};
  core::Nanos busy_storage{};  // inside the back end
};

// Progress of all ranks is not known to one: this is the own share. Called
// after each part of a file (8 MiB) and after each name.
using GenerateProgress =
    std::function<void(std::uint64_t files_done, std::uint64_t files_mine,
                       std::uint64_t bytes_done)>;

// FileSpec of a file (generation index: train files, then eval files) under
// `content.distinct`. `shapes` covers both sets.
formats::FileSpec SpecOf(const GeneratePlan& plan,
                         const dataset::Shapes& shapes, std::uint64_t index);

// What Generate will write as the manifest, hash included.
dataset::Manifest ManifestOf(const GeneratePlan& plan,
                             const dataset::Shapes& shapes);

// Collective. Rank 0 first checks the place: free space for what will be
// written, foreign files in the way, files of another count, an existing
// dataset (same hash and all files whole: nothing to do, `reused`), link limit
// against distinct. Names of this very dataset without a manifest are what an
// interrupted generation left, and are replaced. Then the ranks share the
// distinct contents: rank r writes number r, r + R, …; links follow once all
// are written; rank 0 writes the manifest once all links are made. Errors are
// agreed upon after each of these phases; then there is no manifest, and
// nothing half-written has a final name. If a rank cannot be reached the others
// return without it, and the caller aborts the communicator.
//
// kInvalidArgument: the plan cannot work here (the message has the remedy).
// kUnsupported: links on a back end without. kIoError with ENOSPC: too little
// space. kCorruption: the manifest in the place is damaged. kCancelled.
core::Result<GenerateResult> Generate(comm::Communicator& comm,
                                      storage::Backend& backend,
                                      const GeneratePlan& plan,
                                      core::Clock& clock,
                                      const core::CancelFlag& cancel,
                                      const GenerateProgress& progress);

}  // namespace stoker::generators
