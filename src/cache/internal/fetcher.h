#pragma once

// Brings blocks from the store into the cache, once for all who ask.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cache/cache_counters.h"
#include "cache/internal/device_meter.h"
#include "cache/internal/health.h"
#include "cache/internal/mailbox.h"
#include "cache/internal/prefetcher.h"
#include "cache/internal/recent_latencies.h"
#include "cache/tier.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "core/status.h"
#include "storage/backend.h"
#include "storage/block_device.h"

namespace stoker::cache::internal {

struct FetcherOptions {
  std::size_t buffers = 32;  // of a block each
  std::size_t depth = 32;    // reads of the store at once, at most
  // Whether blocks are put into the cache; may change at any time.
  const std::atomic<bool>* keeps = nullptr;
  DeviceMeter* meter = nullptr;  // outlives the fetcher; not null
  Prefetcher* ahead = nullptr;   // outlives the fetcher; null: no prefetching
};

// One thread of its own does all that has to do with the store: it claims,
// reads, hands out, writes to the device and publishes. Safe for concurrent
// use. What it was asked for is answered before its end.
//
// A write that takes ten times what nearly all took of late, from 5 to 20 s, is
// given up: its slot rests (Index::Rest), nothing is put into that directory
// for ten seconds and then one block at a time until one is taken, and its
// buffer is replaced until the device has answered.
class Fetcher {
 public:
  // All outlive the fetcher.
  static core::Result<std::unique_ptr<Fetcher>> Make(
      Tier& tier, storage::Backend& store, UnitHealth& health,
      CacheCounters& counters, const FetcherOptions& options,
      core::Clock& clock);
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  // Before the first request of a client that has at most `requests` of them
  // under way. kUnavailable: all clients together have too many.
  core::Status AddClient(std::size_t requests);
  void RemoveClient(std::size_t requests);
  void Post(std::span<const FetchRequest> requests);
  // Has the fetcher look whether there is something to prefetch.
  void Wake();
  // Whether the block is in a buffer here: a hint.
  bool Holds(const Fingerprint& key) const;
  // Whether the store can put it where it is wanted, and no more than that.
  bool CanPassThrough(const FetchRequest& request) const;
  std::string_view engine() const { return store_->engine(); }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kNodes = 2048;
  // Tags of the store's queue: what is read, and its number.
  static constexpr std::uint64_t kFillTag = 0;
  static constexpr std::uint64_t kThroughTag = 1;
  static constexpr std::uint64_t kSizeTag = 2;
  static constexpr std::uint64_t kFactsTag = 3;  // size, for the prefetcher
  static std::uint64_t TagOf(std::uint64_t kind, std::uint64_t number) {
    return number << 2U | kind;
  }
  enum class State : std::uint8_t {
    kIdle,
    kReading,
    kWriting,
    kHeld,
    kLost,  // its buffer hangs, and there is no other
  };

  // A request on its way, in one list at a time.
  struct Node {
    FetchRequest request;
    std::uint32_t next = kNone;
    core::TimePoint since{};
  };
  struct List {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    bool empty() const { return first == kNone; }
  };
  // A block in a buffer.
  struct Fill {
    State state = State::kIdle;
    Fingerprint key;
    std::uint32_t bytes = 0;      // of the block
    std::uint32_t delivered = 0;  // bytes from its start given out before
    bool claimed = false;
    std::uint32_t ahead = kNone;  // read for no one, by Prefetcher's number
    Claim claim;
    SlotRecord record;
    List waiting;
    std::span<std::byte> buffer;
    std::uint64_t used = 0;  // for the choice of the one to be reused
    core::TimePoint started{};
    core::TimePoint first_byte{};
    bool metered = false;         // as FetchRequest::metered
    std::uint64_t write_tag = 0;  // of this write and no other
    core::TimePoint write_began{};
    core::TimePoint write_due{};  // when it is given up
  };
  // Writes to the device of a unit.
  struct UnitWrites {
    Health health;          // for hangs alone; errors count for reads as well
    bool on_trial = false;  // since one hung
    core::TimePoint hung_since{};
  };
  // A write that is no longer waited for.
  struct HungWrite {
    std::uint64_t tag = 0;
    Fingerprint key;
    Claim claim;
    std::uint32_t bytes = 0;
    core::TimePoint began{};
    std::span<std::byte> buffer;
  };

  Fetcher(Tier& tier, UnitHealth& health, CacheCounters& counters,
          const FetcherOptions& options, core::Clock& clock);

  void Run();
  bool TakeInbox();  // false: to stop
  void WakeReceivers();
  void StartBacklog();
  // False: there is no buffer, or no room in the store's queue, as yet.
  bool Start(std::uint32_t node);
  bool StartBlock(std::uint32_t node);
  void KeepAgain(Fill& fill);
  Claim ClaimToKeep(const Fingerprint& key, std::uint32_t bytes,
                    std::uint32_t next_use);
  bool TakesBlocks(std::size_t unit, core::TimePoint now) const;
  Claim ClaimFor(const Fingerprint& key, std::uint32_t bytes,
                 std::uint32_t next_use);
  bool StartFill(std::uint32_t node, const Claim* claim);
  Fill& BeginFill(const FetchRequest& request, const Claim* claim);
  void StartThrough(std::uint32_t node);
  // What the fetcher does of itself, in fetcher_ahead.cc.
  void Prefetch();
  bool CanPrefetch() const;
  bool AnyTakesBlocks() const;
  bool PrefetchBlock();
  void OnFacts(std::uint32_t number, const storage::ReadDone& done);
  void LeaveAhead(Fill& fill, bool arrived);
  void NoteNextUse(Fill& fill, std::uint32_t next_use);
  void BeginStoreRead(std::uint64_t bytes);
  void EndStoreRead(std::uint64_t bytes, const storage::ReadDone& done);
  void SubmitToStore();
  void Wait();
  void OnAnswer(storage::ReadDone& done);
  void OnBlock(Fill& fill, storage::ReadDone& done);
  void OnWritten(const storage::BlockDone& done);
  void WriteToDevice(Fill& fill);
  void GiveUpLateWrites();
  void GiveUpWrite(Fill& fill, core::TimePoint now);
  void OnLateWrite(const storage::BlockDone& done);
  void LeaveHungWrites();
  void PollWaits();
  void RenewLeases();
  void TakeWritten(std::size_t at_least, core::TimePoint deadline);
  std::uint32_t FreeFill();
  Fill* FindFill(const Fingerprint& key);
  void Deliver(std::uint32_t node, Fill& fill);
  void Fail(List& waiting, const core::Status& status);
  void Reply(std::uint32_t node, FetchReply reply);
  void SetHeld(std::size_t fill);
  core::Nanos HedgeLimit();
  void Push(List& list, std::uint32_t node);
  std::uint32_t Pop(List& list);
  bool StoreHasRoom() const {
    return store_->in_flight() + ops_.size() < store_->limits().capacity;
  }

  Tier& tier_;
  UnitHealth& health_;
  DeviceMeter& meter_;
  CacheCounters& counters_;
  FetcherOptions options_;
  core::Clock& clock_;
  std::unique_ptr<storage::ReadQueue> store_;
  std::unique_ptr<storage::BlockQueue> device_;
  core::AlignedBuffer memory_;
  std::vector<Node> nodes_;
  std::vector<Fill> fills_;
  // Lower halves of the keys of blocks in buffers, 0 for none.
  std::vector<std::atomic<std::uint64_t>> held_;
  std::vector<storage::ReadOp> ops_;        // not yet submitted
  std::vector<storage::ReadDone> answers_;  // scratch
  std::vector<storage::BlockDone> written_;
  List backlog_;
  List waits_;  // for other processes
  std::uint64_t uses_ = 0;
  std::size_t reading_ = 0, writing_ = 0;
  bool stopping_ = false;          // stop_, as the thread has seen it
  std::size_t prefetching_ = 0;    // reads of the store that nobody asked for
  bool holds_ahead_back_ = false;  // blocks to prefetch, for the guard's sake
  std::vector<UnitWrites> writes_of_;  // by unit
  RecentLatencies write_times_;
  std::uint64_t writes_ = 0;
  core::TimePoint next_late_write_ = core::kNever;  // the first `write_due`
  std::vector<HungWrite> hung_writes_;
  std::vector<core::AlignedBuffer> more_memory_;  // of a block each
  std::vector<std::span<std::byte>> spare_buffers_;
  std::vector<Mailbox*> to_wake_;
  core::Histogram fetch_times_;
  core::Nanos hedge_limit_{};
  std::uint64_t hedge_basis_ = 0;

  std::mutex mutex_;  // guards what follows
  std::size_t promised_ = 0;
  List free_;
  List inbox_;
  bool stop_ = false;

  core::ClockedThread thread_;
};

}  // namespace stoker::cache::internal
