#pragma once

// A JSON value whose objects keep the order in which fields were added. What
// reports are made of; text in and out is by nlohmann/json.

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/status.h"

namespace stoker::reporting {

// Made from plain values, vectors of them, or field by field with Add.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;
  using Value = std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t,
                             double, std::string, Array, Object>;

  Json() = default;  // null
  // NOLINTBEGIN(google-explicit-constructor): a value is a Json
  Json(bool value) : value_(value) {}
  Json(std::signed_integral auto value) : value_(std::int64_t{value}) {}
  Json(std::unsigned_integral auto value) : value_(std::uint64_t{value}) {}
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  template <class T>
  Json(const std::vector<T>& items)
      : value_(Array(items.begin(), items.end())) {}
  // NOLINTEND(google-explicit-constructor)

  static Json MakeObject() { return Json(Object{}); }

  // Appends a field to an object. The key is not there yet.
  Json& Add(std::string key, Json value);
  // Replaces the field, or appends it.
  void Set(std::string_view key, Json value);
  // The field of an object; null if this is none or has no such field.
  const Json* Find(std::string_view key) const;

  const Value& value() const { return value_; }

 private:
  Value value_;
};

// Text with `indent` spaces a level. Numbers have the digits that read back as
// the same double; NaN and infinities become null, bytes that are not UTF-8 a
// replacement character.
std::string DumpJson(const Json& value, int indent);

// kCorruption if `text` is not JSON.
core::Result<Json> ParseJson(std::string_view text);

// Fields of an object, of the kind asked for: "" or none where there is no such
// field or it is of another kind.
std::string TextField(const Json& object, std::string_view key);
std::optional<bool> BoolField(const Json& object, std::string_view key);
std::optional<std::int64_t> WholeField(const Json& object,
                                       std::string_view key);
// Whole numbers too.
std::optional<double> NumberField(const Json& object, std::string_view key);

// A value as a YAML scalar or list would mean it: JSON where it is JSON, the
// inside of single quotes, else the text itself.
Json FromYamlText(std::string_view text);

// Flat dotted keys as nested objects: {"a.b": 1, "a.c": 2} → {"a": {"b": 1,
// "c": 2}}. In order of first appearance; the last value of a key wins.
Json NestDotted(const std::vector<std::pair<std::string, Json>>& flat);

}  // namespace stoker::reporting
