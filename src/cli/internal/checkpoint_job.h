#pragma once

// What the checkpoint commands add to a job's configuration, and what their
// arguments must be.

#include <string>
#include <string_view>
#include <vector>

#include "cli/internal/job.h"
#include "cli/options.h"
#include "config/load.h"
#include "core/status.h"
#include "run/checkpoint_phases.h"
#include "run/checkpoint_sizing.h"

namespace stoker::cli::internal {

// "llama3-8b" of "llama3_8b", and of the "llama_8b" of workload files.
std::string CheckpointModel(std::string_view name);

// The counts that are given as options, as overrides.
std::vector<std::string> CountOverrides(const Arguments& arguments);

// The place, and the subset where fewer ranks than CLOSED asks for are to
// write one, as overrides. Keys that the user has set stay. `config` is the
// workload's with the overrides so far.
std::vector<std::string> PlaceOverrides(const Arguments& arguments,
                                        std::string_view model,
                                        const std::string& uri,
                                        const config::LoadedConfig& config);

// What options mean together, and values the table cannot tell about. All
// mistakes at once, exit status 2.
core::Status CheckCheckpointArguments(const CommandId& id,
                                      const Arguments& arguments);

// That there is one place and no other word.
core::Status CheckPlaceArguments(const CommandId& id,
                                 const Arguments& arguments);

// What a job asks about the sizes of its checkpoints, without a rate.
// kInvalidArgument: hosts and slots that cannot be.
core::Result<run::CheckpointQuestion> CheckpointQuestionOf(const Job& job);

struct BetweenChoice {
  run::Between what = run::Between::kNone;
  std::string command{};  // of kCommand
};
// Of --between. kInvalidArgument names what is allowed.
core::Result<BetweenChoice> ParseBetween(std::string_view text);

}  // namespace stoker::cli::internal
