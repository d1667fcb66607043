#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "config/load.h"
#include "config/overrides.h"
#include "config/yaml.h"
#include "core/text.h"

namespace stoker::config {

namespace {

using core::Code;
using core::Result;
using core::Status;
using Kind = Node::Kind;

// The sections that may hold keys of their own.
constexpr std::array<std::string_view, 2> kSections{"storage", "cache"};

class SiteReader {
 public:
  explicit SiteReader(std::string_view path) : path_(path) {}

  Result<std::vector<SiteEntry>> Read() {
    STOKER_ASSIGN(const std::string text, ReadYamlFile(path_));
    const std::optional<Node> root = ParseYaml(text, problems_);
    if (root && root->kind != Kind::kMap && root->kind != Kind::kNull) {
      Report(*root, "a site file is a map of option names and values");
    } else if (root) {
      AddAll(*root, "");
    }
    if (!problems_.empty()) {
      return Status(Code::kInvalidArgument, Listing());
    }
    return std::move(entries_);
  }

 private:
  void Report(const Node& node, std::string text) {
    problems_.push_back({node.mark, std::move(text)});
  }

  void AddAll(const Node& map, const std::string& prefix) {
    for (const Entry& entry : map.entries) {
      const Node& value = entry.value;
      const std::string key = prefix + entry.name;
      const bool is_section =
          !prefix.empty() ||
          std::ranges::find(kSections, entry.name) != kSections.end();
      if (value.kind == Kind::kNull) {
        continue;
      }
      if (value.kind == Kind::kMap && is_section) {
        AddAll(value, key + ".");
        continue;
      }
      SiteEntry site{key, {}, entry.mark.line};
      if (value.kind == Kind::kMap && key == "params") {
        AddParams(value, "", site.values);
      } else if (value.kind == Kind::kList) {
        for (const Node& item : value.items) {
          AddScalar(key, item, site.values);
        }
      } else {
        AddScalar(key, value, site.values);
      }
      entries_.push_back(std::move(site));
    }
  }

  void AddScalar(const std::string& key, const Node& node,
                 std::vector<std::string>& values) {
    if (node.kind == Kind::kBool) {
      values.emplace_back(node.boolean ? "true" : "false");
    } else if (node.kind == Kind::kList || node.kind == Kind::kMap ||
               node.kind == Kind::kNull) {
      Report(node, fmt::format("{}: allowed: a value or a list of values; "
                               "only 'storage' and 'cache' have sections",
                               key));
    } else {
      values.push_back(node.text);
    }
  }

  static void AddParams(const Node& map, const std::string& prefix,
                        std::vector<std::string>& values) {
    for (const Entry& entry : map.entries) {
      if (entry.value.kind == Kind::kMap) {
        AddParams(entry.value, prefix + entry.name + ".", values);
      } else {
        values.push_back(prefix + entry.name + "=" + OverrideText(entry.value));
      }
    }
  }

  std::string Listing() const {
    std::vector<std::string> lines;
    for (const Problem& problem : problems_) {
      const std::string where =
          problem.mark.line == 0
              ? path_
              : fmt::format("{}:{}:{}", path_, problem.mark.line,
                            problem.mark.column);
      lines.push_back(where + ": " + problem.text);
    }
    const std::vector<std::string_view> views(lines.begin(), lines.end());
    return core::Join(views, "\n");
  }

  std::string path_;
  Problems problems_;
  std::vector<SiteEntry> entries_;
};

}  // namespace

core::Result<std::vector<SiteEntry>> LoadSiteFile(std::string_view path) {
  return SiteReader(path).Read();
}

}  // namespace stoker::config
