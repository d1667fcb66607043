#pragma once

// The types of bare words: YAML 1.1 as OmegaConf reads it, and Hydra's override
// grammar, which differs; and the way back to text.

#include <string>
#include <string_view>

#include "config/node.h"

namespace stoker::config {

// An unquoted YAML scalar: yes/no/on/off and true/false are booleans, 0x10,
// 0b1, 010 (octal), 1_000 and 1:30:00 (sexagesimal) integers, 1e-3 a float
// (as OmegaConf, unlike PyYAML), ~, null and "" null, all else text. Integers
// beyond 64 bits become floats.
Node YamlScalar(std::string_view text);

// An unquoted word of an override: true/false and null in any case, integers
// without leading zeros, floats, inf and nan; all else text ("010", "0x10",
// "off", "12:30").
Node OverrideScalar(std::string_view text);

// Canonical YAML flow text: 4, 0.323, true, 'off', [1, 2], {mean: 0.5}. Strings
// that any YAML 1.1 reader would take for something else are quoted.
std::string FlowText(const Node& node);
std::string FlowText(std::string_view text);
// Shortest text that reads back to the same double, in the form PyYAML takes
// for a number; whole numbers below 2^53 without a point.
std::string FlowText(double value);

// "text", "integer", …, for messages.
std::string_view KindName(Node::Kind kind);

}  // namespace stoker::config
