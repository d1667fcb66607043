#include "config/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "config/scalar.h"
#include "core/check.h"
#include "core/text.h"

namespace stoker::config {

namespace {

// A ring of references shows as depth, a bomb of them as length.
constexpr int kMaxReferenceDepth = 16;
constexpr std::size_t kMaxTextBytes = 64 << 10;

void Assign(Node& target, const Node& value) {
  if (target.kind != Node::Kind::kMap || value.kind != Node::Kind::kMap) {
    target = value;
    return;
  }
  for (const Entry& entry : value.entries) {
    if (Entry* const old = FindEntry(target, entry.name)) {
      old->mark = entry.mark;
      Assign(old->value, entry.value);
    } else {
      target.entries.push_back(entry);
    }
  }
}

void SetNode(Node& root, std::string_view key, Mark mark, const Node& value) {
  Node* at = &root;
  Entry* entry = nullptr;
  for (const std::string_view part : core::Split(key, '.')) {
    if (at->kind != Node::Kind::kMap) {
      *at = Node{};
      at->kind = Node::Kind::kMap;
      at->mark = mark;
    }
    entry = FindEntry(*at, part);
    if (entry == nullptr) {
      at->entries.push_back({std::string(part), mark, Node{}});
      entry = &at->entries.back();
    }
    at = &entry->value;
  }
  STOKER_CHECK(entry != nullptr);  // a key has at least one part
  entry->mark = mark;
  Assign(*at, value);
}

void EraseNode(Node& root, std::string_view key) {
  Node* at = &root;
  const auto parts = core::Split(key, '.');
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    at = &FindEntry(*at, parts[i])->value;
  }
  std::erase_if(at->entries,
                [&](const Entry& entry) { return entry.name == parts.back(); });
}

class Resolver {
 public:
  Resolver(const Node& root, Problems& problems)
      : root_(root), problems_(problems) {}

  void Resolve(Node& node, int depth) {
    for (Node& item : node.items) {
      Resolve(item, depth);
    }
    for (Entry& entry : node.entries) {
      Resolve(entry.value, depth);
    }
    if (node.kind == Node::Kind::kString &&
        node.text.find("${") != std::string::npos) {
      ResolveText(node, depth);
    }
  }

 private:
  void Report(const Node& node, std::string_view why) {
    problems_.push_back(
        {node.mark, fmt::format("'{}': {}", node.text.substr(0, 80), why)});
  }

  void ResolveText(Node& node, int depth) {
    const std::size_t problems_before = problems_.size();
    const std::size_t start = node.text.find("${");
    const std::size_t end = node.text.find('}', start);
    Node value;
    if (start == 0 && end + 1 == node.text.size()) {
      if (Lookup(node, node.text.substr(2, end - 2), depth, value)) {
        value.mark = node.mark;
        node = std::move(value);
      }
      return;
    }
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = start; at != std::string::npos;
         at = node.text.find("${", done)) {
      const std::size_t close = node.text.find('}', at);
      if (close == std::string::npos) {
        return Report(node, "a reference lacks its '}'");
      }
      if (!Lookup(node, node.text.substr(at + 2, close - at - 2), depth,
                  value)) {
        return;
      }
      if (value.kind == Node::Kind::kList || value.kind == Node::Kind::kMap) {
        return Report(node, "a list or map cannot be part of a text");
      }
      out += node.text.substr(done, at - done);
      out += value.kind == Node::Kind::kString ? value.text : FlowText(value);
      done = close + 1;
      if (out.size() > kMaxTextBytes) {
        return Report(node, "the references expand to more than 64 KiB");
      }
    }
    if (problems_.size() == problems_before) {
      out += node.text.substr(done);
      node.text = std::move(out);
    }
  }

  bool Lookup(const Node& node, std::string_view key, int depth, Node& out) {
    constexpr std::string_view kRoot = "workload.";
    if (key.starts_with(kRoot)) {
      key.remove_prefix(kRoot.size());
    }
    if (key.starts_with('.') || key.find(':') != std::string_view::npos) {
      Report(node, "only references to a key, ${section.key}, are supported");
      return false;
    }
    const Node* const found = FindNode(root_, key);
    if (found == nullptr) {
      Report(node, fmt::format("refers to '{}', which is not set", key));
      return false;
    }
    if (depth == kMaxReferenceDepth) {
      Report(node, "refers to itself, or through more than 16 others");
      return false;
    }
    out = *found;
    const std::size_t problems_before = problems_.size();
    Resolve(out, depth + 1);
    return problems_.size() == problems_before;
  }

  const Node& root_;
  Problems& problems_;
};

}  // namespace

Entry* FindEntry(Node& map, std::string_view name) {
  const auto found = std::ranges::find(map.entries, name, &Entry::name);
  return found == map.entries.end() ? nullptr : &*found;
}

const Node* FindNode(const Node& root, std::string_view key) {
  const Node* at = &root;
  for (const std::string_view part : core::Split(key, '.')) {
    const auto found = std::ranges::find(at->entries, part, &Entry::name);
    if (found == at->entries.end()) {
      return nullptr;
    }
    at = &found->value;
  }
  return at;
}

void ApplyOverride(const Override& change, Node& root, Problems& problems) {
  const Node* const old = FindNode(root, change.key);
  const auto report = [&](std::string why) {
    problems.push_back({change.mark, std::move(why)});
  };
  switch (change.kind) {
    case Override::Kind::kAdd:
      if (old != nullptr) {
        return report(fmt::format(
            "'{0}' is set already; write ++{0}=... to change it", change.key));
      }
      break;
    case Override::Kind::kDelete:
      if (old == nullptr) {
        return report(fmt::format("'{}' is not set, so it cannot be removed",
                                  change.key));
      }
      if (change.has_value && FlowText(*old) != FlowText(change.value)) {
        return report(fmt::format("'{}' is {}, not {}, so it is not removed",
                                  change.key, FlowText(*old),
                                  FlowText(change.value)));
      }
      return EraseNode(root, change.key);
    case Override::Kind::kChange:
    case Override::Kind::kSet:
      break;
  }
  SetNode(root, change.key, change.mark, change.value);
}

void ResolveReferences(Node& root, Problems& problems) {
  const Node original = root;
  Resolver(original, problems).Resolve(root, 0);
}

}  // namespace stoker::config
