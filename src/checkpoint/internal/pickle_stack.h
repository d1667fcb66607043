#pragma once

// What a running pickle keeps: nodes, the stack with its marks, the memo.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/internal/pickle_machine.h"
#include "core/status.h"

namespace stoker::checkpoint::pickle {

// kCorruption: `what` is wrong with the pickle.
core::Status Corrupt(std::string_view what);

// kCorruption: the values are not there, or of another kind.
class Stack {
 public:
  Stack() { graph_.nodes.emplace_back(); }

  // A new node on top.
  void Push(Node node);
  void PushInteger(std::int64_t value);
  void PushPlain() { stack_.push_back(0); }  // all share the first node
  void PushAgain(Id id) { stack_.push_back(id); }
  // The `count` values on top become one.
  core::Status PushTuple(std::size_t count);

  core::Result<Id> Top() const;
  core::Result<Id> Pop();
  void Mark() { marks_.push_back(stack_.size()); }
  core::Result<std::vector<Id>> PopToMark();
  // Appends to the container on top.
  core::Status Extend(Node::Kind kind, const std::vector<Id>& items);

  // The memo, for the value on top.
  core::Status Remember(std::uint32_t index);
  core::Status RememberNext();
  core::Status Recall(std::uint32_t index);

  std::size_t nodes() const { return graph_.nodes.size(); }
  // Valid until the next Push.
  const Node& NodeOf(Id id) const { return graph_.nodes[id]; }
  core::Status Expect(Id id, Node::Kind kind) const;
  // Of the first ids; more may follow.
  core::Status Expect(const std::vector<Id>& ids,
                      std::initializer_list<Node::Kind> kinds) const;

  Graph Release(Id root) &&;

 private:
  std::size_t Depth() const;  // values above the last mark

  Graph graph_;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::uint32_t, Id> memo_;
};

}  // namespace stoker::checkpoint::pickle
