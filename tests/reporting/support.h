#pragma once

// What the tests of reports share.

#include <string>
#include <string_view>
#include <variant>

#include "reporting/json.h"

namespace stoker::testing {

// First and last line of a block of metrics.
inline constexpr std::string_view kMetricRule =
    "[METRIC] ==========================================================\n";

// A field as text; "(missing)" without it.
inline std::string Text(const reporting::Json& json, std::string_view key) {
  const reporting::Json* field = json.Find(key);
  return field == nullptr ? "(missing)" : reporting::DumpJson(*field, -1);
}

// Of a field that must be there and be an array.
inline const reporting::Json::Array& Items(const reporting::Json& json,
                                           std::string_view key) {
  return std::get<reporting::Json::Array>(json.Find(key)->value());
}

}  // namespace stoker::testing
