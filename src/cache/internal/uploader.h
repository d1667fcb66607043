#pragma once

// Brings what was written to the cache alone to the store behind it.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_counters.h"
#include "cache/internal/catalogue.h"
#include "cache/tier.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/backend.h"
#include "storage/block_device.h"

namespace stoker::cache::internal {

// A thread that uploads the objects of this host's cache, whoever wrote them,
// the oldest first; those of one name are one process's at a time, for as long
// as it lives and is not stopped. An object appears in the store whole, and
// after those it must not be seen without. It also looks after what processes
// left that died while they wrote. Safe for concurrent use.
class Uploader {
 public:
  // All outlive it. Starts at once.
  static core::Result<std::unique_ptr<Uploader>> Make(Tier& tier,
                                                      storage::Backend& store,
                                                      Catalogue& catalogue,
                                                      CacheCounters& counters,
                                                      core::Clock& clock);
  // What is on its way is given up; it is uploaded again by whoever is next.
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  void Wake();
  // Waits until the store has the writing, or a later one replaced it. Errors
  // as Drain.
  core::Status WaitFor(const Commit& commit, core::Nanos patience);
  // Waits until the store has everything of it that this host's cache has.
  // kTimedOut, or the cause as the store says it: nothing was brought there for
  // `options.patience`, by any process of the host.
  core::Status Drain(const storage::DrainOptions& options);
  // Waits until the store has objects of these names.
  core::Status WaitUntilSeen(const std::vector<std::string>& names,
                             core::Nanos patience);
  storage::Drained drained() const;

 private:
  Uploader(Tier& tier, storage::Backend& store, Catalogue& catalogue,
           CacheCounters& counters, core::Clock& clock);
  void Run();
  bool UploadOne();  // false: there is nothing that could be
  core::Result<bool> MayBeSeen(const Commit& commit,
                               const std::vector<Commit>& dirty);
  core::Result<bool> AreSeen(const std::vector<std::string>& names);
  core::Status Upload(const Commit& commit);
  core::Status TakeReads(std::size_t count);
  core::Status ReadBlocks(const Commit& commit, std::uint64_t offset,
                          std::span<std::byte> into);
  core::Status WaitWhile(const std::function<core::Result<bool>()>& unfinished,
                         const storage::DrainOptions& options);
  void Note(const core::Status& status);

  Tier& tier_;
  storage::Backend& store_;
  Catalogue& catalogue_;
  CacheCounters& counters_;
  core::Clock& clock_;
  core::AlignedBuffer memory_;  // that it reads to
  std::unique_ptr<storage::BlockQueue> device_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> objects_ = 0;
  mutable std::mutex mutex_;  // guards failed_
  core::Status failed_;       // of the last attempt
  core::ClockedThread thread_;
};

// Size and version of an object, or what the store says instead (`status`).
core::Result<storage::ReadDone> AskObject(storage::Backend& store,
                                          const std::string& name,
                                          core::Clock& clock);

}  // namespace stoker::cache::internal
