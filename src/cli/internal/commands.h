#pragma once

// The verbs of the families; each returns the exit status.

#include "cli/internal/job.h"
#include "cli/options.h"

namespace stoker::cli::internal {

// Only tell.
int RunConfigviewCommand(const Job& job);
int RunDatasizeCommand(const Job& job);
int RunCheckpointDatasizeCommand(const Job& job);

// On ranks.
int RunDatagenCommand(const Job& job);
int RunTrainingCommand(const Job& job);
int RunCheckpointCommand(const Job& job);

// Of a place that is named, without a workload.
int RunVerifyCommand(const Arguments& arguments);
int RunDeleteCommand(const Arguments& arguments);
int RunS3CleanupCommand(const Arguments& arguments);
int RunCacheFormatCommand(const Arguments& arguments);
int RunCacheStatusCommand(const Arguments& arguments);
int RunCacheVerifyCommand(const Arguments& arguments);
int RunCacheMeasureCommand(const Arguments& arguments);
int RunCacheClearCommand(const Arguments& arguments);
int RunCacheWarmCommand(const Arguments& arguments);
int RunCacheDrainCommand(const Arguments& arguments);

}  // namespace stoker::cli::internal
