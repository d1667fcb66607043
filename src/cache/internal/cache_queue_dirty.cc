// Reading objects that the store behind does not have yet, or not under the
// version that their blocks have here.

#include <optional>
#include <string>

#include "cache/internal/cache_queue.h"

namespace stoker::cache::internal {

// What the store says of it is of no use while it does not have it.
std::optional<ObjectFacts> CacheQueue::FactsOfDirty(storage::ObjectId object) {
  const std::optional<Commit> commit =
      shared_.catalogue->Find(objects_.Get(object).name);
  if (!commit.has_value() || !commit->dirty) {
    return std::nullopt;
  }
  return ObjectFacts{
      .size = commit->size, .version = commit->version, .dirty = true};
}

// The blocks of an object that was written here have keys of their own.
void CacheQueue::MapVersion(storage::ObjectId object, ObjectFacts& facts) {
  const std::optional<Commit> commit =
      shared_.catalogue->Find(objects_.Get(object).name);
  if (commit.has_value() && !commit->dirty && commit->size == facts.size &&
      commit->store_version == facts.version) {
    facts.version = commit->version;
  }
}

// Whether the store still does not have the op's object.
bool CacheQueue::IsOnlyHere(Op& op) {
  if (op.dirty) {
    const std::optional<Commit> commit =
        shared_.catalogue->Find(objects_.Get(op.asked.object).name);
    op.dirty = commit.has_value() && commit->dirty;
  }
  return op.dirty;
}

// Whether what is missing in the cache is nowhere: then the op fails.
bool CacheQueue::IsLost(Op& op) {
  if (IsOnlyHere(op) && op.status.ok()) {
    op.status = {core::Code::kCorruption,
                 objects_.Get(op.asked.object).name +
                     ": a part of it is damaged or missing on the cache's "
                     "device, and the store does not have it yet"};
  }
  return op.dirty;
}

}  // namespace stoker::cache::internal
