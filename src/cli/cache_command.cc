// Looking after the NVMe cache.

#include "cli/exit_codes.h"
#include "cli/internal/commands.h"
#include "cli/internal/job.h"
#include "run/cache_care.h"

namespace stoker::cli::internal {

namespace {

int End(const Arguments& arguments, const core::Status& status) {
  return status.ok() ? kExitSuccess : Fail(status, LogFormatOf(arguments));
}

run::Console ConsoleOf(const Arguments& arguments) {
  return run::Console(
      {.level = LogLevelOf(arguments), .format = LogFormatOf(arguments)});
}

const std::string& PlaceOf(const Arguments& arguments) {
  return arguments.overrides().front();
}

}  // namespace

int RunCacheFormatCommand(const Arguments& arguments) {
  run::Console console = ConsoleOf(arguments);
  const std::uint64_t slot = arguments.Bytes("slot");
  const std::uint64_t small = arguments.Bytes("small-slot");
  return End(arguments,
             run::FormatCache(console, PlaceOf(arguments),
                              {.quota_bytes = arguments.Bytes("size"),
                               .slot_bytes = slot,
                               .small_slot_bytes = small == slot ? 0 : small,
                               .small_share = arguments.Number("small-share"),
                               .zero = arguments.Flag("zero"),
                               .force = arguments.Flag("force")}));
}

int RunCacheStatusCommand(const Arguments& arguments) {
  run::Console console = ConsoleOf(arguments);
  return End(arguments, run::TellCacheStatus(console, PlaceOf(arguments)));
}

int RunCacheVerifyCommand(const Arguments& arguments) {
  run::Console console = ConsoleOf(arguments);
  return End(arguments, run::VerifyCache(console, PlaceOf(arguments)));
}

int RunCacheMeasureCommand(const Arguments& arguments) {
  run::Console console = ConsoleOf(arguments);
  return End(arguments, run::MeasureCache(console, PlaceOf(arguments)));
}

int RunCacheClearCommand(const Arguments& arguments) {
  run::Console console = ConsoleOf(arguments);
  return End(arguments, run::ClearCache(console, PlaceOf(arguments)));
}

int RunCacheWarmCommand(const Arguments& arguments) {
  run::Console console = ConsoleOf(arguments);
  return End(arguments, run::WarmCache(console, PlaceOf(arguments)));
}

int RunCacheDrainCommand(const Arguments& arguments) {
  run::Console console = ConsoleOf(arguments);
  return End(arguments, run::DrainCache(console, PlaceOf(arguments)));
}

}  // namespace stoker::cli::internal
