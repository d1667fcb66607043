#include "config/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/scalar.h"

namespace stoker::config {

namespace {

using core::Code;
using core::Result;
using core::Status;

Status Invalid(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

bool IsBareCharacter(char c) {
  return IsWordCharacter(c) ||
         std::string_view("/-\\+.$%*@?|: \t").find(c) != std::string_view::npos;
}

// After a backslash these stand for themselves in a bare word.
bool IsEscapable(char c) {
  return std::string_view("\\()[]{}:=, \t").find(c) != std::string_view::npos;
}

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

class ValueParser {
 public:
  ValueParser(std::string_view text, std::size_t offset, int source)
      : text_(text), offset_(offset), source_(source) {}

  Result<Node> ParseAll() {
    STOKER_ASSIGN(Node value, ParseElement("", 1));
    SkipSpace();
    if (at_ < text_.size()) {
      if (text_[at_] == ',') {
        return Invalid(
            "a list of values separated by commas is a sweep, which is not "
            "supported: quote the value, or write [a,b] for a list");
      }
      return Invalid(Unexpected());
    }
    return value;
  }

 private:
  // A value that ends before one of `stops`, a ',' or the end of the text.
  Result<Node> ParseElement(std::string_view stops, int depth) {
    SkipSpace();
    const Mark mark{source_, 1, static_cast<int>(offset_ + at_) + 1};
    if (depth > kMaxDepth) {
      return Invalid(
          fmt::format("lists and maps are nested deeper than {}", kMaxDepth));
    }
    const char first = at_ < text_.size() ? text_[at_] : '\0';
    Result<Node> value = first == '['                    ? ParseList(depth)
                         : first == '{'                  ? ParseMap(depth)
                         : first == '"' || first == '\'' ? ParseQuoted(first)
                                                         : ParseBare(stops);
    if (value.ok()) {
      value.value().mark = mark;
    }
    return value;
  }

  Result<Node> ParseList(int depth) {
    ++at_;
    Node list;
    list.kind = Node::Kind::kList;
    if (EatAfterSpace(']')) {
      return list;
    }
    while (true) {
      STOKER_ASSIGN(Node item, ParseElement("]", depth + 1));
      if (IsMissing(item)) {
        return Invalid("a list has an empty element; write '' for empty text");
      }
      list.items.push_back(std::move(item));
      if (EatAfterSpace(']')) {
        return list;
      }
      if (!EatAfterSpace(',')) {
        return Invalid(at_ < text_.size() ? Unexpected()
                                          : "a list lacks its ']'");
      }
    }
  }

  Result<Node> ParseMap(int depth) {
    ++at_;
    Node map;
    map.kind = Node::Kind::kMap;
    if (EatAfterSpace('}')) {
      return map;
    }
    while (true) {
      STOKER_ASSIGN(Node name, ParseElement(":}", depth + 1));
      if (!EatAfterSpace(':') || IsMissing(name) || !name.items.empty() ||
          !name.entries.empty()) {
        return Invalid("a map is written {name: value, ...}");
      }
      STOKER_ASSIGN(Node value, ParseElement("}", depth + 1));
      if (std::ranges::find(map.entries, name.text, &Entry::name) !=
          map.entries.end()) {
        return Invalid(fmt::format("'{}' is given twice in a map", name.text));
      }
      const Mark mark = name.mark;
      map.entries.push_back({std::move(name.text), mark, std::move(value)});
      if (EatAfterSpace('}')) {
        return map;
      }
      if (!EatAfterSpace(',')) {
        return Invalid(at_ < text_.size() ? Unexpected()
                                          : "a map lacks its '}'");
      }
    }
  }

  // Within quotes only the quote itself is escaped, and a backslash before it.
  Result<Node> ParseQuoted(char quote) {
    ++at_;
    std::string out;
    while (at_ < text_.size()) {
      const std::size_t slashes = CountSlashes();
      const std::size_t after = at_ + slashes;
      const bool at_quote = after < text_.size() && text_[after] == quote;
      out.append(at_quote ? slashes / 2 : slashes, '\\');
      at_ = after;
      if (at_ == text_.size()) {
        break;
      }
      const bool closes = at_quote && slashes % 2 == 0;
      if (closes) {
        ++at_;
        Node node = TextNode(out);
        node.quoted = true;
        return node;
      }
      out += text_[at_++];
    }
    return Invalid(fmt::format("a quoted value lacks its closing {}", quote));
  }

  std::size_t CountSlashes() const {
    const std::size_t stop = text_.find_first_not_of('\\', at_);
    return (stop == std::string_view::npos ? text_.size() : stop) - at_;
  }

  Result<Node> ParseBare(std::string_view stops) {
    std::string out;
    std::size_t kept = 0;  // without trailing spaces
    bool escaped = false;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ',' || stops.find(c) != std::string_view::npos) {
        break;
      }
      if (c == '\\' && at_ + 1 < text_.size() && IsEscapable(text_[at_ + 1])) {
        out += text_[at_ + 1];
        at_ += 2;
        escaped = true;
        kept = out.size();
        continue;
      }
      if (text_.substr(at_).starts_with("${")) {
        STOKER_ASSIGN(const std::string_view reference, TakeReference());
        out += reference;
        kept = out.size();
        continue;
      }
      if (!IsBareCharacter(c)) {
        return Invalid(Unexpected());
      }
      out += c;
      ++at_;
      kept = IsSpace(c) ? kept : out.size();
    }
    out.resize(kept);
    Node node = escaped || out.empty() ? TextNode(out) : OverrideScalar(out);
    node.text = out;
    return node;
  }

  Result<std::string_view> TakeReference() {
    const std::size_t end = text_.find('}', at_);
    if (end == std::string_view::npos) {
      return Invalid("a reference lacks its '}'");
    }
    const std::string_view reference = text_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return reference;
  }

  static bool IsMissing(const Node& node) {
    return node.kind == Node::Kind::kString && node.text.empty() &&
           !node.quoted;
  }

  std::string Unexpected() const {
    const char c = text_[at_];
    if (c == '(') {
      return "functions such as choice(...) and range(...) are sweeps, which "
             "are not supported: quote the value if it is text";
    }
    return fmt::format(
        "the value holds '{}' outside quotes: quote the whole value, as in "
        "key='...' (and protect the quotes from the shell)",
        c);
  }

  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) {
      ++at_;
    }
  }
  bool EatAfterSpace(char c) {
    SkipSpace();
    if (at_ < text_.size() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t offset_;
  int source_;
};

Override::Kind TakeKind(std::string_view& text) {
  for (const auto& [prefix, kind] :
       {std::pair<std::string_view, Override::Kind>{"++", Override::Kind::kSet},
        {"+", Override::Kind::kAdd},
        {"~", Override::Kind::kDelete}}) {
    if (text.starts_with(prefix)) {
      text.remove_prefix(prefix.size());
      return kind;
    }
  }
  return Override::Kind::kChange;
}

Status CheckKey(std::string_view key) {
  if (key == "workload" || key.find_first_of("/@") != std::string_view::npos) {
    return Invalid(
        "configuration groups are not chosen by an override: use --model and "
        "--accelerator-type, or --workload FILE");
  }
  if (key == "hydra" || key.starts_with("hydra.")) {
    return Invalid(
        "there are no hydra settings here: use --results-dir for the folder "
        "of results");
  }
  const bool words = std::ranges::all_of(
      key, [](char c) { return IsWordCharacter(c) || c == '.' || c == '-'; });
  if (key.empty() || !words || key.starts_with('.') || key.ends_with('.') ||
      key.find("..") != std::string_view::npos ||
      std::ranges::count(key, '.') > kMaxDepth) {
    return Invalid(
        "the key must be words separated by dots, such as reader.batch_size");
  }
  return {};
}

}  // namespace

core::Result<Override> ParseOverride(std::string_view text, int source) {
  std::string_view rest = text;
  Override out;
  out.kind = TakeKind(rest);
  out.mark = {source, 1, 1};
  const std::size_t equals = rest.find('=');
  std::string_view key = rest.substr(0, equals);
  STOKER_TRY(CheckKey(key));
  constexpr std::string_view kRoot = "workload.";
  if (key.starts_with(kRoot)) {
    key.remove_prefix(kRoot.size());
  }
  out.key = key;
  if (equals == std::string_view::npos) {
    if (out.kind != Override::Kind::kDelete) {
      return Invalid("an override is written key=value");
    }
    return out;
  }
  const std::string_view value = rest.substr(equals + 1);
  const auto offset = static_cast<std::size_t>(value.data() - text.data());
  out.has_value = true;
  STOKER_ASSIGN(out.value, ValueParser(value, offset, source).ParseAll());
  return out;
}

std::string OverrideText(const Node& value) {
  std::string out;
  switch (value.kind) {
    case Node::Kind::kList:
      for (const Node& item : value.items) {
        out += (out.empty() ? "" : ",") + OverrideText(item);
      }
      return "[" + out + "]";
    case Node::Kind::kMap:
      for (const Entry& entry : value.entries) {
        out += (out.empty() ? "" : ",") + OverrideText(TextNode(entry.name)) +
               ":" + OverrideText(entry.value);
      }
      return "{" + out + "}";
    case Node::Kind::kFloat:
      return fmt::format("{}", value.real);
    case Node::Kind::kString:
      break;
    default:
      return FlowText(value);
  }
  const bool bare = !value.text.empty() &&
                    std::ranges::all_of(value.text,
                                        [](char c) {
                                          return IsWordCharacter(c) ||
                                                 c == '/' || c == '.' ||
                                                 c == '-';
                                        }) &&
                    OverrideScalar(value.text).kind == Node::Kind::kString;
  if (bare) {
    return value.text;
  }
  std::size_t slashes = 0;
  out = "'";
  for (const char c : value.text) {
    if (c == '\'') {
      out.append(slashes + 1, '\\');
    }
    slashes = c == '\\' ? slashes + 1 : 0;
    out += c;
  }
  out.append(slashes, '\\');
  return out + "'";
}

}  // namespace stoker::config
