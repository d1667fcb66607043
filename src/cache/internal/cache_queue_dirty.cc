// Reading objects that the store behind does not have yet, or not under the
// version that their blocks have here.

#include <optional>
#include <string>

#include "cache/internal/cache_queue.h"

namespace stoker::cache::internal {

// What the store says of it is of no use while it does not have it.
core::Result<std::optional<ObjectFacts>> CacheQueue::FactsOfDirty(
    storage::ObjectId object) {
  STOKER_ASSIGN(const std::optional<Commit> commit,
                shared_.catalogue->Find(objects_.Get(object).name));
  if (!commit.has_value() || !commit->dirty) {
    return std::optional<ObjectFacts>();
  }
  return std::optional<ObjectFacts>(ObjectFacts{
      .size = commit->size, .version = commit->version, .dirty = true});
}

// The blocks of an object that was written here have keys of their own.
core::Status CacheQueue::MapVersion(storage::ObjectId object,
                                    ObjectFacts& facts) {
  STOKER_ASSIGN(const std::optional<Commit> commit,
                shared_.catalogue->Find(objects_.Get(object).name));
  if (!commit.has_value()) {
    return {};
  }
  if (commit->dirty) {
    // Written since the store was asked.
    facts = {.size = commit->size, .version = commit->version, .dirty = true};
  } else if (commit->size == facts.size &&
             commit->store_version == facts.version) {
    facts.version = commit->version;
  }
  return {};
}

// Whether the store does not have the op's object as it was written, so that
// only the device can serve it.
bool CacheQueue::IsOnlyHere(const Op& op) {
  if (!op.dirty) {
    return false;
  }
  const core::Result<std::optional<Commit>> known =
      shared_.catalogue->Find(objects_.Get(op.asked.object).name);
  const bool uploaded = known.ok() && known.value().has_value() &&
                        !known.value()->dirty &&
                        known.value()->version == op.version;
  return !uploaded;
}

// A chain that another process changes may look shorter than it is: for what
// only the cache has that must not count as not there.
bool CacheQueue::PinBlock(const Range& range, Index& index, PinCell cell,
                          PinnedSlot& pinned) {
  constexpr int kMostLooksForDirty = 64;
  const std::uint32_t next = UseAfter(range);
  Look look = index.Pin(range.key, cell, pinned, next);
  for (int i = 0;
       look != Look::kHit && ops_[range.op].dirty && i < kMostLooksForDirty &&
       index.FindBlock(range.key).has_value();
       ++i) {
    look = index.Pin(range.key, cell, pinned, next);
  }
  return look == Look::kHit;
}

// Whether what is missing in the cache is nowhere: then the op fails.
bool CacheQueue::IsLost(Op& op) {
  if (!op.dirty) {
    return false;
  }
  const std::string& name = objects_.Get(op.asked.object).name;
  const core::Result<std::optional<Commit>> known =
      shared_.catalogue->Find(name);
  core::Status lost = known.status();
  if (lost.ok()) {
    const std::optional<Commit>& commit = known.value();
    if (commit.has_value() && commit->version != op.version) {
      lost = {core::Code::kUnavailable,
              name + ": it was written again while it was read"};
    } else if (commit.has_value() && commit->dirty) {
      lost = {core::Code::kCorruption,
              name +
                  ": a part of it is damaged or missing on the cache's "
                  "device, and the store does not have it yet"};
    }
  }
  op.dirty = !lost.ok();
  op.status = op.status.ok() ? lost : op.status;
  return op.dirty;
}

}  // namespace stoker::cache::internal
