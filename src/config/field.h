#pragma once

// What can be done with a row of the table: describe it, store a value, show
// the stored value.

#include <string>

#include "config/node.h"
#include "config/run_config.h"
#include "config/schema.h"

namespace stoker::config {

// "integer", "number", "boolean", "text", "off|seed|random", "time", …
std::string TypeName(const Row& row);
// "an integer from 1 to 4096", "off, seed or random", …
std::string Allowed(const Row& row);

// Whether the row has a field in WorkloadConfig of its own.
bool IsStored(const Row& row);

struct Outcome {
  std::string error;    // "" if the value was stored
  std::string warning;  // "", or what the value does not do
};
// Stores `value` in the row's field, converted and checked. Rows without a
// field (IsStored) only check it; AliasField must be replaced by its target
// before.
Outcome Store(const Row& row, const Node& value, WorkloadConfig& config);

// Canonical YAML flow text of the row's value; "" for rows without a field.
std::string Show(const Row& row, const WorkloadConfig& config);

}  // namespace stoker::config
