#pragma once

// What the tests of commands share.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/commands.h"

namespace stoker::testing {

// What a command printed and returned.
struct Said {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Runs a command in this process.
inline Said RunCaptured(const std::vector<std::string>& words) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Said said;
  said.exit_code = cli::RunCommand("stoker", words);
  said.out = ::testing::internal::GetCapturedStdout();
  said.err = ::testing::internal::GetCapturedStderr();
  return said;
}

}  // namespace stoker::testing
