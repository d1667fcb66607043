#include "config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include "core/text.h"

namespace stoker::config {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsDigitOrBar(char c) { return IsDigit(c) || c == '_'; }
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Matches a text from its front.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  bool AtEnd() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  bool EatAnyOf(std::string_view characters) {
    if (rest_.empty() || characters.find(rest_[0]) == std::string_view::npos) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  template <class Predicate>
  std::size_t EatWhile(Predicate accepts) {
    const auto stop = std::ranges::find_if_not(rest_, accepts);
    const auto count = static_cast<std::size_t>(stop - rest_.begin());
    rest_.remove_prefix(count);
    return count;
  }
  // [0-9](_?[0-9])*
  bool EatGroupedDigits() {
    if (EatWhile(IsDigit) == 0) {
      return false;
    }
    while (rest_.size() > 1 && rest_[0] == '_' && IsDigit(rest_[1])) {
      rest_.remove_prefix(1);
      EatWhile(IsDigit);
    }
    return true;
  }
  // (:[0-5]?[0-9])+
  bool EatSexagesimalTail() {
    bool any = false;
    while (EatAnyOf(":")) {
      any = true;
      const std::string_view before = rest_;
      const std::size_t digits = EatWhile(IsDigit);
      if (digits == 0 || digits > 2 || (digits == 2 && before[0] > '5')) {
        return false;
      }
    }
    return any;
  }

 private:
  std::string_view rest_;
};

std::string WithoutBars(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

double ToDouble(std::string_view text) {
  std::string digits = WithoutBars(text);
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) {
    digits.erase(0, 1);
  }
  double value = 0;
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) {
    const std::size_t e = digits.find_first_of("eE");
    const bool tiny = e != std::string::npos && digits.substr(e + 1, 1) == "-";
    value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
  }
  return negative ? -value : value;
}

Node FloatNode(double value) {
  Node node;
  node.kind = Node::Kind::kFloat;
  node.real = value;
  return node;
}

Node BoolNode(bool value) {
  Node node;
  node.kind = Node::Kind::kBool;
  node.boolean = value;
  return node;
}

// What `digits` say in `base`, where 64 bits do not hold it.
double Magnitude(std::string_view digits, int base) {
  if (base == 10) {
    return ToDouble(digits);
  }
  double value = 0;
  for (const char c : WithoutBars(digits)) {
    value = value * base + (IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

// `digits`, which may hold '_', in `base`.
std::optional<Node> IntNode(bool negative, std::string_view digits, int base) {
  const std::string plain = (negative ? "-" : "") + WithoutBars(digits);
  if (plain.empty() || plain == "-") {
    return std::nullopt;
  }
  Node node;
  node.kind = Node::Kind::kInt;
  const auto [stop, error] = std::from_chars(
      plain.data(), plain.data() + plain.size(), node.integer, base);
  if (error == std::errc::result_out_of_range) {
    const double value = Magnitude(digits, base);
    return FloatNode(negative ? -value : value);
  }
  return node;
}

// 12:30:45 is (12*60 + 30)*60 + 45.
double SexagesimalValue(std::string_view text) {
  double value = 0;
  for (const std::string_view part : core::Split(text, ':')) {
    value = value * 60 + ToDouble(part);
  }
  return value;
}

std::optional<Node> YamlInt(std::string_view text) {
  const bool negative = text.starts_with('-');
  Cursor cursor(text);
  cursor.EatAnyOf("+-");
  const std::string_view body = cursor.rest();
  const auto all = [](std::string_view part, auto accepts) {
    return !part.empty() && std::ranges::all_of(part, accepts);
  };
  const auto is_hex = [](char c) {
    return IsDigitOrBar(c) || (IsLetter(c) && (c | 0x20) <= 'f');
  };
  const auto is_octal = [](char c) {
    return IsDigitOrBar(c) && c != '8' && c != '9';
  };
  const auto is_binary = [](char c) {
    return c == '0' || c == '1' || c == '_';
  };
  if (body.starts_with("0b") && all(body.substr(2), is_binary)) {
    return IntNode(negative, body.substr(2), 2);
  }
  if (body.starts_with("0x") && all(body.substr(2), is_hex)) {
    return IntNode(negative, body.substr(2), 16);
  }
  if (body.starts_with('0')) {
    return all(body, is_octal) ? IntNode(negative, body, 8) : std::nullopt;
  }
  if (body.empty() || !IsDigit(body[0])) {
    return std::nullopt;
  }
  cursor.EatWhile(IsDigitOrBar);
  if (cursor.AtEnd()) {
    return IntNode(negative, body, 10);
  }
  if (!cursor.EatSexagesimalTail() || !cursor.AtEnd()) {
    return std::nullopt;
  }
  const double value = SexagesimalValue(body);
  return value < 0x1p53 ? IntNode(negative, fmt::format("{:.0f}", value), 10)
                        : FloatNode(negative ? -value : value);
}

bool EatExponent(Cursor& cursor, bool sign_needed) {
  return cursor.EatAnyOf("eE") && (cursor.EatAnyOf("+-") || !sign_needed) &&
         cursor.EatWhile(IsDigit) > 0;
}

std::optional<Node> YamlNonFinite(std::string_view text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr std::array<std::string_view, 3> kInf{".inf", ".Inf", ".INF"};
  static constexpr std::array<std::string_view, 3> kNan{".nan", ".NaN", ".NAN"};
  if (std::ranges::find(kNan, text) != kNan.end()) {
    return FloatNode(std::numeric_limits<double>::quiet_NaN());
  }
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  if (std::ranges::find(kInf, text) != kInf.end()) {
    return FloatNode(negative ? -kInfinity : kInfinity);
  }
  return std::nullopt;
}

std::optional<Node> YamlFloat(std::string_view text) {
  if (auto node = YamlNonFinite(text)) {
    return node;
  }
  Cursor cursor(text);
  if (text.starts_with('.')) {  // .5, .5e+3: the exponent's sign is required
    cursor.EatAnyOf(".");
    const bool matches = cursor.EatGroupedDigits() &&
                         (cursor.AtEnd() || EatExponent(cursor, true)) &&
                         cursor.AtEnd();
    return matches ? std::optional(FloatNode(ToDouble(text))) : std::nullopt;
  }
  const bool negative = text.starts_with('-');
  cursor.EatAnyOf("+-");
  const std::string_view body = cursor.rest();
  if (!cursor.EatGroupedDigits()) {
    return std::nullopt;
  }
  const bool sexagesimal = cursor.rest().starts_with(':');
  if (sexagesimal && !cursor.EatSexagesimalTail()) {
    return std::nullopt;
  }
  const bool point = cursor.EatAnyOf(".");
  if (point) {
    cursor.EatWhile(IsDigitOrBar);
  }
  if (sexagesimal) {
    if (!point || !cursor.AtEnd()) {
      return std::nullopt;
    }
    const double value = SexagesimalValue(body);
    return FloatNode(negative ? -value : value);
  }
  const bool exponent = !cursor.AtEnd() && EatExponent(cursor, false);
  if (!cursor.AtEnd() || !(point || exponent)) {
    return std::nullopt;
  }
  return FloatNode(ToDouble(text));
}

std::optional<Node> YamlBool(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kTrue{
      "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
  static constexpr std::array<std::string_view, 9> kFalse{
      "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) {
    return BoolNode(true);
  }
  if (std::ranges::find(kFalse, text) != kFalse.end()) {
    return BoolNode(false);
  }
  return std::nullopt;
}

bool IsYamlNull(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" ||
         text == "NULL";
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return out;
}

// 0 | [1-9](_?[0-9])*
bool EatOverrideInt(Cursor& cursor) {
  if (cursor.EatAnyOf("0")) {
    return true;
  }
  return cursor.EatGroupedDigits();
}

bool IsOverrideFloat(std::string_view text) {
  Cursor cursor(text);
  cursor.EatAnyOf("+-");
  const bool whole = EatOverrideInt(cursor);
  const bool point = cursor.EatAnyOf(".");
  const bool fraction = point && cursor.EatGroupedDigits();
  if (!whole && !fraction) {
    return false;
  }
  if (cursor.AtEnd()) {
    return point;
  }
  return cursor.EatAnyOf("eE") && (cursor.EatAnyOf("+-"), true) &&
         cursor.EatGroupedDigits() && cursor.AtEnd();
}

std::optional<Node> OverrideNumber(std::string_view text) {
  const bool negative = text.starts_with('-');
  Cursor cursor(text);
  cursor.EatAnyOf("+-");
  const std::string_view body = cursor.rest();
  const std::string word = Lower(body);
  if (word == "inf" || word == "nan") {
    const double value = word == "inf"
                             ? std::numeric_limits<double>::infinity()
                             : std::numeric_limits<double>::quiet_NaN();
    return FloatNode(negative ? -value : value);
  }
  if (EatOverrideInt(cursor) && cursor.AtEnd()) {
    return IntNode(negative, body, 10);
  }
  if (IsOverrideFloat(text)) {
    return FloatNode(ToDouble(text));
  }
  return std::nullopt;
}

// Characters that mean nothing to YAML wherever they stand, if the text begins
// with a letter, '_', '/' or "./".
bool IsPlainText(std::string_view text) {
  const bool starts_plain =
      !text.empty() && (IsLetter(text[0]) || text[0] == '_' || text[0] == '/' ||
                        text.starts_with("./"));
  const auto is_plain = [](char c) {
    return IsLetter(c) || IsDigit(c) ||
           std::string_view("_./-+ ").find(c) != std::string_view::npos;
  };
  // Some YAML 1.1 readers take y and n for booleans.
  return starts_plain && std::ranges::all_of(text, is_plain) &&
         text.back() != ' ' && Lower(text) != "y" && Lower(text) != "n" &&
         YamlScalar(text).kind == Node::Kind::kString;
}

std::string DoubleQuoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <class Items, class Text>
std::string Bracketed(char open, const Items& items, char close, Text text) {
  std::string out(1, open);
  for (const auto& item : items) {
    out += (out.size() > 1 ? ", " : "") + text(item);
  }
  return out + close;
}

}  // namespace

Node YamlScalar(std::string_view text) {
  Node node;
  if (!IsYamlNull(text)) {
    auto typed = YamlBool(text);
    if (!typed) {
      typed = YamlInt(text);
    }
    if (!typed) {
      typed = YamlFloat(text);
    }
    node = typed ? *typed : TextNode(text);
  }
  node.text = text;
  return node;
}

Node OverrideScalar(std::string_view text) {
  Node node;
  const std::string word = Lower(text);
  if (word == "true" || word == "false") {
    node = BoolNode(word == "true");
  } else if (word != "null") {
    const auto number = OverrideNumber(text);
    node = number ? *number : TextNode(text);
  }
  node.text = text;
  return node;
}

std::string FlowText(std::string_view text) {
  if (IsPlainText(text)) {
    return std::string(text);
  }
  const bool control = std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
  if (control) {
    return DoubleQuoted(text);
  }
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? "''" : std::string(1, c);
  }
  return out + '\'';
}

std::string FlowText(double value) {
  if (std::isnan(value)) {
    return ".nan";
  }
  if (std::isinf(value)) {
    return value > 0 ? ".inf" : "-.inf";
  }
  if (value == std::trunc(value) && std::abs(value) < 0x1p53) {
    return fmt::format("{}", static_cast<std::int64_t>(value));
  }
  std::string text = fmt::format("{}", value);
  const std::size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) {
    text.insert(exponent, ".0");
  }
  return text;
}

std::string FlowText(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kBool:
      return node.boolean ? "true" : "false";
    case Node::Kind::kInt:
      return fmt::format("{}", node.integer);
    case Node::Kind::kFloat:
      return FlowText(node.real);
    case Node::Kind::kString:
      return FlowText(std::string_view(node.text));
    case Node::Kind::kList:
      return Bracketed('[', node.items, ']',
                       [](const Node& item) { return FlowText(item); });
    case Node::Kind::kMap:
      return Bracketed('{', node.entries, '}', [](const Entry& entry) {
        return FlowText(std::string_view(entry.name)) + ": " +
               FlowText(entry.value);
      });
  }
  return "";
}

std::string_view KindName(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kBool:
      return "boolean";
    case Node::Kind::kInt:
      return "integer";
    case Node::Kind::kFloat:
      return "float";
    case Node::Kind::kString:
      return "text";
    case Node::Kind::kList:
      return "list";
    case Node::Kind::kMap:
      return "map";
  }
  return "";
}

}  // namespace stoker::config
