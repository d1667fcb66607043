#pragma once

// That all hosts of a command do the same work on the same data. Collective;
// the outcome is the same on every rank. One host needs no comparing, and
// nothing is asked then.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/load.h"
#include "core/status.h"
#include "run/internal/setup.h"
#include "run/phases.h"
#include "storage/backend.h"

namespace stoker::run::internal {

// What a host brings along, by the rank that leads it.
struct HostIdentity {
  std::string host;     // its name
  std::string program;  // version, size and checksum of the executable
  // Keys and values that shape the work, in the same order everywhere.
  std::vector<std::pair<std::string, std::string>> settings;
};

// Of this host; reads the whole executable. `choices` are settings beside the
// configuration's. An executable that cannot be read is told by its version
// alone.
HostIdentity ReadHostIdentity(
    const config::LoadedConfig& config,
    std::vector<std::pair<std::string, std::string>> choices);

// kInvalidArgument, naming the hosts that differ, the keys with both values,
// and the remedy. Only checksums travel unless settings differ. `identify` is
// called once on each host's leader, and nowhere where there is one host.
core::Status CompareHosts(const RankContext& context,
                          const std::function<HostIdentity()>& identify);

// Each host looks through its own mount: the manifest and the sizes of a few
// files must agree. Stores without data, or of one process each, are not
// asked.
core::Status CompareDatasets(const RankContext& context,
                             storage::Backend& backend, const Dataset& dataset);

// Before a dataset is written: rank 0 makes an object, the other hosts look
// for it, rank 0 removes it.
core::Status CheckSharedPlace(const RankContext& context,
                              storage::Backend& backend);

}  // namespace stoker::run::internal
