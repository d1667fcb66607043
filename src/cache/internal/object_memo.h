#pragma once

// What is known of objects that were asked about before.

#include <cstdint>
#include <optional>
#include <vector>

namespace stoker::cache::internal {

struct ObjectFacts {
  std::uint64_t size = 0;  // bytes
  std::uint64_t version = 0;
  bool dirty = false;  // the store does not have it yet
};

// Remembers some 32,768 objects in 1 MiB: of two with one place the later. What
// was learnt before anything was written through the cache is forgotten. Not
// safe for concurrent use.
class ObjectMemo {
 public:
  ObjectMemo() : entries_(kEntries) {}

  // `name`: hash of the object's name. `mutations`: Index::mutations.
  std::optional<ObjectFacts> Find(std::uint64_t name,
                                  std::uint64_t mutations) const {
    const Entry& entry = entries_[name % kEntries];
    if (entry.name != name || entry.mutations != mutations + 1) {
      return std::nullopt;
    }
    return entry.facts;
  }
  void Put(std::uint64_t name, std::uint64_t mutations,
           const ObjectFacts& facts) {
    entries_[name % kEntries] = {
        .name = name, .mutations = mutations + 1, .facts = facts};
  }

 private:
  static constexpr std::size_t kEntries = 1U << 15U;
  struct Entry {
    std::uint64_t name = 0;
    std::uint64_t mutations = 0;  // plus one; 0: empty
    ObjectFacts facts;
  };
  std::vector<Entry> entries_;
};

}  // namespace stoker::cache::internal
