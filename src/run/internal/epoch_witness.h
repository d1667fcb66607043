#pragma once

// Watches where the bytes of each epoch come from: what the counters of this
// process and host say before and after.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "dataset/names.h"
#include "metrics/ledger_gather.h"
#include "run/phases.h"
#include "storage/backend.h"

namespace stoker::run::internal {

struct EpochWitnessOptions {
  dataset::Naming names;    // of the set trained on
  std::uint64_t files = 0;  // of it, the first ones, are read
  // Before each epoch the kernel drops the page cache of every host.
  bool drop_caches = false;
  core::Nanos drop_limit = std::chrono::seconds(60);
};

// Where the files lie of the back end that a URI ends in, absolute and without
// links: of "file:///a" and of "fault:?…,file:///a" it is "/a". "" where they
// are no files of this host.
std::string LocalPathOf(std::string_view uri);

// One thread. Nothing here happens while an epoch is timed.
class EpochWitness {
 public:
  // `backend` outlives this.
  EpochWitness(const RankContext& context, storage::Backend& backend,
               EpochWitnessOptions options);

  // Whether the caches can be dropped, if they are to be; of each host's first
  // rank. kPermission with the remedy.
  core::Status Check() const;
  // Collective: nobody reads while caches are dropped and counters looked at.
  core::Status Begin();
  // Collective, after all ranks have ended the epoch. Takes the latencies out
  // of `epoch`; at rank 0 adds the epoch to ledger().
  core::Status End(metrics::EpochRecord& epoch);

  const metrics::RunLedger& ledger() const { return ledger_; }

 private:
  struct Reading {
    std::optional<metrics::Traffic> process;
    std::optional<storage::RequestCounters> requests;
    std::optional<storage::CacheCounts> cache;
    // Of each host's first rank.
    std::optional<metrics::Traffic> disk;
    std::optional<metrics::Traffic> nfs;
    std::optional<metrics::NicTraffic> nics;
    std::optional<metrics::Traffic> cgroup;
    std::optional<metrics::CacheSample> sample;
  };
  struct SampledFile {
    std::string name;
    std::uint64_t bytes = 0;
  };

  bool leads_host() const { return context_.comm->local_rank() == 0; }
  metrics::Medium MediumOf() const;
  Reading Look();
  core::Status DropAll();
  std::optional<metrics::CacheSample> Sample();
  bool FindSampledFiles();

  const RankContext& context_;
  storage::Backend& backend_;
  EpochWitnessOptions options_;
  std::optional<metrics::Mount> mount_;
  metrics::Medium medium_ = metrics::Medium::kUnknown;
  std::optional<bool> samples_;  // unknown before the first
  std::vector<SampledFile> sampled_;
  std::optional<core::Nanos> drop_time_;
  Reading before_;
  metrics::RunLedger ledger_;
};

}  // namespace stoker::run::internal
