#include "cache/probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cache/block_key.h"
#include "cache/internal/leave_to_device.h"
#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/pages.h"
#include "core/random.h"
#include "storage/block_device.h"
#include "storage/read_queue.h"

namespace stoker::cache {

namespace {

// Of the device, by one process.
constexpr std::uint32_t kMostSlots = 64;
constexpr std::size_t kMostBlocks = 4096;
constexpr std::uint64_t kMostRounds = 2;
constexpr core::Nanos kRenewEvery = std::chrono::milliseconds(100);
constexpr core::Nanos kSizePatience = std::chrono::seconds(30);
constexpr std::size_t kMostDepth = 64;

core::Status NoAnswer(std::string_view what, core::Nanos patience) {
  return {core::Code::kTimedOut,
          fmt::format("measure {}: no answer within {:.0f} s", what,
                      core::Seconds(patience))};
}

// When a probe has had enough.
class Meter {
 public:
  Meter(const ProbeOptions& options, std::uint64_t most_bytes,
        core::Clock& clock)
      : span_(options.span),
        most_bytes_(std::min(options.most_bytes, most_bytes)),
        clock_(clock),
        start_(clock.Now()) {}

  void Add(std::uint64_t bytes) {
    probe_.bytes += bytes;
    probe_.took = clock_.Now() - start_;
  }
  bool full() const {
    return probe_.took >= span_ || probe_.bytes >= most_bytes_;
  }
  const Probe& probe() const { return probe_; }

 private:
  const core::Nanos span_;
  const std::uint64_t most_bytes_;
  core::Clock& clock_;
  const core::TimePoint start_;
  Probe probe_;
};

// Keeps `depth` reads of objects under way.
class StoreReader {
 public:
  StoreReader(storage::Backend& store, const ObjectSet& objects,
              const ProbeOptions& options, storage::ReadQueue& queue,
              std::span<std::byte> memory, core::Clock& clock)
      : store_(store),
        objects_(objects),
        options_(options),
        queue_(queue),
        memory_(memory),
        clock_(clock),
        lanes_(options.depth),
        random_(core::StreamKey(options.seed, 0x70726F6265)) {}

  core::Status Run(Meter& meter) {
    core::Status status;
    for (std::size_t lane = 0; lane < lanes_.size() && status.ok(); ++lane) {
      status = Ask(lane);
    }
    std::vector<storage::ReadDone> done(lanes_.size());
    while (queue_.in_flight() > 0) {
      STOKER_ASSIGN(const std::size_t count,
                    queue_.Reap(done, 1, clock_.Now() + options_.patience));
      if (count == 0) {
        return NoAnswer("the store", options_.patience);
      }
      for (const storage::ReadDone& one : std::span(done).first(count)) {
        meter.Add(one.bytes);
        const core::Status step = Next(one, meter.full() || !status.ok());
        status = status.ok() ? step : status;
      }
    }
    return status;
  }

 private:
  struct Lane {
    storage::ObjectId object{};
    std::uint64_t offset = 0;
    bool open = false;
  };

  core::Status Ask(std::size_t number) {
    Lane& lane = lanes_[number];
    if (!lane.open) {
      random_ = core::StreamKey(random_, 1);
      lane = {
          .object = store_.Resolve(objects_.name_of(random_ % objects_.count)),
          .open = true};
    }
    const storage::ReadOp op{
        .object = lane.object,
        .offset = lane.offset,
        .buffer = memory_.subspan(number * options_.request_bytes,
                                  options_.request_bytes),
        .tag = number};
    return queue_.Submit(std::span(&op, 1)).status();
  }

  core::Status Next(const storage::ReadDone& done, bool last) {
    Lane& lane = lanes_[done.tag];
    lane.offset += done.bytes;
    const bool ended = done.bytes < options_.request_bytes;
    if (ended || last || !done.status.ok()) {
      store_.Release(lane.object);
      lane.open = false;
    }
    if (last || !done.status.ok()) {
      return done.status;
    }
    return Ask(done.tag);
  }

  storage::Backend& store_;
  const ObjectSet& objects_;
  const ProbeOptions& options_;
  storage::ReadQueue& queue_;
  std::span<std::byte> memory_;
  core::Clock& clock_;
  std::vector<Lane> lanes_;
  std::uint64_t random_;
};

// Where on the device there may be read or written.
struct Place {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  // a multiple of 4096
};

// Slots that are ours for a while.
class Borrowed {
 public:
  explicit Borrowed(std::uint64_t seed) : seed_(seed) {}
  ~Borrowed() {
    for (const auto& [unit, claim] : claims_) {
      unit->index->Abandon(claim);
    }
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  // Half of what is free, divided among all processes, stays untouched.
  void Take(TierUnit& unit) {
    Index& index = *unit.index;
    const auto share = static_cast<std::uint32_t>(index.Count().free /
                                                  (2 * (index.others() + 1)));
    const std::uint64_t length = index.geometry().classes[0].slot_bytes;
    for (std::uint32_t i = 0; i < std::min(share, kMostSlots); ++i) {
      seed_ = core::StreamKey(seed_, i);
      const Claim claim = index.ClaimFreeSlot(
          {.high = core::StreamKey(seed_, 1), .low = core::StreamKey(seed_, 2)},
          static_cast<std::uint32_t>(length));
      if (claim.outcome == ClaimOutcome::kNoRoom) {
        return;
      }
      if (claim.outcome == ClaimOutcome::kMine) {
        claims_.emplace_back(&unit, claim);
        places_.push_back({.offset = unit.device_offset +
                                     index.geometry().OffsetOf(claim.slot),
                           .bytes = length});
      }
    }
  }
  void Renew() {
    for (const auto& [unit, claim] : claims_) {
      unit->index->Renew(claim);
    }
  }
  // Something may still be written to them.
  void Forsake() {
    for (const auto& [unit, claim] : claims_) {
      unit->index->Rest(claim);
      unit->index->Forsake(claim);
    }
    claims_.clear();
  }
  const std::vector<Place>& places() const { return places_; }

 private:
  std::uint64_t seed_;
  std::vector<std::pair<TierUnit*, Claim>> claims_;
  std::vector<Place> places_;
};

std::vector<Place> BlocksOf(Tier& tier) {
  std::vector<Place> places;
  for (TierUnit& unit : tier.units()) {
    unit.index->ForEachValid([&](std::uint32_t slot, const SlotRecord& record) {
      if (places.size() < kMostBlocks) {
        places.push_back({.offset = unit.device_offset +
                                    unit.index->geometry().OffsetOf(slot),
                          .bytes = core::PagesUp(record.length)});
      }
    });
  }
  return places;
}

// Requests to the device, `depth` at once.
class DeviceProber {
 public:
  DeviceProber(storage::BlockQueue& queue, const ProbeOptions& options,
               std::uint64_t buffer_bytes, std::span<std::byte> memory,
               core::Clock& clock)
      : queue_(queue),
        options_(options),
        buffer_bytes_(buffer_bytes),
        memory_(memory),
        clock_(clock),
        random_(core::StreamKey(options.seed, 0x646576)) {}

  // Goes over the places again and again. `borrowed` may be null.
  core::Result<Probe> Run(storage::BlockOp::Kind kind,
                          std::span<const Place> places, Borrowed* borrowed) {
    // Writes wear the device out.
    const bool write = kind == storage::BlockOp::Kind::kWrite;
    Meter meter(
        options_,
        write ? kMostRounds * places.size() * buffer_bytes_ : UINT64_MAX,
        clock_);
    core::TimePoint renewed = clock_.Now();
    core::TimePoint answered = renewed;
    std::array<storage::BlockDone, kMostDepth> done;
    core::Status status;
    for (std::size_t i = 0; i < options_.depth && status.ok(); ++i) {
      status = Ask(kind, places, i);
    }
    while (queue_.in_flight() > 0) {
      STOKER_ASSIGN(const std::size_t count,
                    queue_.Reap(done, 1, clock_.Now() + kRenewEvery));
      if (count > 0) {
        answered = clock_.Now();
      } else if (clock_.Now() - answered > options_.patience) {
        return NoAnswer("the cache's device", options_.patience);
      }
      if (borrowed != nullptr && clock_.Now() - renewed > kRenewEvery) {
        renewed = clock_.Now();
        borrowed->Renew();
      }
      for (const storage::BlockDone& one : std::span(done).first(count)) {
        status = status.ok() ? one.status : status;
        meter.Add(lengths_[one.tag]);
        if (status.ok() && !meter.full()) {
          status = Ask(kind, places, one.tag);
        }
      }
    }
    STOKER_TRY(status);
    return meter.probe();
  }

 private:
  // Blocks are written whole, and read in requests that begin anywhere.
  core::Status Ask(storage::BlockOp::Kind kind, std::span<const Place> places,
                   std::size_t tag) {
    random_ = core::StreamKey(random_, 1);
    const Place& place = kind == storage::BlockOp::Kind::kWrite
                             ? places[next_++ % places.size()]
                             : places[random_ % places.size()];
    std::uint64_t offset = 0;
    std::uint64_t bytes = place.bytes;
    if (kind == storage::BlockOp::Kind::kRead &&
        options_.request_bytes < bytes) {
      bytes = options_.request_bytes;
      const std::uint64_t pages = (place.bytes - bytes) / core::kPageBytes;
      offset = (random_ >> 32U) % (pages + 1) * core::kPageBytes;
    }
    lengths_[tag] = bytes;
    const storage::BlockOp op{
        .kind = kind,
        .offset = place.offset + offset,
        .buffer = memory_.subspan(tag * buffer_bytes_, bytes),
        .tag = tag};
    return queue_.Submit(std::span(&op, 1)).status();
  }

  storage::BlockQueue& queue_;
  const ProbeOptions& options_;
  const std::uint64_t buffer_bytes_;
  std::span<std::byte> memory_;
  core::Clock& clock_;
  std::uint64_t random_;
  std::size_t next_ = 0;
  std::array<std::uint64_t, kMostDepth> lengths_{};
};

}  // namespace

double Probe::bytes_per_s() const {
  if (bytes == 0) {
    return 0;
  }
  return took.count() <= 0 ? std::numeric_limits<double>::infinity()
                           : static_cast<double>(bytes) / core::Seconds(took);
}

core::Result<Probe> ProbeStore(storage::Backend& store,
                               const ObjectSet& objects,
                               const ProbeOptions& options,
                               core::Clock& clock) {
  STOKER_CHECK(objects.count > 0 && options.depth > 0);
  STOKER_ASSIGN(
      const core::AlignedBuffer memory,
      core::AlignedBuffer::Make(options.depth * options.request_bytes, false));
  STOKER_ASSIGN(const std::unique_ptr<storage::ReadQueue> queue,
                store.NewReadQueue({.depth = options.depth}, clock));
  Meter meter(options, UINT64_MAX, clock);
  StoreReader reader(store, objects, options, *queue, memory.bytes(), clock);
  STOKER_TRY(reader.Run(meter));
  return meter.probe();
}

namespace {

core::Result<DeviceProbe> ProbeWith(
    Tier& tier, std::size_t depth, const std::function<core::Status()>& between,
    DeviceProber& prober, Borrowed& borrowed) {
  const std::uint64_t each = tier.block_bytes();
  for (TierUnit& unit : tier.units()) {
    borrowed.Take(unit);
  }
  const std::vector<Place>& own = borrowed.places();
  const bool writes = own.size() >= depth;
  core::Result<Probe> written =
      writes ? prober.Run(storage::BlockOp::Kind::kWrite, own, &borrowed)
             : core::Result<Probe>(Probe());
  // Also after an error: others wait there.
  if (between) {
    borrowed.Renew();
    STOKER_TRY(between());
  }
  STOKER_TRY(written.status());
  DeviceProbe probe;
  probe.write = written.value();
  if (writes) {
    // What was not written is read without the device.
    const std::size_t known =
        std::min<std::uint64_t>(own.size(), probe.write.bytes / each);
    STOKER_ASSIGN(probe.read,
                  prober.Run(storage::BlockOp::Kind::kRead,
                             std::span(own).first(known), &borrowed));
  } else if (const std::vector<Place> blocks = BlocksOf(tier);
             !blocks.empty()) {
    STOKER_ASSIGN(probe.read,
                  prober.Run(storage::BlockOp::Kind::kRead, blocks, nullptr));
  }
  return probe;
}

}  // namespace

core::Result<DeviceProbe> ProbeDevice(
    Tier& tier, const ProbeOptions& options, core::Clock& clock,
    const std::function<core::Status()>& between) {
  STOKER_CHECK(options.depth > 0 && options.depth <= kMostDepth);
  STOKER_ASSIGN(
      core::AlignedBuffer memory,
      core::AlignedBuffer::Make(options.depth * tier.block_bytes(), false));
  core::FillCounterStream(options.seed, 0, memory.bytes());
  // Slots are given back after the queue has ended.
  Borrowed borrowed(core::StreamKey(options.seed, 3));
  STOKER_ASSIGN(std::unique_ptr<storage::BlockQueue> queue,
                tier.device().NewQueue(options.depth, clock));
  DeviceProber prober(*queue, options, tier.block_bytes(), memory.bytes(),
                      clock);
  core::Result<DeviceProbe> probe =
      ProbeWith(tier, options.depth, between, prober, borrowed);
  if (queue->in_flight() > 0) {
    // A device that does not answer is not waited for.
    borrowed.Forsake();
    internal::LeaveToDevice(tier, std::move(queue), std::move(memory));
  }
  return probe;
}

core::Result<ObjectSample> SampleObjects(Tier& tier, storage::Backend& store,
                                         const std::string& store_name,
                                         const ObjectSet& objects,
                                         std::uint64_t count,
                                         core::Clock& clock) {
  STOKER_CHECK(count > 0 && objects.count > 0);
  STOKER_ASSIGN(const std::unique_ptr<storage::ReadQueue> queue,
                store.NewReadQueue({.depth = 1}, clock));
  const std::uint64_t looked_at = std::min(count, objects.count);
  std::uint64_t bytes = 0;
  std::uint64_t cached = 0;
  for (std::uint64_t i = 0; i < looked_at; ++i) {
    const std::string name = objects.name_of(i * objects.count / looked_at);
    const storage::ObjectId object = store.Resolve(name);
    const storage::ReadOp op{.kind = storage::ReadOp::Kind::kSize,
                             .object = object};
    storage::ReadDone done;
    STOKER_TRY(queue->Submit(std::span(&op, 1)).status());
    STOKER_ASSIGN(
        const std::size_t answers,
        queue->Reap(std::span(&done, 1), 1, clock.Now() + kSizePatience));
    if (answers == 0) {
      return NoAnswer("the size of " + name, kSizePatience);
    }
    store.Release(object);
    STOKER_TRY(done.status.WithContext(name));
    bytes += done.bytes;
    const Fingerprint key = ObjectKey(
        std::string(store_name).append("/").append(name), done.version);
    const std::uint64_t block = tier.block_bytes();
    for (std::uint64_t at = 0; at < done.bytes; at += block) {
      const Fingerprint part = BlockKey(key, at / block);
      if (tier.UnitOf(part).index->Peek(part) == Look::kHit) {
        cached += std::min(block, done.bytes - at);
      }
    }
  }
  return ObjectSample{
      .mean_bytes = static_cast<double>(bytes) / static_cast<double>(looked_at),
      .cached = bytes == 0
                    ? 0
                    : static_cast<double>(cached) / static_cast<double>(bytes)};
}

double ShareThatFits(const Tier& tier, double count, std::uint64_t bytes) {
  double large = 0;
  double small = 0;
  std::uint64_t small_bytes = 0;
  for (const TierUnit& unit : tier.units()) {
    const Geometry& geometry = unit.index->geometry();
    large += geometry.classes[0].slots;
    small += geometry.classes[1].slots;
    small_bytes = geometry.classes[1].slots > 0 ? geometry.classes[1].slot_bytes
                                                : small_bytes;
  }
  const std::uint64_t block = tier.block_bytes();
  const std::uint64_t tail = bytes % block;
  const bool tail_is_small = tail > 0 && tail <= small_bytes;
  const std::uint64_t large_blocks =
      bytes / block + (tail > 0 && !tail_is_small ? 1 : 0);
  const double wholes = count * static_cast<double>(large_blocks);
  const double whole_bytes =
      count * static_cast<double>(bytes - (tail_is_small ? tail : 0));
  const double kept = wholes > 0 ? std::min(1.0, large / wholes) : 0;
  double total = kept * whole_bytes;
  if (tail_is_small) {
    const double room = small + std::max(0.0, large - wholes);
    total += std::min(1.0, room / count) * count * static_cast<double>(tail);
  }
  const double all = count * static_cast<double>(bytes);
  return all > 0 ? total / all : 0;
}

}  // namespace stoker::cache
