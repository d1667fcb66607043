// What is written through a cache, or removed.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cache/internal/cached_store.h"
#include "cache/internal/kill_point.h"
#include "core/random.h"

namespace stoker::cache {

using internal::KillPoint;

// --- writing -----------------------------------------------------------------

core::Status CacheBackend::StartUploader(core::Clock& clock) {
  STOKER_TRY(StartCatalogue(clock));
  const std::scoped_lock lock(starting_);
  if (uploader_ == nullptr) {
    STOKER_ASSIGN(uploader_,
                  internal::Uploader::Make(*tier_, inner(), *catalogue_,
                                           counters_, clock));
  }
  return {};
}

// Room on the device for an object of `bytes`; null where there is none, or,
// with `wait`, will not be.
core::Result<std::unique_ptr<internal::StagedObject>> CacheBackend::Stage(
    internal::Commit& commit, std::uint64_t bytes, bool wait,
    core::Clock& clock) {
  static std::atomic<std::uint64_t> writings{0};
  std::unique_ptr<internal::StagedObject> none;
  // Its blocks are on all devices.
  if (bytes == 0 || !health_.AreAllGood(clock.Now())) {
    return none;
  }
  STOKER_TRY(StartCatalogue(clock));
  commit.store = store_name_;
  // Of no other writing, here or anywhere, before or after a reboot.
  std::random_device device;
  commit.version = core::StreamKey(std::uint64_t{device()} << 32U | device(),
                                   writings.fetch_add(1),
                                   static_cast<std::uint64_t>(::getpid()));
  if (!catalogue_->Fits(commit)) {
    return none;
  }
  const std::uint64_t block = tier_->block_bytes();
  const std::uint64_t blocks = (bytes + block - 1) / block;
  std::uint64_t slots = 0;  // large ones, which all blocks but the last take
  for (const TierUnit& unit : tier_->units()) {
    slots += unit.index->geometry().classes[0].slots;
  }
  const auto most = static_cast<std::uint64_t>(options_.dirty_share *
                                               static_cast<double>(slots));
  if (blocks > most) {
    return none;
  }
  core::TimePoint deadline = clock.Now() + kRoomPatience;
  std::uint64_t seen = catalogue_->moved();
  while (true) {
    STOKER_ASSIGN(const bool promised, catalogue_->Reserve(blocks, most));
    if (promised) {
      break;
    }
    if (!wait) {
      return none;
    }
    if (clock.Now() >= deadline) {
      return core::Status(
          core::Code::kTimedOut,
          fmt::format(
              "write {} to the cache: its {:.0f} % for what waits for "
              "the store were full, or all its slots in use, for {:.0f} "
              "s; remedy: a faster store, a larger cache, or dirty=",
              commit.name, 100 * options_.dirty_share,
              core::Seconds(kRoomPatience)));
    }
    uploader_->Wake();
    // Until something has reached the store; it may also have been removed.
    const core::TimePoint again =
        std::min(deadline, clock.Now() + std::chrono::milliseconds(100));
    while (catalogue_->moved() == seen && clock.Now() < again) {
      clock.SleepUntil(clock.Now() + std::chrono::milliseconds(5));
    }
    if (catalogue_->moved() != seen) {
      seen = catalogue_->moved();
      deadline = clock.Now() + kRoomPatience;
    }
  }
  return internal::StagedObject::Make(
      *tier_, internal::ObjectOf(commit), static_cast<std::uint32_t>(blocks),
      static_cast<std::uint32_t>(blocks), counters_, clock);
}

core::Result<std::unique_ptr<storage::WriteStream>> CacheBackend::Create(
    std::string_view name, const storage::WriteOptions& options,
    core::Clock& clock) {
  internal::Commit commit;
  commit.name = name;
  commit.after = options.after;
  if (options_.write == Write::kBack && !options.in_place) {
    STOKER_TRY(StartUploader(clock));
    STOKER_ASSIGN(std::unique_ptr<internal::StagedObject> staged,
                  Stage(commit, options.expected_size, true, clock));
    if (staged != nullptr) {
      return internal::MakeBackStream(
          std::move(staged), tier_->block_bytes(), options, clock,
          [this, commit, &clock, durable = options.durable](
              internal::StagedObject* object, std::uint64_t size,
              storage::WriteTimes& times) mutable {
            commit.size = size;
            STOKER_TRY(catalogue_->Add(commit, object->blocks(), durable));
            object->Keep();
            times.synced = clock.Now();
            KillPoint("D5");
            counters_.staged_bytes.fetch_add(size, std::memory_order_relaxed);
            uploader_->Wake();
            return options_.ack == Ack::kBacking
                       ? uploader_->WaitFor(commit, kRoomPatience)
                       : core::Status();
          });
    }
    // It does not fit: the store gets it at once, after all before it.
    STOKER_TRY(uploader_->Drain({.patience = kRoomPatience}));
    STOKER_TRY(uploader_->WaitUntilSeen(options.after, kRoomPatience));
  }
  STOKER_TRY(SettleFor(name, clock));
  std::unique_ptr<internal::StagedObject> staged;
  if (options_.write == Write::kThrough && !options.in_place) {
    core::Result<std::unique_ptr<internal::StagedObject>> room =
        Stage(commit, options.expected_size, false, clock);
    staged = room.ok() ? std::move(room).value() : nullptr;
  }
  STOKER_ASSIGN(std::unique_ptr<storage::WriteStream> stream,
                inner().Create(name, options, clock));
  return internal::MakeThroughStream(
      std::move(stream), std::move(staged), options, clock,
      [this, commit, &clock](internal::StagedObject* object, std::uint64_t size,
                             storage::WriteTimes& /*times*/) mutable {
        if (object != nullptr) {
          KeepClean(commit, *object, size, clock);
        } else if (internal::Catalogue* const known = KnownCatalogue()) {
          STOKER_TRY(known->Remove(commit.name, false).status());
        }
        FirstIndex().NoteMutation();
        return core::Status();
      });
}

// What the store has now is also here. Without it nothing is lost.
void CacheBackend::KeepClean(internal::Commit& commit,
                             internal::StagedObject& object, std::uint64_t size,
                             core::Clock& clock) {
  const core::Result<storage::ReadDone> there =
      internal::AskObject(inner(), commit.name, clock);
  if (!there.ok() || !there.value().status.ok() ||
      there.value().bytes != size) {
    return;
  }
  commit.size = size;
  commit.dirty = false;
  commit.store_version = there.value().version;
  if (catalogue_->Add(commit, object.blocks(), false).ok()) {
    object.Keep();
    counters_.staged_bytes.fetch_add(size, std::memory_order_relaxed);
  }
}

core::Status CacheBackend::SettleFor(std::string_view name,
                                     core::Clock& clock) {
  internal::Catalogue* const catalogue = KnownCatalogue();
  if (catalogue == nullptr) {
    return {};
  }
  STOKER_ASSIGN(const std::optional<internal::Commit> commit,
                catalogue->Find(name));
  if (!commit.has_value() || !commit->dirty) {
    return {};
  }
  STOKER_TRY(StartUploader(clock));
  return uploader_->WaitFor(*commit, kRoomPatience);
}

core::Status CacheBackend::Link(std::string_view existing,
                                std::string_view name) {
  for (const std::string_view one : {existing, name}) {
    STOKER_ASSIGN(const bool dirty, IsDirty(one));
    if (dirty) {
      return {core::Code::kUnavailable,
              fmt::format("link {} to {}: the store does not have {} yet; "
                          "remedy: stoker cache drain",
                          name, existing, one)};
    }
  }
  const core::Status status = inner().Link(existing, name);
  FirstIndex().NoteMutation();
  return status;
}

// In the store first: what is there may be of before what is here.
core::Status CacheBackend::Remove(std::string_view name) {
  internal::Catalogue* const catalogue = KnownCatalogue();
  std::optional<internal::Commit> commit;
  if (catalogue != nullptr) {
    STOKER_ASSIGN(commit, catalogue->Find(name));
  }
  if (!commit.has_value()) {
    const core::Status status = inner().Remove(name);
    FirstIndex().NoteMutation();
    return status;
  }
  // Whoever brings it to the store is through, or will not begin.
  STOKER_TRY(catalogue->Hold(name, kRoomPatience));
  core::Status status = inner().Remove(name);
  if (status.ok() || status.code() == core::Code::kNotFound) {
    const core::Result<std::optional<bool>> was_dirty =
        catalogue->Remove(name, true);
    if (!was_dirty.ok()) {
      status = was_dirty.status();
    } else if (was_dirty.value().value_or(false)) {
      status = {};  // it was here alone
    }
  }
  catalogue->Release(name);
  FirstIndex().NoteMutation();
  return status;
}

core::Result<std::uint64_t> CacheBackend::RemoveAll(
    std::span<const std::string> names) {
  internal::Catalogue* const catalogue = KnownCatalogue();
  if (catalogue == nullptr || !catalogue->any()) {
    core::Result<std::uint64_t> removed = inner().RemoveAll(names);
    FirstIndex().NoteMutation();
    return removed;
  }
  std::uint64_t removed = 0;
  std::vector<std::string> others;
  for (const std::string& name : names) {
    STOKER_ASSIGN(const std::optional<internal::Commit> commit,
                  catalogue->Find(name));
    if (!commit.has_value()) {
      others.push_back(name);
      continue;
    }
    const core::Status status = Remove(name);
    if (!status.ok() && status.code() != core::Code::kNotFound) {
      return status;
    }
    removed += status.ok() ? 1 : 0;
  }
  STOKER_ASSIGN(const std::uint64_t behind, inner().RemoveAll(others));
  FirstIndex().NoteMutation();
  return removed + behind;
}

core::Status CacheBackend::List(
    std::string_view prefix,
    const std::function<bool(const storage::ObjectInfo&)>& visit) {
  std::map<std::string, std::uint64_t> dirty;
  if (internal::Catalogue* const catalogue = KnownCatalogue()) {
    STOKER_ASSIGN(const std::vector<internal::Commit> commits,
                  catalogue->Dirty());
    for (const internal::Commit& commit : commits) {
      if (commit.name.starts_with(prefix)) {
        dirty[commit.name] = commit.size;
      }
    }
  }
  bool more = true;
  core::Status status =
      inner().List(prefix, [&](const storage::ObjectInfo& info) {
        more = dirty.contains(std::string(info.name)) || visit(info);
        return more;
      });
  if (!status.ok() &&
      (status.code() != core::Code::kNotFound || dirty.empty())) {
    return status;
  }
  for (auto at = dirty.begin(); more && at != dirty.end(); ++at) {
    more = visit({.name = at->first, .size = at->second});
  }
  return {};
}

core::Result<storage::Drained> CacheBackend::Drain(
    const storage::DrainOptions& options, core::Clock& clock) {
  STOKER_TRY(StartCatalogue(clock));
  STOKER_ASSIGN(const std::vector<internal::Commit> dirty, catalogue_->Dirty());
  if (uploader_ == nullptr && dirty.empty()) {
    return inner().Drain(options, clock);
  }
  STOKER_TRY(StartUploader(clock));
  STOKER_TRY(uploader_->Drain(options));
  const storage::Drained mine = uploader_->drained();
  STOKER_ASSIGN(const storage::Drained behind, inner().Drain(options, clock));
  return storage::Drained{.objects = mine.objects + behind.objects,
                          .bytes = mine.bytes + behind.bytes};
}

}  // namespace stoker::cache
