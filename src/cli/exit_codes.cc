#include "cli/exit_codes.h"

namespace stoker::cli {

int ExitCodeOf(const core::Status& status) {
  switch (status.code()) {
    case core::Code::kOk:
      return kExitSuccess;
    case core::Code::kInvalidArgument:
    case core::Code::kUnsupported:
      return kExitConfiguration;
    case core::Code::kNotFound:
      return kExitNotFound;
    case core::Code::kPermission:
      return kExitPermission;
    case core::Code::kTimedOut:
      return kExitTimeout;
    case core::Code::kCancelled:
      return kExitInterrupted;
    case core::Code::kIoError:
    case core::Code::kCorruption:
    case core::Code::kUnavailable:
      return kExitFailure;
  }
  return kExitFailure;
}

int Fail(const core::Status& status, int exit_code, run::LogFormat format) {
  run::Console({.format = format}).Error(status.message());
  return exit_code;
}

int Fail(const core::Status& status, run::LogFormat format) {
  return Fail(status, ExitCodeOf(status), format);
}

}  // namespace stoker::cli
