#pragma once

// The answer of `training datasize`, and the rules' word on a run, as text.

#include <cstdint>
#include <string>
#include <string_view>

#include "config/load.h"
#include "core/status.h"
#include "run/console.h"

namespace stoker::run {

struct DatasizeRequest {
  const config::LoadedConfig* config = nullptr;
  std::string model;
  std::int64_t accelerators = 1;
  std::int64_t hosts = 1;
  std::int64_t memory_gib_per_host = 0;
  std::string data_dir;  // "" if not given
  std::string results_dir;
  std::string params;     // as typed, " --params a=b …" or ""
  std::string host_list;  // comma-separated
};

core::Result<std::string> DescribeDatasize(const DatasizeRequest& request);

// What the user asked the run to be held to.
enum class Division : std::uint8_t { kNone, kClosed, kOpen };

struct AdmissionRequest {
  const config::LoadedConfig* config = nullptr;
  std::string_view model;
  std::string_view accelerator;
  std::int64_t accelerators = 1;
  std::int64_t hosts = 1;
  // 0: not given; the dataset is then held to the least number of steps alone,
  // and nothing but a plan (what_if) can be CLOSED or OPEN.
  std::int64_t memory_gib_per_host = 0;
  bool what_if = false;
  Division division = Division::kNone;
  bool allow_invalid = false;
  bool checks = true;           // the checksums of the formats are verified
  std::string_view data_uri{};  // only files count as storage
};

struct Admission {
  std::string verification;  // "closed", "open", "invalid"; "" if not judged
  std::string summary;       // one line; "" for CLOSED
  std::string findings;      // a line each that is not CLOSED
  core::Status status;       // why the run must not start
};

// The rules' word on a run before it starts.
Admission AdmitRun(const AdmissionRequest& request);

// What --what-if tells of a training run, named "plan": steps, bytes, memory,
// demand of a host.
core::Result<Event> DescribePlan(const config::LoadedConfig& config,
                                 std::int64_t ranks, std::int64_t hosts,
                                 std::string_view data_uri);

}  // namespace stoker::run
