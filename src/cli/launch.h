#pragma once

// Starting the ranks of a command with mpirun.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/status.h"
#include "run/console.h"

namespace stoker::cli {

// One host word may hold several, comma-separated; blanks around a name are
// dropped, empty names are kept for CheckHosts to refuse.
std::vector<std::string> SplitHosts(const std::vector<std::string>& words);

// "a", "b:2" …: each name once and not empty, slots from 1 on, and where one
// host has slots all have. kInvalidArgument lists every mistake.
core::Status CheckHosts(const std::vector<std::string>& hosts);

// "a:3,b:2" for mpirun. Slots given must suffice for `ranks` unless
// `oversubscribe`; without any the ranks are divided, the first hosts getting
// one more. Errors of CheckHosts too.
core::Result<std::string> AssignSlots(const std::vector<std::string>& hosts,
                                      std::int64_t ranks,
                                      bool oversubscribe = false);

// Ranks on each host that has some, in the order of the hosts: blocks by slots,
// as mpirun places them. Errors of AssignSlots.
core::Result<std::vector<std::uint32_t>> RanksOfHosts(
    const std::vector<std::string>& hosts, std::int64_t ranks,
    bool oversubscribe = false);

// Splits as a shell does words: blanks, quotes, backslash. No expansion.
core::Result<std::vector<std::string>> SplitWords(std::string_view text);

// The words as one line that a shell (and SplitWords) reads back: quoted where
// needed.
std::string QuoteWords(const std::vector<std::string>& words);

struct LaunchPlan {
  std::string mpi_bin = "mpirun";  // program
  std::int64_t ranks = 1;
  std::string host_slots;  // of AssignSlots
  bool oversubscribe = false;
  bool allow_run_as_root = false;
  std::vector<std::string> mpi_params;  // words
  std::vector<std::string> exported;    // names of environment variables
  std::vector<std::string> program;     // what each rank runs
};

// Names of the variables of `environment` ("NAME=value", null-terminated) that
// ranks on other hosts need: all that begin with STOKER_, AWS_ or S3_, sorted.
std::vector<std::string> ExportedNames(const char* const* environment);

// The words of the command.
std::vector<std::string> MpiCommand(const LaunchPlan& plan);

struct ChildOutput {
  std::string stdout_file;  // "" for none
  std::string stderr_file;
  // kJson: what the child prints that is no JSON line goes on as the "message"
  // of one, event "launcher".
  run::LogFormat format = run::LogFormat::kText;
};

struct ChildResult {
  int exit_code = 0;   // ours: 0 … 7, 130; any other status became 6
  std::string status;  // "ended with status 137", "killed by signal 9"
  // First "stoker: error: " line of the child, without that, or the message of
  // its first JSON line that is an error. Ranks that were only told to stop
  // speak last, after what mpirun knows of a lost rank or host. "" for none.
  std::string first_error;
  bool is_cause = false;  // it is more than "asked to stop"
};

// Runs the command without a shell. Its output goes to ours as it comes and to
// the files, progress lines left out there. Once `cancel` is set the child gets
// SIGTERM, and SIGKILL ten seconds later; it gets SIGTERM too should this
// process die. Call from the main thread, with no other thread about. Errors:
// the program cannot be started (kNotFound with the remedy), files cannot be
// written.
core::Result<ChildResult> RunChild(const std::vector<std::string>& words,
                                   const ChildOutput& output,
                                   const core::CancelFlag& cancel);

}  // namespace stoker::cli
