#include "cache/internal/uploader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/leave_to_device.h"
#include "cache/internal/slot_write.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

constexpr core::Nanos kUploadIdle = std::chrono::milliseconds(200);
constexpr core::Nanos kDrainGlance = std::chrono::milliseconds(5);
constexpr core::Nanos kSeenGlance = std::chrono::milliseconds(200);
constexpr core::Nanos kAfterFailure = std::chrono::milliseconds(500);
constexpr core::Nanos kUploadPatience = std::chrono::seconds(60);
constexpr std::size_t kUploadDepth = 8;     // blocks read at once
constexpr std::size_t kUploadInFlight = 4;  // parts on their way to the store
constexpr std::uint64_t kUploadPartBytes = 8U << 20U;

}  // namespace

core::Result<storage::ReadDone> AskObject(storage::Backend& store,
                                          const std::string& name,
                                          core::Clock& clock) {
  STOKER_ASSIGN(std::unique_ptr<storage::ReadQueue> queue,
                store.NewReadQueue({.depth = 1}, clock));
  const storage::ObjectId object = store.Resolve(name);
  const storage::ReadOp op{.kind = storage::ReadOp::Kind::kSize,
                           .object = object};
  storage::ReadDone done;
  core::Result<std::size_t> count = queue->Submit(std::span(&op, 1));
  if (count.ok()) {
    count = queue->Reap(std::span(&done, 1), 1, clock.Now() + kUploadPatience);
  }
  queue.reset();  // before what it asks for is let go of
  store.Release(object);
  STOKER_TRY(count.status());
  if (count.value() == 0) {
    return core::Status(core::Code::kTimedOut,
                        "ask the store for " + name + ": no answer");
  }
  return done;
}

core::Result<std::unique_ptr<Uploader>> Uploader::Make(Tier& tier,
                                                       storage::Backend& store,
                                                       Catalogue& catalogue,
                                                       CacheCounters& counters,
                                                       core::Clock& clock) {
  std::unique_ptr<Uploader> made(
      new Uploader(tier, store, catalogue, counters, clock));
  STOKER_ASSIGN(made->device_, tier.device().NewQueue(kUploadDepth, clock));
  STOKER_ASSIGN(made->memory_, core::AlignedBuffer::Make(
                                   kUploadDepth * tier.block_bytes(), false));
  Uploader* const self = made.get();
  made->thread_ = core::ClockedThread(clock, [self] { self->Run(); });
  return made;
}

Uploader::Uploader(Tier& tier, storage::Backend& store, Catalogue& catalogue,
                   CacheCounters& counters, core::Clock& clock)
    : tier_(tier),
      store_(store),
      catalogue_(catalogue),
      counters_(counters),
      clock_(clock) {}

Uploader::~Uploader() {
  stop_.store(true);
  Wake();
  thread_.Join();
  if (device_ != nullptr && device_->in_flight() > 0) {
    LeaveToDevice(tier_, std::move(device_), std::move(memory_));
  }
}

void Uploader::Wake() {
  if (device_ != nullptr) {
    device_->Wake();
  }
}

void Uploader::Run() {
  while (!stop_.load()) {
    const bool did = UploadOne();
    bool failed = false;
    {
      const std::scoped_lock lock(mutex_);
      failed = !failed_.ok();
    }
    if (stop_.load() || (did && !failed)) {
      continue;
    }
    // Nothing is in flight: this sleeps until somebody wakes it.
    std::array<storage::BlockDone, 1> none;
    if (!device_
             ->Reap(none, 1,
                    clock_.Now() + (failed ? kAfterFailure : kUploadIdle))
             .ok()) {
      clock_.SleepUntil(clock_.Now() + kUploadIdle);  // it is of no use
    }
  }
}

void Uploader::Note(const core::Status& status) {
  const std::scoped_lock lock(mutex_);
  failed_ = status;
}

bool Uploader::UploadOne() {
  // What dead writers left would else take room until the cache is opened
  // again.
  if (const core::Status looked = catalogue_.AdoptIfDue(); !looked.ok()) {
    Note(looked);
    return false;
  }
  const core::Result<std::vector<Commit>> waiting = catalogue_.Dirty();
  if (!waiting.ok()) {
    Note(waiting.status());
    return false;
  }
  const std::vector<Commit>& dirty = waiting.value();
  core::Status failed;
  for (const Commit& commit : dirty) {
    if (stop_.load()) {
      break;
    }
    const core::Result<bool> may = MayBeSeen(commit, dirty);
    if (!may.ok()) {
      failed = may.status();
      continue;
    }
    if (!may.value()) {
      continue;
    }
    const core::Result<bool> mine = catalogue_.Take(commit);
    if (!mine.ok()) {
      failed = mine.status();
      break;
    }
    if (!mine.value()) {
      continue;
    }
    const core::Status status = Upload(commit);
    catalogue_.Leave(commit);
    if (status.ok()) {
      objects_.fetch_add(1);
      Note({});
      return true;
    }
    const core::Result<std::optional<Commit>> now =
        catalogue_.Find(commit.name);
    if (!now.ok()) {
      failed = now.status();
    } else if (now.value().has_value() && now.value()->dirty &&
               IsSameWriting(*now.value(), commit)) {
      failed = status.WithContext("bring " + commit.name +
                                  " from the cache to the store");
    }
    if (!failed.ok() && (status.code() == core::Code::kUnavailable ||
                         status.code() == core::Code::kTimedOut)) {
      break;  // the store takes those behind it no better
    }
  }
  Note(failed);
  return false;
}

core::Result<bool> Uploader::AreSeen(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    STOKER_ASSIGN(const storage::ReadDone done,
                  AskObject(store_, name, clock_));
    if (done.status.code() == core::Code::kNotFound) {
      return false;
    }
    STOKER_TRY(done.status);
  }
  return true;
}

// Those of this host in their order; those of other hosts by looking.
core::Result<bool> Uploader::MayBeSeen(const Commit& commit,
                                       const std::vector<Commit>& dirty) {
  for (const std::string& name : commit.after) {
    if (std::ranges::any_of(
            dirty, [&](const Commit& other) { return other.name == name; })) {
      return false;
    }
  }
  return AreSeen(commit.after);
}

core::Status Uploader::Upload(const Commit& commit) {
  if (device_->in_flight() > 0) {
    return {core::Code::kIoError, "read the cache: its queue is of no use"};
  }
  if (!commit.after.empty()) {
    KillPoint("D9");
  }
  const auto take = [&]() -> core::Status {
    STOKER_ASSIGN(const bool mine, catalogue_.Take(commit));
    return mine ? core::Status()
                : core::Status(core::Code::kUnavailable,
                               "another process took it over, or it was "
                               "written again");
  };
  const std::uint64_t block = tier_.block_bytes();
  const std::uint64_t part =
      std::max<std::uint64_t>(1, kUploadPartBytes / block) * block;
  STOKER_ASSIGN(
      const std::unique_ptr<storage::WriteStream> stream,
      store_.Create(commit.name,
                    {.expected_size = commit.size,
                     .part_size = part,
                     .durable = true,
                     .in_flight = commit.size > part ? kUploadInFlight : 0,
                     .patch = false},
                    clock_));
  while (stream->position() < commit.size) {
    if (stop_.load()) {
      return {core::Code::kCancelled, "the run ended"};
    }
    STOKER_TRY(take());
    STOKER_ASSIGN(const std::span<std::byte> buffer, stream->Buffer());
    const std::uint64_t some = std::min<std::uint64_t>(
        buffer.size(), commit.size - stream->position());
    STOKER_TRY(ReadBlocks(commit, stream->position(), buffer.first(some)));
    STOKER_TRY(stream->Append(some));
    catalogue_.NoteMoved();
    KillPoint("D6");
  }
  KillPoint("D7");
  // Whoever was stopped must not come over a later writing.
  STOKER_TRY(take());
  STOKER_TRY(stream->Commit().status());
  KillPoint("D8");
  STOKER_ASSIGN(const std::optional<Commit> now, catalogue_.Find(commit.name));
  if (!now.has_value() || !IsSameWriting(*now, commit)) {
    return {core::Code::kUnavailable, "it was removed or written again"};
  }
  STOKER_ASSIGN(const storage::ReadDone there,
                AskObject(store_, commit.name, clock_));
  STOKER_TRY(there.status);
  if (there.bytes != commit.size) {
    return {core::Code::kCorruption,
            fmt::format("the store says it has {} bytes of it, not {}",
                        there.bytes, commit.size)};
  }
  STOKER_TRY(catalogue_.MakeClean(commit, there.version));
  counters_.uploaded_bytes.fetch_add(commit.size, std::memory_order_relaxed);
  catalogue_.NoteMoved();
  return {};
}

// Waits for so many reads of blocks.
core::Status Uploader::TakeReads(std::size_t count) {
  std::array<storage::BlockDone, kUploadDepth> done;
  core::Status status;
  // However long it takes: what is on its way must not meet other bytes. But
  // for the end, which nothing holds up.
  core::TimePoint end = core::kNever;
  for (std::size_t i = 0; i < count;) {
    STOKER_ASSIGN(const std::size_t some,
                  device_->Reap(done, 1, clock_.Now() + kUploadIdle));
    if (some == 0 && stop_.load()) {
      end = std::min(end, clock_.Now() + kEndPatience);
      if (clock_.Now() >= end) {
        return {core::Code::kCancelled,
                "the run ended while the cache's device did not answer"};
      }
    }
    for (const storage::BlockDone& one : std::span(done).first(some)) {
      status = status.ok() ? one.status : status;
    }
    i += some;
  }
  return status;
}

// Bytes from `offset` on, which is where a block begins; through memory that
// may be left to a device that does not answer.
core::Status Uploader::ReadBlocks(const Commit& commit, std::uint64_t offset,
                                  std::span<std::byte> into) {
  const std::uint64_t block = tier_.block_bytes();
  const Fingerprint object = ObjectOf(commit);
  struct Read {
    TierUnit* unit = nullptr;
    Index::FoundBlock found{};
    std::span<std::byte> bytes{};
    std::span<std::byte> into{};
  };
  std::array<Read, kUploadDepth> reads{};
  const auto lost = [&](std::uint64_t number) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("block {} of {} is lost: it was damaged on the cache's "
                    "device before the store had it",
                    number, commit.name));
  };
  std::size_t at = 0;
  while (at < into.size()) {
    if (stop_.load()) {
      return {core::Code::kCancelled, "the run ended"};
    }
    std::size_t count = 0;
    core::Status status;
    const std::uint64_t first = (offset + at) / block;
    for (; count < kUploadDepth && at < into.size(); ++count) {
      const std::uint64_t number = first + count;
      const Fingerprint key = BlockKey(object, number);
      Read& read = reads[count];
      read.unit = &tier_.UnitOf(key);
      const std::optional<Index::FoundBlock> found =
          read.unit->index->FindBlock(key);
      const std::uint64_t wanted =
          std::min(block, commit.size - number * block);
      if (!found.has_value() || found->record.length != wanted) {
        status = lost(number);
        break;
      }
      read.found = *found;
      read.bytes =
          memory_.bytes().subspan(count * block, core::PagesUp(wanted));
      read.into = into.subspan(at, wanted);
      storage::BlockOp op =
          WriteOf(*read.unit, found->slot.slot, read.bytes, count);
      op.kind = storage::BlockOp::Kind::kRead;
      const core::Result<std::size_t> taken =
          device_->Submit(std::span(&op, 1));
      if (!taken.ok() || taken.value() != 1) {
        status = {core::Code::kIoError, "read the cache: its queue is full"};
        break;
      }
      at += wanted;
    }
    STOKER_TRY(TakeReads(count));
    STOKER_TRY(status);
    for (std::size_t i = 0; i < count; ++i) {
      const Read& read = reads[i];
      const SlotRecord& record = read.found.record;
      counters_.device_read_bytes.fetch_add(read.bytes.size(),
                                            std::memory_order_relaxed);
      if (!IsWhole(*read.unit, record.key, read.found.slot.slot,
                   record.generation, record.crc,
                   read.bytes.first(record.length))) {
        return lost(first + i);
      }
      std::ranges::copy(read.bytes.first(record.length), read.into.begin());
    }
  }
  return {};
}

// --- waiting -----------------------------------------------------------------

core::Status Uploader::WaitWhile(
    const std::function<core::Result<bool>()>& unfinished,
    const storage::DrainOptions& options) {
  core::TimePoint since = clock_.Now();
  std::uint64_t seen = catalogue_.moved();
  Wake();
  while (true) {
    STOKER_ASSIGN(const bool waits, unfinished());
    if (!waits) {
      return {};
    }
    const std::uint64_t moved = catalogue_.moved();
    if (moved != seen) {
      seen = moved;
      since = clock_.Now();
    }
    if (options.cancel != nullptr && options.cancel->IsSet()) {
      return {core::Code::kCancelled,
              "bring what is in the cache to the store"};
    }
    if (clock_.Now() - since > options.patience) {
      const std::scoped_lock lock(mutex_);
      return failed_.ok()
                 ? core::Status(core::Code::kTimedOut,
                                fmt::format("bring what is in the cache to the "
                                            "store: nothing moved for {:.0f} s",
                                            core::Seconds(options.patience)))
                 : failed_;
    }
    clock_.SleepUntil(clock_.Now() + kDrainGlance);
  }
}

core::Status Uploader::WaitFor(const Commit& commit, core::Nanos patience) {
  return WaitWhile(
      [&]() -> core::Result<bool> {
        STOKER_ASSIGN(const std::optional<Commit> now,
                      catalogue_.Find(commit.name));
        return now.has_value() && now->dirty && IsSameWriting(*now, commit);
      },
      {.patience = patience});
}

core::Status Uploader::Drain(const storage::DrainOptions& options) {
  return WaitWhile(
      [&]() -> core::Result<bool> {
        STOKER_ASSIGN(const std::vector<Commit> dirty, catalogue_.Dirty());
        return !dirty.empty();
      },
      options);
}

core::Status Uploader::WaitUntilSeen(const std::vector<std::string>& names,
                                     core::Nanos patience) {
  const core::TimePoint deadline = clock_.Now() + patience;
  while (true) {
    STOKER_ASSIGN(const bool seen, AreSeen(names));
    if (seen) {
      return {};
    }
    if (clock_.Now() >= deadline) {
      return {
          core::Code::kTimedOut,
          fmt::format("wait until the store has the {} objects that must be "
                      "there before: not within {:.0f} s",
                      names.size(), core::Seconds(patience))};
    }
    clock_.SleepUntil(clock_.Now() + kSeenGlance);
  }
}

storage::Drained Uploader::drained() const {
  return {.objects = objects_.load(), .bytes = counters_.uploaded_bytes.load()};
}

}  // namespace stoker::cache::internal
