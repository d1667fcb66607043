#pragma once

// Where keys of a configuration have their values from.

#include <algorithm>
#include <string_view>

#include "config/load.h"

namespace stoker::run::internal {

// The value of `key` was given on the command line, not by the workload's file
// or a default.
inline bool IsOverridden(const config::LoadedConfig& config,
                         std::string_view key) {
  const auto found =
      std::ranges::find(config.keys, key, &config::EffectiveKey::key);
  return found != config.keys.end() &&
         found->origin.where.starts_with("override");
}

}  // namespace stoker::run::internal
