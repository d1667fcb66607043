#include "config/yaml.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <utility>

#include "config/scalar.h"
#include "config/tree.h"

namespace stoker::config {

namespace {

// Aliases must not turn a small file into a large tree.
constexpr std::size_t kMaxNodes = 100'000;

Mark ToMark(const yaml_mark_t& mark) {
  return {0, static_cast<int>(mark.line) + 1,
          static_cast<int>(mark.column) + 1};
}

std::string_view ToText(const yaml_char_t* text) {
  return text == nullptr ? std::string_view{}
                         : reinterpret_cast<const char*>(text);
}

std::size_t CountNodes(const Node& node) {
  std::size_t count = 1;
  for (const Node& item : node.items) {
    count += CountNodes(item);
  }
  for (const Entry& entry : node.entries) {
    count += CountNodes(entry.value);
  }
  return count;
}

int DepthOf(const Node& node) {
  int depth = 0;
  for (const Node& item : node.items) {
    depth = std::max(depth, DepthOf(item));
  }
  for (const Entry& entry : node.entries) {
    depth = std::max(depth, DepthOf(entry.value));
  }
  return depth + 1;
}

// Builds the tree event by event. Build… functions return false once a problem
// has been reported that ends the reading.
class TreeBuilder {
 public:
  TreeBuilder(std::string_view text, Problems& problems) : problems_(problems) {
    initialized_ = yaml_parser_initialize(&parser_) == 1;
    if (initialized_) {
      yaml_parser_set_input_string(
          &parser_, reinterpret_cast<const unsigned char*>(text.data()),
          text.size());
    }
  }
  ~TreeBuilder() {
    if (initialized_) {
      yaml_event_delete(&event_);
      yaml_parser_delete(&parser_);
    }
  }
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  std::optional<Node> Build() {
    Node root;
    if (!initialized_) {
      Fail({}, "out of memory");
      return std::nullopt;
    }
    if (!Next() || !Next()) {  // start of the stream, start of the document
      return std::nullopt;
    }
    if (event_.type == YAML_STREAM_END_EVENT) {
      Fail({0, 1, 1}, "holds no YAML document");
      return std::nullopt;
    }
    if (!Next() || !BuildNode(root, 1) || !Next() || !Next()) {
      return std::nullopt;
    }
    if (event_.type != YAML_STREAM_END_EVENT) {
      Fail(ToMark(event_.start_mark),
           "a second YAML document begins here; one is expected");
      return std::nullopt;
    }
    return root;
  }

 private:
  bool Fail(Mark mark, std::string text) {
    problems_.push_back({mark, std::move(text)});
    return false;
  }

  bool Next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) == 1) {
      return true;
    }
    const char* const problem =
        parser_.problem == nullptr ? "out of memory" : parser_.problem;
    if (parser_.error == YAML_READER_ERROR) {
      return Fail({},
                  fmt::format("byte {}: {}", parser_.problem_offset, problem));
    }
    std::string text = problem;
    if (parser_.context != nullptr) {
      const Mark mark = ToMark(parser_.context_mark);
      text += fmt::format(" {} that begins at {}:{}", parser_.context,
                          mark.line, mark.column);
    }
    return Fail(ToMark(parser_.problem_mark), std::move(text));
  }

  bool CountOne(std::size_t count, Mark mark) {
    nodes_ += count;
    return nodes_ <= kMaxNodes ||
           Fail(mark,
                fmt::format("the document has more than {} values", kMaxNodes));
  }

  // The node of the current event, at nesting `depth` (the root's is 1).
  bool BuildNode(Node& out, int depth) {
    const Mark mark = ToMark(event_.start_mark);
    if (event_.type == YAML_ALIAS_EVENT) {
      return BuildAlias(out, depth);
    }
    if (!CountOne(1, mark)) {
      return false;
    }
    if (event_.type == YAML_SCALAR_EVENT) {
      const std::string anchor(ToText(event_.data.scalar.anchor));
      return BuildScalar(out) && Remember(anchor, out);
    }
    if (depth > kMaxDepth) {
      return Fail(mark, fmt::format("lists and maps are nested deeper than {}",
                                    kMaxDepth));
    }
    const bool list = event_.type == YAML_SEQUENCE_START_EVENT;
    const std::string anchor(ToText(list ? event_.data.sequence_start.anchor
                                         : event_.data.mapping_start.anchor));
    const std::string_view tag = ToText(list ? event_.data.sequence_start.tag
                                             : event_.data.mapping_start.tag);
    if (!tag.empty() && tag != (list ? YAML_SEQ_TAG : YAML_MAP_TAG)) {
      return Fail(mark, fmt::format("the tag '{}' is not supported", tag));
    }
    out.mark = mark;
    return (list ? BuildList(out, depth) : BuildMap(out, depth)) &&
           Remember(anchor, out);
  }

  bool Remember(const std::string& anchor, const Node& node) {
    if (!anchor.empty()) {
      anchors_.insert_or_assign(anchor, node);
    }
    return true;
  }

  bool BuildAlias(Node& out, int depth) {
    const Mark mark = ToMark(event_.start_mark);
    const std::string name(ToText(event_.data.alias.anchor));
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) {
      return Fail(mark,
                  fmt::format("the alias '*{0}' has no complete anchor '&{0}' "
                              "before it",
                              name));
    }
    if (!CountOne(CountNodes(found->second), mark)) {
      return false;
    }
    if (depth + DepthOf(found->second) > kMaxDepth + 2) {
      return Fail(mark, fmt::format("lists and maps are nested deeper than {}",
                                    kMaxDepth));
    }
    out = found->second;
    return true;
  }

  bool BuildScalar(Node& out) {
    const auto& scalar = event_.data.scalar;
    const Mark mark = ToMark(event_.start_mark);
    const std::string_view text(reinterpret_cast<const char*>(scalar.value),
                                scalar.length);
    const std::string_view tag = ToText(scalar.tag);
    const bool quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (tag.empty()) {
      out = quoted ? TextNode(text) : YamlScalar(text);
    } else if (tag == YAML_STR_TAG || tag == "!") {
      out = TextNode(text);
    } else if (!BuildTagged(out, tag, text)) {
      return Fail(mark, fmt::format("'{}' cannot be read as '{}'; only the "
                                    "tags !!str, !!int, !!float, !!bool and "
                                    "!!null are supported",
                                    text, tag));
    }
    out.quoted = quoted;
    out.mark = mark;
    return true;
  }

  static bool BuildTagged(Node& out, std::string_view tag,
                          std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, Node::Kind>, 4>
        kTags{{{YAML_INT_TAG, Node::Kind::kInt},
               {YAML_FLOAT_TAG, Node::Kind::kFloat},
               {YAML_BOOL_TAG, Node::Kind::kBool},
               {YAML_NULL_TAG, Node::Kind::kNull}}};
    out = YamlScalar(text);
    if (tag == YAML_FLOAT_TAG && out.kind == Node::Kind::kInt) {
      out.kind = Node::Kind::kFloat;
      out.real = static_cast<double>(out.integer);
    }
    return std::ranges::any_of(kTags, [&](const auto& row) {
      return row.first == tag && row.second == out.kind;
    });
  }

  bool BuildList(Node& out, int depth) {
    out.kind = Node::Kind::kList;
    while (true) {
      if (!Next()) {
        return false;
      }
      if (event_.type == YAML_SEQUENCE_END_EVENT) {
        return true;
      }
      Node item;
      if (!BuildNode(item, depth + 1)) {
        return false;
      }
      out.items.push_back(std::move(item));
    }
  }

  bool BuildMap(Node& out, int depth) {
    out.kind = Node::Kind::kMap;
    std::vector<Node> merged;
    while (true) {
      if (!Next()) {
        return false;
      }
      if (event_.type == YAML_MAPPING_END_EVENT) {
        return Merge(out, merged);
      }
      if (!BuildPair(out, merged, depth)) {
        return false;
      }
    }
  }

  // One name and its value, from the current event on.
  bool BuildPair(Node& out, std::vector<Node>& merged, int depth) {
    Node name;
    const Mark mark = ToMark(event_.start_mark);
    if (!BuildNode(name, depth + 1)) {
      return false;
    }
    if (name.kind == Node::Kind::kList || name.kind == Node::Kind::kMap) {
      return Fail(mark, "the name of a value must be a word");
    }
    Node value;
    if (!Next() || !BuildNode(value, depth + 1)) {
      return false;
    }
    if (name.text == "<<" && !name.quoted) {
      merged.push_back(std::move(value));
      return true;
    }
    if (const Entry* const first = FindEntry(out, name.text)) {
      Fail(mark, fmt::format("'{}' is given twice, first at {}:{}", name.text,
                             first->mark.line, first->mark.column));
      return true;
    }
    out.entries.push_back({name.text, mark, std::move(value)});
    return true;
  }

  // Adds what `out` does not give itself; of several sources the first wins.
  bool Merge(Node& out, const std::vector<Node>& merged) {
    for (const Node& source : merged) {
      const std::vector<Node> one{source};
      const std::vector<Node>& maps =
          source.kind == Node::Kind::kList ? source.items : one;
      for (const Node& map : maps) {
        if (map.kind != Node::Kind::kMap) {
          return Fail(map.mark, "'<<' takes a map or a list of maps");
        }
        for (const Entry& entry : map.entries) {
          if (FindEntry(out, entry.name) == nullptr) {
            out.entries.push_back(entry);
          }
        }
      }
    }
    return true;
  }

  Problems& problems_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  bool initialized_ = false;
  std::size_t nodes_ = 0;
  std::map<std::string, Node, std::less<>> anchors_;
};

}  // namespace

std::optional<Node> ParseYaml(std::string_view text, Problems& problems) {
  return TreeBuilder(text, problems).Build();
}

core::Result<std::string> ReadYamlFile(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return core::Status::FromErrno(errno, "open '" + path + "'");
  }
  std::string text(kMaxYamlBytes + 1, '\0');
  std::size_t size = 0;
  int os_error = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file, text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      os_error = count < 0 ? errno : 0;
      break;
    }
    size += static_cast<std::size_t>(count);
  }
  ::close(file);
  if (os_error != 0) {
    return core::Status::FromErrno(os_error, "read '" + path + "'");
  }
  if (size > kMaxYamlBytes) {
    return core::Status(core::Code::kInvalidArgument,
                        "read '" + path +
                            "': larger than 4 MiB, which no "
                            "configuration is; give the workload or site file");
  }
  text.resize(size);
  return text;
}

}  // namespace stoker::config
