#include "checkpoint/internal/pickle_stack.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace stoker::checkpoint::pickle {
namespace {

std::string_view NameOf(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kPlain:
      return "a plain value";
    case Node::Kind::kInteger:
      return "an integer";
    case Node::Kind::kText:
      return "text";
    case Node::Kind::kTuple:
      return "a tuple";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kDict:
      return "a dict";
    case Node::Kind::kGlobal:
      return "a class";
    case Node::Kind::kStorage:
      return "a storage";
    case Node::Kind::kTensor:
      return "a tensor";
  }
  return "";
}

}  // namespace

core::Status Corrupt(std::string_view what) {
  return {core::Code::kCorruption, std::string(what)};
}

void Stack::Push(Node node) {
  stack_.push_back(static_cast<Id>(graph_.nodes.size()));
  graph_.nodes.push_back(std::move(node));
}

void Stack::PushInteger(std::int64_t value) {
  Node node;
  node.kind = Node::Kind::kInteger;
  node.number = value;
  Push(std::move(node));
}

core::Status Stack::PushTuple(std::size_t count) {
  if (Depth() < count) {
    return Corrupt("the stack has too few values for a tuple");
  }
  const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
  Node node;
  node.kind = Node::Kind::kTuple;
  node.children.assign(first, stack_.end());
  stack_.erase(first, stack_.end());
  Push(std::move(node));
  return {};
}

core::Result<Id> Stack::Top() const {
  if (Depth() == 0) {
    return Corrupt("the stack is empty");
  }
  return stack_.back();
}

core::Result<Id> Stack::Pop() {
  STOKER_ASSIGN(const Id top, Top());
  stack_.pop_back();
  return top;
}

core::Result<std::vector<Id>> Stack::PopToMark() {
  if (marks_.empty()) {
    return Corrupt("there is no mark on the stack");
  }
  const auto first =
      stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<Id> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

core::Status Stack::Extend(Node::Kind kind, const std::vector<Id>& items) {
  STOKER_ASSIGN(const Id container, Top());
  STOKER_TRY(Expect(container, kind));
  if (kind == Node::Kind::kDict && items.size() % 2 != 0) {
    return Corrupt("expected pairs of key and value");
  }
  std::vector<Id>& children = graph_.nodes[container].children;
  children.insert(children.end(), items.begin(), items.end());
  return {};
}

core::Status Stack::Remember(std::uint32_t index) {
  STOKER_ASSIGN(memo_[index], Top());
  return {};
}

core::Status Stack::RememberNext() {
  return Remember(static_cast<std::uint32_t>(memo_.size()));
}

core::Status Stack::Recall(std::uint32_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) {
    return Corrupt(fmt::format("nothing was put under {}", index));
  }
  stack_.push_back(found->second);
  return {};
}

core::Status Stack::Expect(Id id, Node::Kind kind) const {
  if (NodeOf(id).kind == kind) {
    return {};
  }
  return Corrupt(fmt::format("expected {}, found {}", NameOf(kind),
                             NameOf(NodeOf(id).kind)));
}

core::Status Stack::Expect(const std::vector<Id>& ids,
                           std::initializer_list<Node::Kind> kinds) const {
  if (ids.size() < kinds.size()) {
    return Corrupt(
        fmt::format("expected {} values, found {}", kinds.size(), ids.size()));
  }
  std::size_t i = 0;
  for (const Node::Kind kind : kinds) {
    STOKER_TRY(Expect(ids[i++], kind));
  }
  return {};
}

Graph Stack::Release(Id root) && {
  graph_.root = root;
  return std::move(graph_);
}

std::size_t Stack::Depth() const {
  return stack_.size() - (marks_.empty() ? 0 : marks_.back());
}

}  // namespace stoker::checkpoint::pickle
