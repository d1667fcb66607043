#pragma once

// What a run tells the storage it opens.

#include <chrono>
#include <span>
#include <string>

#include "core/clock.h"

namespace stoker::storage {

struct BackendInfo;

struct OpenSettings {
  // After this long an op has failed, its repetitions included.
  core::Nanos io_timeout = std::chrono::seconds(60);
  // Names what processes of this host share of the run (limits of a simulated
  // store): letters, digits, '-' and '_'. "": this process is by itself.
  std::string shared_name{};
  // The part of a simulated store's limits that this host may use, (0, 1]: its
  // ranks over all ranks.
  double host_share = 1.0;
  // For calls that are handed none (List): simulated stores wait on it, and
  // where it is null such calls take no time. Outlives the back end.
  core::Clock* clock = nullptr;
  // Back ends besides those of this module, which URIs may name (cache).
  std::span<const BackendInfo> more{};
};

}  // namespace stoker::storage
