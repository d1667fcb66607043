#pragma once

// What the program's exit status says; the reference's numbers.

#include "core/status.h"
#include "run/console.h"

namespace stoker::cli {

inline constexpr int kExitSuccess = 0;
inline constexpr int kExitGeneral = 1;  // rules broken under --closed, --open
inline constexpr int kExitArguments = 2;
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitPermission = 4;
inline constexpr int kExitConfiguration = 5;
inline constexpr int kExitFailure = 6;
inline constexpr int kExitTimeout = 7;
inline constexpr int kExitInterrupted = 130;

// Of a command that failed with `status`.
int ExitCodeOf(const core::Status& status);

// Prints the error to stderr and returns the exit status to leave with: the one
// given, or that of `status`.
int Fail(const core::Status& status, int exit_code,
         run::LogFormat format = run::LogFormat::kText);
int Fail(const core::Status& status,
         run::LogFormat format = run::LogFormat::kText);

}  // namespace stoker::cli
