#pragma once

// The table of workload keys: the one place that knows names, types, ranges,
// meanings and where each value is stored.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/run_config.h"

namespace stoker::config {

// One allowed word of a choice, or one that is known and refused.
struct Word {
  std::string_view name;
  std::string_view refused = {};    // why, and what to do instead
  std::string_view warned = {};     // what is not as the reader may expect
  std::string_view stored_as = {};  // "": as named
};

template <class T>
using Accessor = T& (*)(WorkloadConfig&);

inline constexpr std::int64_t kNoLimit =
    std::numeric_limits<std::int64_t>::max();

struct IntField {
  Accessor<std::int64_t> at;
  std::int64_t min = 0;
  std::int64_t max = kNoLimit;
};
struct RealField {
  Accessor<double> at;
  double min = 0;
  double max = 0;
};
struct BoolField {
  Accessor<bool> at;
  std::optional<bool> refused = {};
  std::string_view why_refused = {};
};
struct TextField {
  Accessor<std::string> at;
  bool may_be_empty = false;
  bool is_folder = false;  // stored without trailing '/'
};
// A text that is one of some words.
struct WordField {
  Accessor<std::string> at;
  std::span<const Word> words;
};
// An enumeration; words are in the order of its enumerators, refused ones
// after them.
struct EnumField {
  std::size_t (*get)(const WorkloadConfig&);
  void (*set)(WorkloadConfig&, std::size_t);
  std::span<const Word> words;
};
struct IntListField {
  Accessor<std::vector<std::int64_t>> at;
};
struct TextListField {
  Accessor<std::vector<std::string>> at;
};
// A duration: number or map.
struct TimeField {
  Accessor<TimeSpec> at;
};
// The standard deviation beside a duration; its row follows the duration's.
struct TimeStdevField {
  Accessor<TimeSpec> at;
};
// Another name for a key.
struct AliasField {
  std::string_view target;
};
// Accepted without a place to store it; the row's `inert` says why.
struct IgnoredField {
  std::string_view type;
  std::string_view default_value;
  std::span<const Word> words = {};  // empty: anything
};
// Only a Python class could do it: null or an error.
struct PluginField {};

using Field =
    std::variant<IntField, RealField, BoolField, TextField, WordField,
                 EnumField, IntListField, TextListField, TimeField,
                 TimeStdevField, AliasField, IgnoredField, PluginField>;

struct Row {
  std::string_view key;  // dotted
  Field field;
  std::string_view unit;
  std::string_view summary;
  // "", or why any other value than the default changes nothing.
  std::string_view inert = {};
  bool may_be_null = false;  // null means the default
};

// Rows of the sections framework, storage, dataset, reader.
std::span<const Row> DataRows();
// Rows of all other sections.
std::span<const Row> RunRows();
// All rows, in the order of the documentation; keys of a section are together.
std::span<const Row> Table();

// nullptr if there is no such row.
const Row* FindRow(std::string_view key);
// Whether keys begin with "<key>.".
bool IsSection(std::string_view key);
// The known key a user may have meant, or "".
std::string_view NearestKey(std::string_view key);

// The field reached through a chain of member pointers.
template <auto... kMembers>
auto& At(WorkloadConfig& config) {
  return (config.*....*kMembers);
}

}  // namespace stoker::config
