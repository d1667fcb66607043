#pragma once

// The workload files of the project, with overrides.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/load.h"

namespace stoker::run::testing {

inline config::LoadedConfig Workload(const std::string& name,
                                     std::vector<std::string> overrides = {},
                                     bool compat = false) {
  config::LoadOptions options;
  options.workload_path = STOKER_SOURCE_DIR "/workloads/" + name + ".yaml";
  options.overrides = std::move(overrides);
  options.compat.v2_0 = compat;
  auto loaded = config::Load(options);
  EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
  return loaded.ok() ? std::move(loaded).value() : config::LoadedConfig{};
}

}  // namespace stoker::run::testing
