// Looking after an S3 bucket.

#include <chrono>

#include "cli/exit_codes.h"
#include "cli/internal/commands.h"
#include "cli/internal/job.h"
#include "run/s3_care.h"

namespace stoker::cli::internal {

int RunS3CleanupCommand(const Arguments& arguments) {
  run::Console console(
      {.level = LogLevelOf(arguments), .format = LogFormatOf(arguments)});
  const std::chrono::duration<double> older_than(
      arguments.Seconds("older-than"));
  const core::Status status = run::CleanUpUploads(
      console, {.uri = arguments.overrides().front(),
                .older_than = std::chrono::duration_cast<std::chrono::seconds>(
                    older_than),
                .what_if = arguments.Flag("what-if")});
  return status.ok() ? kExitSuccess : Fail(status, LogFormatOf(arguments));
}

}  // namespace stoker::cli::internal
