#include "run/cache_care.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/probe.h"
#include "cache/verify.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/units.h"
#include "run/internal/open_storage.h"

namespace stoker::run {

namespace {

using core::Code;
using core::Status;

std::string SizeText(std::uint64_t bytes) {
  return core::FormatBytes(static_cast<double>(bytes));
}

// What the store does not have yet must not be lost by looking after a cache.
Status RefuseDirty(const std::string& directory, std::string_view what,
                   cache::Tier& tier, core::Clock& clock) {
  STOKER_ASSIGN(const std::uint64_t dirty, cache::WaitingForStore(tier, clock));
  return dirty == 0
             ? Status()
             : Status(Code::kUnavailable,
                      fmt::format("{} cache {}: the store does not have {} of "
                                  "its blocks and objects yet; remedy: stoker "
                                  "cache drain "
                                  "cache:{},STORE, with all directories it was "
                                  "used with",
                                  what, directory, dirty, directory));
}

core::Result<std::unique_ptr<storage::Backend>> OpenCached(
    std::string_view what, const std::string& uri, core::Clock& clock) {
  STOKER_ASSIGN(const storage::Uri parsed, storage::ParseUri(uri));
  if (parsed.scheme != "cache") {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} {}: it names no cache; example: "
                              "cache:/nvme/stoker,/mnt/data/unet3d",
                              what, uri));
  }
  return storage::OpenBackend(
      uri, {.clock = &clock, .more = cache::CacheBackends()});
}

core::Result<std::unique_ptr<cache::Tier>> OpenOne(const std::string& directory,
                                                   core::Clock& clock) {
  cache::CacheOptions options;
  options.directories = {directory};
  return cache::OpenTier(options, "", clock);
}

}  // namespace

Status FormatCache(Console& console, const std::string& directory,
                   const cache::FormatOptions& options) {
  if (options.force) {
    core::SystemClock clock;
    const core::Result<std::unique_ptr<cache::Tier>> there =
        OpenOne(directory, clock);
    if (there.ok()) {
      STOKER_TRY(RefuseDirty(directory, "format", *there.value(), clock));
    } else if (const Code code = there.status().code();
               code != Code::kNotFound && code != Code::kCorruption &&
               code != Code::kUnsupported) {
      // It may well have something that the store does not have.
      return there.status();
    }
  }
  STOKER_TRY(cache::Directory::Format(directory, options));
  STOKER_ASSIGN(const std::unique_ptr<cache::Directory> made,
                cache::Directory::Open(directory));
  const cache::Geometry& geometry = made->geometry();
  console.Info(
      {.name = "cache_formatted",
       .text = fmt::format(
           "{}: {} slots of {} and {} of {}, {} of {} taken", directory,
           geometry.classes[0].slots, SizeText(geometry.classes[0].slot_bytes),
           geometry.classes[1].slots, SizeText(geometry.classes[1].slot_bytes),
           SizeText(geometry.data_bytes()), SizeText(made->quota_bytes())),
       .fields = {{"slots", geometry.slots()},
                  {"data_bytes", geometry.data_bytes()},
                  {"quota_bytes", made->quota_bytes()}}});
  return {};
}

Status TellCacheStatus(Console& console, const std::string& directory) {
  core::SystemClock clock;
  STOKER_ASSIGN(const std::unique_ptr<cache::Tier> tier,
                OpenOne(directory, clock));
  const cache::TierUnit& unit = tier->units().front();
  const cache::SlotCounts counts = unit.index->Count();
  console.Info(
      {.name = "cache_status",
       .text = fmt::format(
           "{}: {} of data in {} of {} slots ({}), {} free, {} being filled, "
           "{} at rest, {} not yet in the store; index {} of memory; {}; used "
           "by {} process(es)",
           directory, SizeText(counts.valid_bytes), counts.valid,
           unit.index->geometry().slots(),
           SizeText(unit.index->geometry().data_bytes()), counts.free,
           counts.filling + counts.evicting, counts.quarantined, counts.dirty,
           SizeText(unit.index->memory_bytes()),
           tier->device().direct() ? "past the page cache" : "in memory",
           unit.index->others()),
       .fields = {{"valid_bytes", counts.valid_bytes},
                  {"valid_slots", counts.valid},
                  {"free_slots", counts.free},
                  {"dirty_slots", counts.dirty},
                  {"slots", unit.index->geometry().slots()},
                  {"index_bytes", unit.index->memory_bytes()},
                  {"processes", unit.index->others()}}});
  return {};
}

Status VerifyCache(Console& console, const std::string& directory) {
  core::SystemClock clock;
  STOKER_ASSIGN(const std::unique_ptr<cache::Tier> tier,
                OpenOne(directory, clock));
  STOKER_ASSIGN(const cache::VerifyCounts counts,
                cache::VerifyBlocks(*tier, clock));
  console.Info({.name = "cache_verified",
                .text = fmt::format("{}: {} blocks with {} read, {} damaged",
                                    directory, counts.blocks,
                                    SizeText(counts.bytes), counts.damaged),
                .fields = {{"blocks", counts.blocks},
                           {"bytes", counts.bytes},
                           {"damaged", counts.damaged}}});
  if (counts.damaged > 0) {
    return {Code::kCorruption,
            fmt::format("verify cache {}: {} of {} blocks were damaged; they "
                        "have been let go of and will be fetched again",
                        directory, counts.damaged, counts.blocks)};
  }
  return {};
}

Status MeasureCache(Console& console, const std::string& directory) {
  core::SystemClock clock;
  STOKER_ASSIGN(const std::unique_ptr<cache::Tier> tier,
                OpenOne(directory, clock));
  STOKER_ASSIGN(
      const cache::DeviceProbe probe,
      cache::ProbeDevice(
          *tier, {.depth = 32, .span = std::chrono::milliseconds(500)}, clock));
  const auto rate = [](const cache::Probe& one) {
    return one.bytes == 0 ? std::string("nothing to measure with")
                          : core::FormatBytes(one.bytes_per_s()) + "/s";
  };
  const bool memory = !tier->device().direct();
  console.Info(
      {.name = "cache_measured",
       .text = fmt::format("{}: reading {}, writing {}{}", directory,
                           rate(probe.read), rate(probe.write),
                           memory ? "; in memory, which is no device" : ""),
       .fields = {{"read_bytes_per_s", probe.read.bytes_per_s()},
                  {"write_bytes_per_s", probe.write.bytes_per_s()},
                  {"in_memory", memory}}});
  return {};
}

Status ClearCache(Console& console, const std::string& directory) {
  core::SystemClock clock;
  STOKER_ASSIGN(const std::unique_ptr<cache::Tier> tier,
                OpenOne(directory, clock));
  cache::TierUnit& unit = tier->units().front();
  if (const std::size_t others = unit.index->others(); others > 0) {
    return {Code::kUnavailable,
            fmt::format("clear cache {}: {} process(es) use it; remedy: wait "
                        "for the end of the run",
                        directory, others)};
  }
  STOKER_TRY(RefuseDirty(directory, "clear", *tier, clock));
  STOKER_TRY(cache::ClearUnit(unit));
  // Nothing is worth keeping: the memory is given back.
  cache::Index::Forget(unit.directory->id());
  console.Info(
      {.name = "cache_cleared", .text = directory + ": empty", .fields = {}});
  return {};
}

Status WarmCache(Console& console, const std::string& uri) {
  core::SystemClock clock;
  STOKER_ASSIGN(const std::unique_ptr<storage::Backend> backend,
                OpenCached("warm", uri, clock));
  STOKER_ASSIGN(const std::uint64_t bytes, cache::Warm(*backend, clock));
  const cache::CacheCounters& counters = *cache::CountersOf(*backend);
  console.Info(
      {.name = "cache_warmed",
       .text = fmt::format(
           "{} read: {} were in the cache, {} were put there", SizeText(bytes),
           SizeText(counters.hit_bytes.load() + counters.memory_bytes.load()),
           SizeText(counters.filled_bytes.load())),
       .fields = {{"bytes", bytes},
                  {"filled_bytes", counters.filled_bytes.load()}}});
  return {};
}

Status DrainCache(Console& console, const std::string& uri) {
  core::SystemClock clock;
  STOKER_ASSIGN(const std::unique_ptr<storage::Backend> backend,
                OpenCached("drain", uri, clock));
  STOKER_ASSIGN(const storage::Drained drained, backend->Drain({}, clock));
  console.Info(
      {.name = "cache_drained",
       .text = fmt::format("{} objects with {} brought to the store",
                           drained.objects, SizeText(drained.bytes)),
       .fields = {{"objects", drained.objects}, {"bytes", drained.bytes}}});
  return {};
}

}  // namespace stoker::run
