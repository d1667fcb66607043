#include "run/internal/cache_outlook.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cache/block_key.h"
#include "cache/cache_backend.h"
#include "cache/probe.h"
#include "cache/theory_endurance.h"
#include "cache/verify.h"
#include "comm/communicator.h"
#include "run/internal/training_events.h"
#include "run/simulate.h"

namespace stoker::run::internal {

using core::Status;
using metrics::CacheOutlook;

namespace {

constexpr std::uint64_t kSampledObjects = 64;
// Epochs of so many steps are as the limits of long ones.
constexpr std::uint64_t kLongEpoch = 500;
// What is simulated before a run takes seconds at most.
constexpr double kMostRequests = 300'000;
constexpr int kMostRanks = 64;
// Of one rank, for measuring.
constexpr std::uint64_t kProbeMemoryBytes = 64ULL << 20U;

std::string_view NameOf(cache::OrderClass order) {
  switch (order) {
    case cache::OrderClass::kCyclic:
      return "cyclic";
    case cache::OrderClass::kPermutation:
      return "permutation";
    case cache::OrderClass::kGlobalReshuffle:
      return "global reshuffle";
  }
  return "";
}

// What one rank measured.
struct RankProbe {
  cache::Probe store;
  cache::DeviceProbe device;
  Status status;
};

std::string TextOf(const RankProbe& probe) {
  std::string text = fmt::format("{}", probe.status.ok() ? 1 : 0);
  for (const cache::Probe& part :
       {probe.store, probe.device.read, probe.device.write}) {
    text += fmt::format(" {} {}", part.bytes, part.took.count());
  }
  return text + ' ' + std::string(probe.status.message());
}

// Rates of all ranks together.
struct Rates {
  double store = 0;
  double read = 0;
  double write = 0;
  std::string trouble;
};

Rates SumOf(const std::vector<comm::Bytes>& ranks) {
  std::array<std::uint64_t, 3> bytes{};
  std::array<std::int64_t, 3> took{};
  Rates rates;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const std::string text = comm::ToText(ranks[r]);
    const char* at = text.c_str();
    char* end = nullptr;
    const bool ok = std::strtoll(at, &end, 10) == 1;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto some = std::strtoull(end, &end, 10);
      bytes[i] += some;
      took[i] = std::max<std::int64_t>(took[i], std::strtoll(end, &end, 10));
    }
    if (!ok && rates.trouble.empty()) {
      rates.trouble =
          fmt::format("rank {}: {}", r, *end == ' ' ? end + 1 : end);
    }
  }
  // Ranks that had nothing to measure with left the others their share.
  const auto rate = [&](std::size_t i) {
    return cache::Probe{.bytes = bytes[i], .took = core::Nanos(took[i])}
        .bytes_per_s();
  };
  rates.store = rate(0);
  rates.read = rate(1);
  rates.write = rate(2);
  return rates;
}

core::Nanos MeanCompute(const config::LoadedConfig& config) {
  constexpr int kDraws = 256;
  emulator::TimeSource source = MakeTimeSource(
      config, config.workload.train.computation_time, 0, Purpose::kCompute);
  core::Nanos sum{};
  for (int i = 0; i < kDraws; ++i) {
    sum += source.Next();
  }
  return sum / kDraws;
}

cache::ObjectSet FilesOf(const RunPlan& plan, const Dataset& dataset) {
  return {.count = plan.train.files, .name_of = [&dataset](std::uint64_t file) {
            return dataset::ObjectName(dataset.train, file);
          }};
}

// Ends with what is in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::error_code failed;
    const std::filesystem::path parent =
        std::filesystem::temp_directory_path(failed);
    if (!failed) {
      path_ = (parent / "stoker_XXXXXX").string();
      if (::mkdtemp(path_.data()) == nullptr) {
        path_.clear();
      }
    }
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) {
      std::filesystem::remove_all(path_, ignored);
    }
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The utilisation of an epoch of this run that is fed at that rate.
std::optional<double> Simulate(const RankContext& context,
                               const TrainRequest& request,
                               double bytes_per_s) {
  const ScratchFolder folder;
  if (folder.path().empty()) {
    return std::nullopt;
  }
  config::LoadedConfig config = *request.config;
  config.workload.train.epochs = 1;
  config.workload.workflow.evaluation = false;
  config.workload.workflow.checkpoint = false;
  TrainRequest epoch = request;
  epoch.config = &config;
  epoch.folder = folder.path();
  epoch.drop_caches = false;
  epoch.io_timeout = std::chrono::hours(1000);
  epoch.data_uri = std::isfinite(bytes_per_s)
                       ? fmt::format("model:?bandwidth={},null:",
                                     std::max(1LL, std::llround(bytes_per_s)))
                       : "null:";
  const core::Result<metrics::RunSummary> summary =
      SimulateTraining(epoch, context.comm->size(), *context.cancel);
  if (!summary.ok() || summary.value().train.au_percent.empty()) {
    return std::nullopt;
  }
  return summary.value().train.au_percent.front() / 100;
}

}  // namespace

cache::OrderClass OrderOf(emulator::PipelineShape shape,
                          const emulator::LoaderOptions& options) {
  using emulator::PipelineShape;
  switch (shape) {
    case PipelineShape::kShuffled:
      return options.seed_change_epoch ? cache::OrderClass::kGlobalReshuffle
                                       : cache::OrderClass::kCyclic;
    case PipelineShape::kTfGenerator:
      // The list of files is shuffled in place, so that the same draws change
      // it in each epoch.
      if (options.shuffle_files) {
        return cache::OrderClass::kGlobalReshuffle;
      }
      return options.shuffle_samples && options.seed_change_epoch
                 ? cache::OrderClass::kPermutation
                 : cache::OrderClass::kCyclic;
    case PipelineShape::kTorch:
    case PipelineShape::kTfRecord:
      break;
  }
  return cache::OrderClass::kCyclic;
}

Status WarmUp(const RankContext& context, const RunPlan& plan,
              const Dataset& dataset, storage::Backend& backend) {
  const cache::CacheOptions* const options = cache::OptionsOf(backend);
  if (options == nullptr || options->start != cache::Start::kWarm) {
    return {};
  }
  // Each host has a cache of its own.
  const core::Result<std::uint64_t> bytes = cache::WarmShare(
      backend, FilesOf(plan, dataset),
      static_cast<std::uint64_t>(context.comm->local_rank()),
      static_cast<std::uint64_t>(context.comm->local_size()), *context.clock);
  return comm::Agree(*context.comm, bytes.status());
}

namespace {

// Requests at once: as many as a rank's lanes make.
std::size_t LanesOf(const RunPlan& plan, std::int64_t read_threads) {
  constexpr std::int64_t kMost = 32;
  switch (plan.shape) {
    case emulator::PipelineShape::kTfRecord:
      return static_cast<std::size_t>(
          std::clamp<std::int64_t>(3 * read_threads, 1, kMost));
    case emulator::PipelineShape::kShuffled:
      return kMost;
    case emulator::PipelineShape::kTorch:
    case emulator::PipelineShape::kTfGenerator:
      break;
  }
  return static_cast<std::size_t>(
      std::clamp<std::int64_t>(read_threads, 1, kMost));
}

// Collective, whatever fails.
core::Result<RankProbe> MeasureRank(const RankContext& context,
                                    const cache::ObjectSet& objects,
                                    const cache::ProbeOptions& how,
                                    storage::Backend& backend) {
  const auto all_here = [&] {
    return context.comm->Barrier(comm::kCollectiveTimeout);
  };
  RankProbe probe;
  STOKER_TRY(all_here());
  const core::Result<cache::Probe> store =
      cache::ProbeStore(*cache::StoreOf(backend), objects, how, *context.clock);
  STOKER_TRY(all_here());
  Status left_alone;
  bool met = false;
  const core::Result<cache::DeviceProbe> device =
      cache::ProbeDevice(*cache::TierOf(backend), how, *context.clock, [&] {
        met = true;
        left_alone = all_here();
        return left_alone;
      });
  if (!met) {
    left_alone = all_here();
  }
  STOKER_TRY(left_alone);
  probe.status = store.ok() ? device.status() : store.status();
  if (store.ok()) probe.store = store.value();
  if (device.ok()) probe.device = device.value();
  return probe;
}

// Of the files, what an epoch reads.
double ShareRead(const RunPlan& plan) {
  const auto samples = static_cast<double>(plan.train.samples());
  const double read = static_cast<double>(plan.steps) *
                      static_cast<double>(plan.train.batch_size) *
                      static_cast<double>(plan.train.ranks);
  return samples > 0 ? std::min(1.0, read / samples) : 0;
}

// That a node reads over time, of a data set of so many bytes a file.
double BlocksOfNode(const RunPlan& plan, const OutlookJob& job,
                    double file_bytes, double block_bytes) {
  const bool all = job.pattern.order == cache::OrderClass::kGlobalReshuffle;
  return static_cast<double>(plan.train.files) *
         std::max(1.0, file_bytes / block_bytes) /
         (all ? 1 : job.pattern.nodes);
}

// Why nothing can be foretold, or "".
std::string WhyNot(const OutlookJob& job, const cache::CacheOptions& options,
                   const RunPlan& plan, const CacheOutlook& outlook,
                   double rated_bytes_per_day) {
  if (options.prefetch_bytes > 0) {
    return "prefetch: blocks come before they are read";
  }
  if (job.job.object_bytes <= 0) {
    return "the store tells no sizes";
  }
  if (!std::isfinite(job.job.demand_bytes_per_s)) {
    return "the accelerators compute nothing";
  }
  if (outlook.store_bytes_per_s <= 0 || outlook.device_read_bytes_per_s <= 0) {
    return "nothing could be measured";
  }
  const bool evicts = job.policy != cache::Policy::kNever;
  const bool writes = job.fill != cache::Fill::kOff &&
                      (evicts || outlook.found < outlook.fits - kSameShare);
  if (writes && outlook.device_write_bytes_per_s <= 0) {
    return "no slots are free to measure writing with";
  }
  const double data = static_cast<double>(plan.train.files) *
                      plan.samples_per_file * job.job.object_bytes;
  const double written = evicts ? plan.epochs * data : outlook.fits * data;
  if (writes && options.write_budget && written > rated_bytes_per_day) {
    return "budget=on: it may end before the run";
  }
  if (job.pattern.order == cache::OrderClass::kGlobalReshuffle &&
      ShareRead(plan) < 1 - kSameShare) {
    return "each epoch reads another part of the files";
  }
  return "";
}

bool CanSimulate(const RankContext& context, const TrainRequest& request,
                 const RunPlan& plan, double sample_bytes) {
  const auto ranks = static_cast<double>(context.comm->size());
  const double requests = static_cast<double>(plan.steps) * ranks *
                          static_cast<double>(plan.train.batch_size) *
                          std::ceil(sample_bytes / (256 << 10));
  const core::Result<std::uint64_t> memory =
      LoaderBytesPerRank(*request.config, plan.train.ranks);
  return plan.steps < kLongEpoch && requests <= kMostRequests &&
         context.comm->size() <= kMostRanks && memory.ok() &&
         // All its ranks are in this process.
         ranks * static_cast<double>(memory.value()) <=
             static_cast<double>(AvailableMemory()) / 4;
}

// At rank 0, with what all measured.
void LookAheadAlone(const RankContext& context, const TrainRequest& request,
                    const RunPlan& plan, const cache::ObjectSet& objects,
                    storage::Backend& backend, CacheOutlook& outlook) {
  cache::Tier& tier = *cache::TierOf(backend);
  storage::Backend& store = *cache::StoreOf(backend);
  const cache::CacheOptions& options = *cache::OptionsOf(backend);
  const config::WorkloadConfig& workload = request.config->workload;
  const core::Result<cache::ObjectSample> sample =
      cache::SampleObjects(tier, store, cache::StoreName(store.uri()), objects,
                           kSampledObjects, *context.clock);
  if (!sample.ok()) {
    outlook.trouble = sample.status().message();
    return;
  }
  const auto nodes = static_cast<std::uint32_t>(context.comm->node_count());
  const double sample_bytes = sample.value().mean_bytes / plan.samples_per_file;
  OutlookJob job;
  job.policy = options.policy;
  job.fill = options.fill;
  job.balance = options.balance;
  job.epochs = plan.epochs;
  job.pattern = {
      .order = OrderOf(plan.shape,
                       TrainLoaderOptions(*request.config, plan, RankSeat{})),
      .nodes = nodes};
  job.job.accelerators = context.comm->size();
  job.job.demand_bytes_per_s = static_cast<double>(plan.train.batch_size) *
                               sample_bytes /
                               core::Seconds(MeanCompute(*request.config));
  job.job.object_bytes = sample_bytes;
  job.job.reader_threads = static_cast<double>(
      std::max<std::int64_t>(1, workload.reader.read_threads));
  job.au_target = workload.metric.au > 0 ? workload.metric.au : 1;
  job.job.store.bytes_per_s = outlook.store_bytes_per_s;
  job.job.cache.read_bytes_per_s = outlook.device_read_bytes_per_s;
  job.job.cache.write_bytes_per_s = outlook.device_write_bytes_per_s > 0
                                        ? outlook.device_write_bytes_per_s
                                        : cache::kUnlimited;
  if (CanSimulate(context, request, plan, sample_bytes)) {
    job.simulate = [&](double bytes_per_s) {
      return Simulate(context, request, bytes_per_s);
    };
  }
  const double read = ShareRead(plan);
  job.blocks = BlocksOfNode(plan, job, read * sample.value().mean_bytes,
                            static_cast<double>(tier.block_bytes()));
  outlook.order = NameOf(job.pattern.order);
  outlook.demand_bytes_per_s =
      job.job.accelerators * job.job.demand_bytes_per_s;
  outlook.fits = cache::ShareThatFits(
      tier, static_cast<double>(plan.train.files) * read,
      static_cast<std::uint64_t>(std::llround(sample.value().mean_bytes)));
  // The nodes' own parts are as large as each other.
  const bool dealt_anew =
      job.pattern.order == cache::OrderClass::kGlobalReshuffle;
  outlook.found =
      std::min(1.0, sample.value().cached / read * (dealt_anew ? 1 : nodes));
  outlook.trouble =
      WhyNot(job, options, plan, outlook, tier.rated_bytes_per_day());
  if (outlook.trouble.empty()) {
    Predict(job, outlook);
  }
}

}  // namespace

core::Result<std::optional<CacheOutlook>> LookAhead(const RankContext& context,
                                                    const TrainRequest& request,
                                                    const RunPlan& plan,
                                                    const Dataset& dataset,
                                                    storage::Backend& backend) {
  cache::Tier* const tier = cache::TierOf(backend);
  if (tier == nullptr) {
    return std::optional<CacheOutlook>();
  }
  const cache::CacheOptions& options = *cache::OptionsOf(backend);
  CacheOutlook outlook;
  outlook.policy = cache::PolicyName(options.policy);
  outlook.in_memory = !tier->device().direct();
  outlook.tolerance = cache::kUtilisationTolerance;
  outlook.drive_writes_per_day = options.drive_writes_per_day;
  if (!request.predict) {
    outlook.trouble = "not asked for";
    return std::optional(outlook);
  }

  const cache::ObjectSet objects = FilesOf(plan, dataset);
  const std::uint64_t block = tier->block_bytes();
  const auto room = static_cast<std::size_t>(
      std::max<std::uint64_t>(1, kProbeMemoryBytes / block));
  const cache::ProbeOptions how{
      .depth = std::min(
          LanesOf(plan, request.config->workload.reader.read_threads), room),
      .request_bytes = block,
      .seed =
          plan.train.files + static_cast<std::uint64_t>(context.comm->rank()),
      .patience = request.io_timeout};
  STOKER_ASSIGN(const RankProbe probe,
                MeasureRank(context, objects, how, backend));
  STOKER_ASSIGN(const std::vector<comm::Bytes> ranks,
                context.comm->Gather(comm::ToBytes(TextOf(probe)), 0));
  if (Leads(context)) {
    const Rates rates = SumOf(ranks);
    outlook.store_bytes_per_s = rates.store;
    outlook.device_read_bytes_per_s = rates.read;
    outlook.device_write_bytes_per_s = rates.write;
    outlook.trouble = rates.trouble;
    if (outlook.trouble.empty()) {
      LookAheadAlone(context, request, plan, objects, backend, outlook);
    }
  }
  return std::optional(outlook);
}

void LookBack(const metrics::RunSummary& summary,
              const metrics::RunLedger& ledger, std::uint32_t hosts,
              storage::Backend& backend, CacheOutlook& outlook) {
  const std::size_t epochs = summary.train.au_percent.size();
  for (std::size_t i = 0; i < epochs; ++i) {
    const std::optional<double>& expected =
        metrics::ExpectedAu(outlook, i, epochs);
    if (expected.has_value() && std::abs(summary.train.au_percent[i] / 100 -
                                         *expected) > outlook.tolerance) {
      outlook.off_epochs.push_back(static_cast<std::uint32_t>(i + 1));
    }
  }
  for (const metrics::EpochLedger& epoch : ledger.epochs) {
    const metrics::HostLedger sums = metrics::SumOf(epoch);
    outlook.reached_hits.push_back(
        sums.delivered == 0
            ? 0
            : static_cast<double>(sums.cache_tier + sums.memory_tier) /
                  static_cast<double>(sums.delivered));
  }
  const metrics::HostLedger sums = metrics::SumOf(ledger);
  const cache::Tier* const tier = cache::TierOf(backend);
  if (!sums.cache.has_value() || tier == nullptr || summary.wall_seconds <= 0) {
    return;
  }
  outlook.written_bytes_per_day =
      cache::BytesPerDay(static_cast<double>(sums.cache->device_written_bytes) /
                         summary.wall_seconds);
  outlook.days_to_wear_out = cache::DaysToWearOut(
      tier->rated_bytes_per_day() * hosts * cache::kWarrantyDays,
      outlook.written_bytes_per_day);
}

}  // namespace stoker::run::internal
