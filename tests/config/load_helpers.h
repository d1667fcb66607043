#pragma once

// Loading a workload from text, for the tests of this folder.

#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/load.h"
#include "core/status.h"
#include "tests/support/temp_dir.h"

namespace stoker::config::testing {

inline void WriteText(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Loads `text` as w.yaml; the folder is cut out of all messages.
inline core::Result<LoadedConfig> LoadText(
    std::string_view text, std::vector<std::string> overrides = {},
    Compat compat = {}) {
  const stoker::testing::TempDir dir;
  const std::string path = dir.str() + "/w.yaml";
  WriteText(path, text);
  auto loaded = Load({path, std::move(overrides), compat});
  const auto strip = [&](std::string message) {
    const std::string prefix = dir.str() + "/";
    for (std::size_t at = message.find(prefix); at != std::string::npos;
         at = message.find(prefix)) {
      message.erase(at, prefix.size());
    }
    return message;
  };
  if (!loaded.ok()) {
    const core::Status status = loaded.status();
    return core::Status(status.code(), strip(std::string(status.message())));
  }
  for (std::string& warning : loaded.value().warnings) {
    warning = strip(warning);
  }
  for (EffectiveKey& key : loaded.value().keys) {
    key.origin.where = strip(key.origin.where);
  }
  return loaded;
}

// The message of the error, "" if there is none.
inline std::string ErrorOf(std::string_view text,
                           std::vector<std::string> overrides = {}) {
  return std::string(LoadText(text, std::move(overrides)).status().message());
}

}  // namespace stoker::config::testing
