#pragma once

// YAML text into nodes, over libyaml's events.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/node.h"
#include "core/status.h"

namespace stoker::config {

// A larger file is no configuration.
inline constexpr std::size_t kMaxYamlBytes = std::size_t{4} << 20;

// One YAML document. Scalars are typed by YamlScalar; anchors, aliases, merge
// keys (<<) and the tags !!str, !!int, !!float, !!bool, !!null, !!map, !!seq
// are understood. Mistakes are appended to `problems`; a name given twice in a
// map is reported with both places and the reading goes on, all others end it
// with nullopt: malformed text, several documents, none, nesting beyond
// kMaxDepth, aliases that expand to more than 100,000 nodes, other tags.
std::optional<Node> ParseYaml(std::string_view text, Problems& problems);

// The whole file. kNotFound, kPermission, kIoError; kInvalidArgument if it is
// larger than kMaxYamlBytes.
core::Result<std::string> ReadYamlFile(const std::string& path);

}  // namespace stoker::config
