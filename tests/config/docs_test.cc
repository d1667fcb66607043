// docs/configuration.md is printed from the table of keys below a marker line.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "config/load.h"

namespace stoker::config {
namespace {

constexpr std::string_view kMarker =
    "<!-- printed from the table of keys; see the test Docs.ListEveryKey -->\n";

// In a table of Markdown a '|' ends the cell.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '|' ? "\\|" : std::string(1, c);
  }
  return out;
}

std::string Code(std::string_view text) {
  return text.empty() ? "" : fmt::format("`{}`", Cell(text));
}

std::string SectionTitle(std::string_view key) {
  return std::string(key.substr(0, key.find('.')));
}

std::string TypeText(const KeyHelp& key) {
  const bool range = key.type == "integer" || key.type == "number";
  const bool says_more = range && (key.allowed.starts_with("an integer") ||
                                   key.allowed.starts_with("a number"));
  return says_more ? key.allowed : Cell(key.type);
}

std::string Meaning(const KeyHelp& key) {
  std::string text = Cell(key.summary);
  if (key.type == "old name") {
    text += "; " + key.allowed;
  }
  if (key.type == "Python class") {
    text += "; refused, as only Python could run it";
  }
  if (!key.inert.empty()) {
    text += fmt::format(". *Changes nothing: {}.*", Cell(key.inert));
  }
  return text;
}

std::string RenderKeys() {
  std::string out;
  std::string section;
  for (const KeyHelp& key : Keys()) {
    const std::string title = SectionTitle(key.key);
    if (title != section) {
      section = title;
      out += fmt::format(
          "\n## {}\n\n| key | type | default | unit | meaning |\n"
          "|---|---|---|---|---|\n",
          title);
    }
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", key.key, TypeText(key),
                       Code(key.default_value), key.unit, Meaning(key));
  }
  return out;
}

// When it fails the right text lies in the build folder, to be copied.
TEST(Docs, ListEveryKey) {
  std::ifstream file(STOKER_SOURCE_DIR "/docs/configuration.md");
  std::ostringstream text;
  text << file.rdbuf();
  const std::string current = text.str();
  const std::size_t marker = current.find(kMarker);
  ASSERT_NE(marker, std::string::npos) << "the marker line is missing";
  const std::string expected =
      current.substr(0, marker + kMarker.size()) + RenderKeys();
  const std::string fresh = STOKER_BINARY_DIR "/configuration.md";
  if (current != expected) {
    std::ofstream(fresh) << expected;
  }
  EXPECT_TRUE(current == expected) << "the table of keys has changed: copy "
                                   << fresh << " over docs/configuration.md";
}

}  // namespace
}  // namespace stoker::config
