#pragma once

// A value with its place in the text: what YAML files and overrides are read
// into before the schema gives them meaning.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stoker::config {

// source 0 is the file, n the n-th override; line and column count from 1,
// line 0 means unknown.
struct Mark {
  int source = 0;
  int line = 0;
  int column = 0;
};

struct Entry;

struct Node {
  enum class Kind : std::uint8_t {
    kNull,
    kBool,
    kInt,
    kFloat,
    kString,
    kList,
    kMap,
  } kind = Kind::kNull;
  bool boolean = false;
  bool quoted = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;            // a scalar as written, without quotes
  std::vector<Node> items;     // of a list
  std::vector<Entry> entries;  // of a map, in order, names unique
  Mark mark;
};

struct Entry {
  std::string name;
  Mark mark;  // of the name
  Node value;
};

// A mistake, or a warning, and its place.
struct Problem {
  Mark mark;
  std::string text;
};
using Problems = std::vector<Problem>;

// The deepest nesting of lists and maps.
inline constexpr int kMaxDepth = 64;

inline Node TextNode(std::string_view text) {
  Node node;
  node.kind = Node::Kind::kString;
  node.text = text;
  return node;
}

}  // namespace stoker::config
