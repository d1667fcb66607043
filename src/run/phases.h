#pragma once

// The phases of a command, each on all ranks: objects are made and called in
// order; nothing is measured and no I/O done here.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "config/load.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "metrics/summary.h"
#include "run/console.h"
#include "run/plan.h"

namespace stoker::run {

// What a rank works with; nothing is owned.
struct RankContext {
  comm::Communicator* comm = nullptr;
  core::Clock* clock = nullptr;
  const core::CancelFlag* cancel = nullptr;
  Console* console = nullptr;
  // The ranks of this host have more threads than it has cores.
  bool shares_cores = false;
  // Hexadecimal digits, the same on every rank and of no other run at the time;
  // "" where ranks share nothing.
  std::string run_id{};
};

// True on the rank that speaks and writes for all.
inline bool Leads(const RankContext& context) {
  return context.comm->rank() == 0;
}

enum class DatagenAction : std::uint8_t { kGenerate, kVerify, kDelete };

struct DatagenRequest {
  DatagenAction action = DatagenAction::kGenerate;
  const config::LoadedConfig* config = nullptr;
  std::string data_uri;
  std::string content = "counter";  // or "dlio", the reference's bytes
  std::uint64_t distinct = 0;  // > 0: that many contents, the rest hard links
  bool write_index = false;    // tfrecord: a text index beside
  bool replace = false;  // files of its names that nothing vouches for may go
  core::Nanos io_timeout = std::chrono::seconds(60);  // of verifying
  std::string tool;  // name and version, for the manifest
};

// Collective. kCorruption: verifying found a dataset that is not whole, and
// said what is wrong with it.
core::Status RunDatagen(const RankContext& context,
                        const DatagenRequest& request);

// What --what-if tells of generating, named "plan": numbers and bytes. Stores
// nothing, but goes over all contents.
core::Result<Event> DescribeDatagen(const DatagenRequest& request,
                                    std::int64_t processes);

struct TrainRequest {
  const config::LoadedConfig* config = nullptr;
  std::string model;
  std::string accelerator;
  std::string data_uri;
  std::string folder;  // of the results, on every host; exists
  core::Nanos io_timeout = std::chrono::seconds(60);
  bool check = true;  // verify the checksums of the formats
  // Before each epoch the kernel of each host drops its page cache (root), in
  // io_timeout at most.
  bool drop_caches = false;
  bool warm_up = false;  // a run that is not to be counted, for the record
  // With a cache of ours in front: what is to be expected is worked out before
  // the run, from rates that are measured then.
  bool predict = true;
  std::string tool;
  std::string command_line;
  // Told the figures of a run that ended well, at rank 0. May be empty.
  std::function<void(const metrics::RunSummary&)> on_summary{};
};

// Collective. Writes all files of the result folder but the metadata.
core::Status RunTraining(const RankContext& context,
                         const TrainRequest& request);

}  // namespace stoker::run
