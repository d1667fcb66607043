#pragma once

// What a cache in front of the store will do for a training run: measured and
// worked out before it, compared after it.

#include <cstdint>
#include <functional>
#include <optional>

#include "cache/cache_options.h"
#include "cache/eviction.h"
#include "cache/theory.h"
#include "cache/theory_rates.h"
#include "core/status.h"
#include "emulator/loader.h"
#include "metrics/cache_outlook.h"
#include "metrics/ledger.h"
#include "metrics/summary.h"
#include "run/internal/setup.h"
#include "run/phases.h"
#include "run/plan.h"
#include "storage/backend.h"

namespace stoker::run::internal {

// Collective. With start=warm the ranks read the files of the training set
// once, each its part; else nothing. Errors are agreed upon.
core::Status WarmUp(const RankContext& context, const RunPlan& plan,
                    const Dataset& dataset, storage::Backend& backend);

// Collective; nothing where `backend` is no cache. All ranks read the store and
// use the cache's device for a third of a second each. At rank 0 the whole,
// else what is known without the others. A measurement that fails is no error:
// `trouble` says why there is no prediction.
core::Result<std::optional<metrics::CacheOutlook>> LookAhead(
    const RankContext& context, const TrainRequest& request,
    const RunPlan& plan, const Dataset& dataset, storage::Backend& backend);

// Adds what came of it.
void LookBack(const metrics::RunSummary& summary,
              const metrics::RunLedger& ledger, std::uint32_t hosts,
              storage::Backend& backend, metrics::CacheOutlook& outlook);

// Collective: what caches of other sizes would have done with the blocks that
// all ranks have read through `backend` from `since` on; at rank 0, in
// `outlook`. Nothing where that is nothing. Not while anybody reads.
core::Status LookAround(const RankContext& context, core::TimePoint since,
                        storage::Backend& backend,
                        std::optional<metrics::CacheOutlook>& outlook);

// Shares this close count as equal.
inline constexpr double kSameShare = 0.02;

// The part of LookAhead that only calculates, from what is set in `outlook`:
// fits and found. `simulate` gives the utilisation of an epoch that can be fed
// so many bytes per second, or nothing: then the limit of long epochs is taken.
struct OutlookJob {
  cache::Policy policy = cache::Policy::kNever;
  cache::Fill fill = cache::Fill::kOn;
  bool balance = false;  // hits may be read from the store
  std::uint32_t epochs = 1;
  cache::ReadPattern pattern{};
  double blocks = 4000;   // that a node reads over time
  cache::JobRates job{};  // rates of store and cache as measured
  double au_target = 0.9;
  std::function<std::optional<double>(double)> simulate{};
};
void Predict(const OutlookJob& job, metrics::CacheOutlook& outlook);

// How a pipeline's epochs differ in what a host reads, by
// docs/loader_models.md.
cache::OrderClass OrderOf(emulator::PipelineShape shape,
                          const emulator::LoaderOptions& options);

}  // namespace stoker::run::internal
