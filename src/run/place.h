#pragma once

// Where the dataset or the checkpoints of a run lie.

#include <cstdint>
#include <string>
#include <string_view>

#include "config/run_config.h"
#include "core/status.h"

namespace stoker::run {

// The storage URI of a workload's dataset. `data_dir` is --data-dir (a path or
// a URI; "" if not given): used as it is if its last folder is named after a
// model, else with "/<model>" appended, as in the reference (a trailing '/'
// does not matter). Without it: dataset.data_folder below storage.storage_root.
// With storage.storage_type s3 the root names a bucket (and perhaps a prefix),
// below which a path without a back end's name lies; kInvalidArgument without.
// For wrappers the innermost place is meant. Stores without a place (null:)
// stay as they are.
core::Result<std::string> DatasetUri(std::string_view data_dir,
                                     std::string_view model,
                                     const config::WorkloadConfig& workload);

// The storage URI that holds a model's step folders: "<folder>/<model>", as in
// the reference. `folder` is --checkpoint-folder, as `data_dir` above; "" gives
// checkpoint.checkpoint_folder as it is.
core::Result<std::string> CheckpointUri(std::string_view folder,
                                        std::string_view model,
                                        const config::WorkloadConfig& workload);

// Whether `uri` names a back end and options that exist, and one that processes
// can share where there are several. Nothing is read.
core::Status CheckStorage(std::string_view uri, std::int64_t processes);

}  // namespace stoker::run
