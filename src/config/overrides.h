#pragma once

// One override of the command line, in Hydra's grammar, into a key, a value
// and what to do with them.

#include <cstdint>
#include <string>
#include <string_view>

#include "config/node.h"
#include "core/status.h"

namespace stoker::config {

struct Override {
  enum class Kind : std::uint8_t {
    kSet,     // ++a.b=v: whether there or not
    kAdd,     // +a.b=v: an error if the key is set
    kChange,  // a.b=v: as kSet, since unknown keys are errors for all
    kDelete,  // ~a.b, ~a.b=v: an error if the key is not set (to v)
  } kind = Kind::kSet;
  std::string key;  // dotted, without "workload."
  Mark mark;        // of the whole text
  bool has_value = false;
  Node value;
};

// `source` goes into every mark; columns are those of `text`. The error says
// what is wrong with the text and what to write instead, without repeating it.
core::Result<Override> ParseOverride(std::string_view text, int source);

// A value in override syntax that ParseOverride reads back to an equal one:
// bare where possible, else quoted.
std::string OverrideText(const Node& value);

}  // namespace stoker::config
