#pragma once

// From workload file and overrides to the effective configuration, every
// mistake at once.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"
#include "core/status.h"

namespace stoker::config {

// Where a value came from: "workloads/unet3d_h100.yaml:14", "override
// '++workload.reader.batch_size=4'" (as typed), "default", "from framework".
struct Origin {
  std::string where;
};

// One key of the effective configuration, for configview, the reference's
// config.yaml and the rules. `value` is canonical YAML flow text (strings
// quoted where YAML needs it).
struct EffectiveKey {
  std::string key;  // "reader.batch_size"
  std::string value;
  Origin origin;
  bool is_set = false;  // by file or override, not a default
};

struct Compat {
  bool v2_0 = false;  // --compat v2.0: old behaviour wherever it is offered
};

struct LoadOptions {
  std::string workload_path;  // a YAML file
  // In order of the command line: "++workload.a.b=v", "a.b=v", "+a.b=v",
  // "~a.b"; --params values come as "++a.b=v".
  std::vector<std::string> overrides;
  Compat compat;
};

struct LoadedConfig {
  WorkloadConfig workload;
  Compat compat;
  // In the order of the schema table. Keys that have no field in `workload`
  // are listed only if set.
  std::vector<EffectiveKey> keys;
  // Overrides as typed, for rules and the recorded overrides.yaml.
  std::vector<std::string> overrides;
  // Keys that are accepted but change nothing, renamed keys and the like; one
  // readable line each.
  std::vector<std::string> warnings;

  // Text of an effective key, "" if there is no such key.
  std::string_view Value(std::string_view key) const;
};

// kNotFound if the file is missing; kInvalidArgument with one line per mistake:
// file, line, column, key, value, what is allowed, nearest known key. The
// file may also be a recorded configuration, with everything under `workload:`.
core::Result<LoadedConfig> Load(const LoadOptions& options);

// The whole effective configuration as a YAML document under the root key
// `workload`; YAML 1.1 readers get equal values, and so does Load. Written from
// `config.keys`.
std::string ToYaml(const LoadedConfig& config);

// A site file: YAML mapping of long option names (with '_') to values, sections
// `storage:` and `cache:` allowed as nested maps. Returned flat in file order:
// "hosts" → one element per list item; nested keys dotted ("storage.uri");
// `params:`, a map, becomes "a.b=value" items in override syntax; booleans are
// "true" and "false", other values the text as written; a null is left out.
// Keys are checked by the command line, which knows them. Errors as Load.
struct SiteEntry {
  std::string key;
  std::vector<std::string> values;
  int line = 0;
};
core::Result<std::vector<SiteEntry>> LoadSiteFile(std::string_view path);

// The table of keys, for docs/configuration.md and `--help`.
struct KeyHelp {
  std::string_view key;       // "reader.batch_size"
  std::string type;           // "integer", "off|seed|random", …
  std::string allowed;        // "an integer from 1 to 4096"
  std::string default_value;  // "" for names that are read as another key
  std::string_view unit;      // "bytes", "s", ""
  std::string_view summary;
  // "", or why the key is accepted but changes nothing.
  std::string_view inert;
};
std::span<const KeyHelp> Keys();

}  // namespace stoker::config
