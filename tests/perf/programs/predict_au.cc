// What a training run on a simulated store comes to where nothing else costs
// time: the whole run in virtual time, ranks as threads.
//
// usage: stoker_predict_au WORKLOAD RANKS STORAGE FOLDER [KEY=VALUE...]
//
// WORKLOAD: a YAML file; STORAGE: a URI without data ("model:?...,null:");
// FOLDER: of the results, made if need be. Exit code 0, and the result is that
// of `stoker training run`: summary.json in FOLDER.

#include <chrono>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "config/load.h"
#include "core/cancel.h"
#include "core/text.h"
#include "run/phases.h"
#include "run/simulate.h"

namespace stoker {
namespace {

core::Status Predict(std::span<const std::string> words) {
  STOKER_ASSIGN(const std::int64_t ranks, core::ParseInt(words[1]));
  config::LoadOptions options;
  options.workload_path = words[0];
  for (const std::string& param : words.subspan(4)) {
    options.overrides.push_back("++" + param);
  }
  STOKER_ASSIGN(const config::LoadedConfig config, config::Load(options));
  std::error_code failed_to_make;
  std::filesystem::create_directories(words[3], failed_to_make);
  if (failed_to_make) {
    return core::Status::FromErrno(failed_to_make.value(),
                                   "make folder " + words[3]);
  }
  run::TrainRequest request;
  request.config = &config;
  request.model = std::filesystem::path(words[0]).stem().string();
  request.data_uri = words[2];
  request.folder = words[3];
  request.io_timeout = std::chrono::hours(1);

  const core::CancelFlag cancel;
  return run::SimulateTraining(request, static_cast<int>(ranks), cancel)
      .status();
}

}  // namespace
}  // namespace stoker

// NOLINTNEXTLINE(bugprone-exception-escape): there is no one to catch any.
int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 4) {
    std::cerr << "usage: stoker_predict_au WORKLOAD RANKS STORAGE FOLDER "
                 "[KEY=VALUE...]\n";
    return 2;
  }
  const stoker::core::Status status = stoker::Predict(words);
  if (!status.ok()) {
    std::cerr << "stoker_predict_au: error: " << status.message() << '\n';
    return 1;
  }
  return 0;
}
