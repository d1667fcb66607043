#include "cli/commands.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "cli/exit_codes.h"
#include "core/text.h"
#include "core/version.h"

namespace stoker::cli {

namespace {

constexpr std::string_view kUsage =
    R"(stoker: how many accelerators can this storage keep fed?

usage: stoker <family> <verb> [options]

  training datasize    files and bytes a run needs, and what it asks of a host
  training datagen     write a dataset
  training run         emulate the training, measure, write a result folder
  training configview  the effective configuration and where it comes from
  checkpointing datasize
                       bytes and files of a model's checkpoints, and what they
                       ask of a host
  checkpointing run    save checkpoints, restore them, measure
  checkpointing configview
                       the effective configuration and where it comes from
  checkpointing verify|delete DIR
                       checkpoints that are there: compare every byte, remove
  s3 cleanup URI       take back uploads that killed writers left on a server
  cache format|status|verify|measure|clear DIR, cache warm|drain URI
                       look after the NVMe cache
  list workloads|backends|formats|loaders
                       what there is
  history show         earlier invocations of training and checkpointing
  history rerun ID     one of them again, in the folder it was given in

  stoker --version
  stoker <family> --help, stoker <family> <verb> --help

First run:
  stoker training datagen --model unet3d --num-processes 2 --data-dir data \
      --params dataset.num_files_train=28
  stoker training run --model unet3d --accelerator-type h100 \
      --num-accelerators 1 --data-dir data --params dataset.num_files_train=28
  stoker checkpointing run --model llama3-tiny --num-processes 4 \
      --checkpoint-folder checkpoints

Exit status: 0 done (also when the utilisation is below its floor: that is a
result), 1 rules broken under --closed or --open, 2 bad arguments (an unknown
model or accelerator too), 3 file missing, 4 permission, 5 configuration, 6 failure, 7 timeout, 130 interrupted.
)";

}  // namespace

int RunCommand(const std::string& program, std::span<const std::string> words) {
  if (words.empty()) {
    fmt::print(stderr, "{}", kUsage);
    return kExitGeneral;
  }
  const std::string& family = words.front();
  if (family == "--help" || family == "-h") {
    fmt::print("{}", kUsage);
    return kExitSuccess;
  }
  if (family == "--version") {
    fmt::print("stoker {}\n", core::kVersion);
    return kExitSuccess;
  }
  if (family == "training") {
    return TrainingCommand(program, words.subspan(1));
  }
  if (family == "checkpointing") {
    return CheckpointingCommand(program, words.subspan(1));
  }
  if (family == "s3") {
    return S3Command(program, words.subspan(1));
  }
  if (family == "cache") {
    return CacheCommand(program, words.subspan(1));
  }
  if (family == "list") {
    return ListCommand(words.subspan(1));
  }
  if (family == "history") {
    return HistoryCommand(program, words.subspan(1));
  }
  constexpr std::array<std::string_view, 6> kFamilies{
      "training", "checkpointing", "s3", "cache", "list", "history"};
  const std::string_view nearest = core::Nearest(family, kFamilies);
  fmt::print(stderr, "stoker: error: unknown command '{}'{}; see --help\n",
             family,
             nearest.empty() ? std::string()
                             : fmt::format(", did you mean '{}'?", nearest));
  return kExitArguments;
}

}  // namespace stoker::cli
