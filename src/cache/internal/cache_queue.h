#pragma once

// The read side of a cache.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_counters.h"
#include "cache/cache_options.h"
#include "cache/internal/catalogue.h"
#include "cache/internal/device_meter.h"
#include "cache/internal/fetcher.h"
#include "cache/internal/foresight.h"
#include "cache/internal/granule_buffers.h"
#include "cache/internal/health.h"
#include "cache/internal/mailbox.h"
#include "cache/internal/object_memo.h"
#include "cache/tier.h"
#include "cache/visits.h"
#include "storage/object_table.h"
#include "storage/read_queue.h"

namespace stoker::cache::internal {

// An object of the cache back end.
struct CacheObject {
  std::string name;
  std::uint64_t hash = 0;  // of the name
  storage::ObjectId inner{};
  std::uint64_t number = storage::ReadOrder::kNone;  // in the told order
  std::uint64_t opening = 0;  // which of all openings of objects it is
};

// What the queues of a back end share; all of it outlives them.
struct CacheShared {
  Tier* tier = nullptr;
  Fetcher* fetcher = nullptr;
  UnitHealth* health = nullptr;
  DeviceMeter* meter = nullptr;
  CacheCounters* counters = nullptr;
  Catalogue* catalogue = nullptr;
  Foresight* foresight = nullptr;
  VisitLogs* visits = nullptr;
  std::string store;  // StoreName of what is behind
  Verify verify = Verify::kFull;
  // False: the store answers at once with whatever was there (null), and no
  // object of it has an end.
  bool stores_data = true;
};

using CacheObjects = storage::ObjectTable<CacheObject>;

// An op is cut into pieces: whole granules that go from the device straight
// into the caller's memory, and parts of one granule that go through a buffer
// here, which keeps it for the next piece. What is not in the cache is the
// fetcher's work, and so is what its device does not answer to in time
// (DeviceMeter::patience). Whoever does not give up buffers gets everything
// through a buffer here.
//
// The end waits for the device as long as a read does; what hangs then stays
// in memory, with the device, until the process ends.
class CacheQueue final : public storage::ReadQueue {
 public:
  static core::Result<std::unique_ptr<ReadQueue>> Make(
      const CacheShared& shared, CacheObjects& objects,
      const storage::QueueOptions& options, core::Clock& clock);
  ~CacheQueue() override;
  CacheQueue(const CacheQueue&) = delete;
  CacheQueue& operator=(const CacheQueue&) = delete;

  void Wake() override;
  void RegisterMemory(std::span<std::byte> memory) override {
    device_->RegisterMemory(memory);
  }
  std::string_view engine() const override { return engine_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  // Device reads and requests to the fetcher at once, at most.
  static constexpr std::uint32_t kPieces = 64;
  static constexpr std::size_t kVisitSets = 256;
  static constexpr std::size_t kVisitWays = 4;

  struct Op {
    storage::ReadOp asked;
    Uses uses;
    Fingerprint object;              // key of the object's present version
    std::uint64_t object_bytes = 0;  // as far as it can be read
    std::uint64_t facts_bytes = 0;   // as the store says
    std::uint64_t version = 0;
    std::uint64_t end = 0;     // bytes of `asked.buffer` that there are
    std::uint64_t begun = 0;   // of these
    std::uint32_t pieces = 0;  // under way
    bool knows_object = false;
    bool asking = false;         // what it needs to know of the object
    std::uint64_t asked_at = 0;  // Mutations() then
    bool dirty = false;          // the store does not have the object
    std::uint64_t from_cache = 0;
    std::uint64_t from_memory = 0;
    std::uint64_t from_store = 0;
    core::TimePoint first_byte{};
    core::Status status;  // the first error
    bool buffer_held = false;
  };
  // A part of a block, wanted by an op.
  struct Range {
    std::uint32_t op = 0;
    Fingerprint key{};
    std::uint64_t block_start = 0;
    std::uint32_t block_bytes = 0;
    std::uint32_t from = 0;  // in the block
    std::span<std::byte> out{};
    std::uint32_t looked = 0;  // how often the fetcher said to look again
    bool past_cache = false;   // not to be looked for there
  };
  // A range under way.
  struct Piece {
    Range range;
    bool balanced = false;  // read from the store though the device has it
    // Of a read of the device:
    bool on_device = false;  // and waited for
    bool hangs = false;      // past `due` once
    std::size_t unit = 0;
    PinnedSlot pinned{};
    std::uint32_t cell = 0;  // that holds the pin, of kPieces
    std::uint64_t tag = 0;   // of this read and no other
    core::TimePoint asked{};
    core::TimePoint due{};             // when it is given up
    std::uint32_t read_from = 0;       // in the block, a granule's start
    std::span<std::byte> read_into{};  // the caller's memory, or a buffer's
    std::uint32_t buffer = kNone;      // that one's number
  };
  // A read of the device that is no longer waited for. Until its answer comes
  // it has its cell and its memory.
  struct HungRead {
    std::uint64_t tag = 0;
    std::size_t unit = 0;
    std::uint32_t cell = 0;
    std::uint32_t buffer = kNone;   // where there was no memory for another
    std::span<std::byte> memory{};  // of a buffer
    std::uint64_t bytes = 0;
    core::TimePoint asked{};
  };
  // Pieces on the device of a unit.
  struct UnitReads {
    std::uint32_t count = 0;
    std::uint32_t hung = 0;  // beside those: no longer waited for
    bool on_trial = false;   // since a read hung
    core::TimePoint hung_since{};
  };
  enum class Way : std::uint8_t {
    kDevice,     // if it has it
    kFetcher,    // who puts it into the cache
    kPastCache,  // to the store
    kBalanced,   // likewise, though the device has it
    kNoneYet,    // nothing has room
    kWaits,      // this has not, others may
  };
  // What BeginRange says of a range that waits while others go on.
  static constexpr std::uint64_t kNotThis = UINT64_MAX;

  CacheQueue(const CacheShared& shared, CacheObjects& objects,
             const storage::ReadLimits& limits, core::Clock& clock);

  core::Result<std::size_t> DoSubmit(
      std::span<const storage::ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<storage::ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;

  void Advance();
  // False: nothing more can be begun for now.
  bool AdvanceOp(std::uint32_t number);
  void Learn(std::uint32_t number, const ObjectFacts& facts);
  core::Result<std::optional<ObjectFacts>> FactsOfDirty(
      storage::ObjectId object);
  core::Status MapVersion(storage::ObjectId object, ObjectFacts& facts);
  bool IsOnlyHere(const Op& op);
  bool PinBlock(const Range& range, Index& index, PinCell cell,
                PinnedSlot& pinned);
  bool IsLost(Op& op);
  void Ask(std::uint32_t number);
  std::uint64_t BeginRange(const Range& range);
  void NoteVisit(const Range& range);
  std::uint32_t UseAfter(const Range& range) const;
  std::uint64_t ReadDevice(const Range& range, std::size_t unit_number,
                           const PinnedSlot& pinned, core::TimePoint now);
  Way WayOf(const Range& range, core::TimePoint now) const;
  bool MovesToStore(const Range& range, core::TimePoint now) const;
  bool StayWithDevice(Piece& piece, const FetchReply& reply);
  void LeaveDevice(Piece& piece, bool answered, core::TimePoint now);
  void GiveUpLate(core::TimePoint now);
  void GiveUp(std::uint32_t number, core::TimePoint now);
  void OnLateRead(const storage::BlockDone& done, core::TimePoint now);
  void LeaveHung();
  std::uint64_t CopyFrom(std::uint32_t held, const Range& range);
  static void Account(Op& op, GranuleBuffers::Buffer& buffer,
                      std::uint32_t from, std::uint64_t bytes);
  std::uint64_t DirectBytes(const Range& range, std::uint64_t granule) const;
  FetchRequest RequestFor(const Range& range) const;
  void SendToFetcher(std::uint32_t number);
  core::Status Flush();
  void OnRead(const storage::BlockDone& done, core::TimePoint now);
  void OnReply(const FetchReply& reply);
  void OnFacts(const FetchReply& reply);
  bool IsRight(const Piece& piece);
  void EndPiece(std::uint32_t number);
  void LeaveOp(std::uint32_t number);
  void EndOp(std::uint32_t number);
  core::Status Progress(std::size_t at_least, core::TimePoint deadline);
  PinCell Cell(std::size_t unit, std::uint32_t cell) const {
    return {cells_[unit].number + cell};
  }
  bool HasCell(const UnitReads& reads) const;
  std::uint64_t Mutations() const;

  CacheShared shared_;
  CacheObjects& objects_;
  // Also where its caller leaves the queue to itself.
  std::shared_ptr<storage::BlockDevice> kept_device_;
  std::unique_ptr<storage::BlockQueue> device_;
  std::unique_ptr<Mailbox> mailbox_;
  std::string engine_;
  std::string name_;                   // scratch
  std::vector<PinCell> cells_;         // of each unit, the first of kPieces
  std::vector<Op> ops_;                // by slot number
  std::vector<std::uint32_t> active_;  // ops with something to begin, in order
  std::vector<Range> redo_;            // to be begun again, before those
  std::vector<Piece> pieces_;
  std::vector<std::uint32_t> free_pieces_;
  std::vector<std::uint32_t> free_cells_;
  std::vector<HungRead> hung_;
  bool gives_up_buffers_ = false;
  std::uint64_t device_reads_ = 0;
  std::vector<UnitReads> unit_reads_;         // by unit
  core::TimePoint next_late_ = core::kNever;  // the first `due` of pieces
  GranuleBuffers buffers_;
  ObjectMemo memo_;
  std::vector<storage::BlockOp> to_device_;
  std::vector<FetchRequest> to_fetcher_;
  std::vector<FetchReply> replies_;
  std::vector<storage::BlockDone> read_;
  std::vector<storage::ReadDone> done_;
  std::size_t done_first_ = 0;
  std::atomic<bool> wake_asked_ = false;
  std::uint64_t sampled_ = 0;
  VisitLog* visits_ = nullptr;
  std::vector<std::uint64_t> visited_;  // blocks and openings, by part of keys
  std::size_t promised_ = 0;            // requests to the fetcher at once
  std::uint32_t asking_ = 0;            // questions under way
  bool closing_ = false;
};

}  // namespace stoker::cache::internal
