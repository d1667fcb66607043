#pragma once

// What happens around each epoch of a training run, outside of what is timed:
// caches are dropped if asked for, and the kernel's counts are looked at.

#include <cstdint>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "dataset/names.h"
#include "metrics/run_record.h"
#include "run/phases.h"
#include "storage/backend.h"

namespace stoker::run::internal {

// Used by one thread. What it is given outlives it.
class EpochWatch {
 public:
  // `files`: of `naming`, the training set; the first rank of a host looks at
  // some of them in the page cache.
  EpochWatch(const RankContext& context, storage::Backend& backend,
             const dataset::Naming& naming, std::uint64_t files,
             bool drop_caches);

  // Collective if caches are dropped: nobody goes on before all are.
  void Begin();
  metrics::EpochWitnesses End();
  // The first failure; kPermission, kTimedOut: caches could not be dropped.
  const core::Status& status() const { return status_; }

 private:
  bool leads_host() const { return context_.comm->local_rank() == 0; }
  void ChooseSample(const dataset::Naming& naming, std::uint64_t files);
  void Drop();
  metrics::CacheSample LookAtSample();

  const RankContext& context_;
  storage::Backend& backend_;
  const bool drop_caches_;
  std::vector<std::string> sample_;
  std::uint64_t sample_bytes_ = 0;
  metrics::Witnesses before_;
  metrics::EpochWitnesses seen_;
  core::Status status_;
};

}  // namespace stoker::run::internal
