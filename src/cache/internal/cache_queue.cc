#include "cache/internal/cache_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "cache/block_key.h"
#include "core/check.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

constexpr std::uint32_t kBuffers = 32;
constexpr std::uint64_t kEndless = 1ULL << 62U;
constexpr std::uint64_t kFactsTag = 1ULL << 63U;
// With Verify::kSample one read of the device in so many is checked.
constexpr std::uint64_t kSampleEvery = 16;
// A block that cannot be read from the device, nor be let go of, is fetched all
// the same after so many looks: only a memory error makes one.
constexpr std::uint32_t kMostLooks = 8;
constexpr std::size_t kVisited = 1024;

}  // namespace

core::Result<std::unique_ptr<storage::ReadQueue>> CacheQueue::Make(
    const CacheShared& shared, CacheObjects& objects,
    const storage::QueueOptions& options, core::Clock& clock) {
  const storage::ReadLimits limits{
      .preferred_unit = static_cast<std::uint32_t>(shared.tier->block_bytes() /
                                                   kGranulesPerSlot),
      .capacity = options.depth,
      .real_data = shared.stores_data};
  std::unique_ptr<CacheQueue> queue(
      new CacheQueue(shared, objects, limits, clock));
  STOKER_TRY(shared.fetcher->AddClient(kPieces + options.depth));
  queue->promised_ = kPieces + options.depth;
  STOKER_ASSIGN(queue->device_, shared.tier->device().NewQueue(kPieces, clock));
  const std::uint64_t granule = shared.tier->block_bytes() / kGranulesPerSlot;
  STOKER_ASSIGN(core::AlignedBuffer memory,
                core::AlignedBuffer::Make(kBuffers * granule, false));
  queue->buffers_.SetMemory(std::move(memory), granule);
  for (TierUnit& unit : shared.tier->units()) {
    const std::optional<PinCell> cells = unit.index->ReservePins();
    if (!cells.has_value()) {
      return core::Status(core::Code::kUnavailable,
                          "open a queue of the cache: a process has eight at "
                          "once at most; remedy: fewer pump threads");
    }
    queue->cells_.push_back(*cells);
  }
  queue->mailbox_ = std::make_unique<Mailbox>(
      queue->promised_, [self = queue.get()] { self->device_->Wake(); });
  queue->engine_ = fmt::format("cache ({}) over {}", queue->device_->engine(),
                               shared.fetcher->engine());
  return std::unique_ptr<storage::ReadQueue>(std::move(queue));
}

CacheQueue::CacheQueue(const CacheShared& shared, CacheObjects& objects,
                       const storage::ReadLimits& limits, core::Clock& clock)
    : ReadQueue(limits, clock),
      shared_(shared),
      objects_(objects),
      ops_(limits.capacity),
      pieces_(kPieces),
      read_(kPieces),
      visits_(&shared.visits->Take()),
      visited_(kVisited) {
  active_.reserve(limits.capacity);
  redo_.reserve(kPieces);
  done_.reserve(limits.capacity);
  to_device_.reserve(kPieces);
  to_fetcher_.reserve(kPieces + limits.capacity);
  replies_.reserve(kPieces + limits.capacity);
  for (std::uint32_t piece = kPieces; piece-- > 0;) {
    free_pieces_.push_back(piece);
  }
}

CacheQueue::~CacheQueue() {
  if (mailbox_ != nullptr) {
    active_.clear();
    redo_.clear();
    closing_ = true;
    while (free_pieces_.size() < kPieces || asking_ > 0) {
      if (!Progress(1, core::kNever).ok()) {
        break;
      }
    }
    while (!mailbox_->all_woken()) {
      std::this_thread::yield();
    }
  }
  for (std::size_t u = 0; u < cells_.size(); ++u) {
    shared_.tier->units()[u].index->ReleasePins(cells_[u]);
  }
  shared_.fetcher->RemoveClient(promised_);
  shared_.visits->Give(*visits_);
}

void CacheQueue::Wake() {
  wake_asked_.store(true);
  device_->Wake();
}

core::Result<std::size_t> CacheQueue::DoSubmit(
    std::span<const storage::ReadOp> ops) {
  for (const storage::ReadOp& op : ops) {
    const auto number = static_cast<std::uint32_t>(op.tag);
    ops_[number] = {};
    ops_[number].asked = op;
    ops_[number].uses =
        shared_.foresight->OnRead(objects_.Get(op.object).number);
    active_.push_back(number);
  }
  Advance();
  STOKER_TRY(Flush());
  return ops.size();
}

core::Result<std::size_t> CacheQueue::DoReap(std::span<storage::ReadDone> done,
                                             std::size_t at_least,
                                             core::TimePoint deadline) {
  std::size_t count = 0;
  std::size_t wait_for = 0;
  while (true) {
    STOKER_TRY(Progress(wait_for, deadline));
    while (count < done.size() && done_first_ < done_.size()) {
      done[count++] = std::move(done_[done_first_++]);
    }
    if (done_first_ == done_.size()) {
      done_.clear();
      done_first_ = 0;
    }
    if (count >= at_least || wake_asked_.exchange(false) ||
        clock().Now() >= deadline) {
      return count;
    }
    wait_for = 1;
  }
}

core::Status CacheQueue::Progress(std::size_t at_least,
                                  core::TimePoint deadline) {
  STOKER_ASSIGN(const std::size_t count,
                device_->Reap(read_, at_least,
                              at_least == 0 ? core::TimePoint{} : deadline));
  for (const storage::BlockDone& done : std::span(read_).first(count)) {
    OnRead(done);
  }
  mailbox_->Take(replies_);
  for (const FetchReply& reply : replies_) {
    if ((reply.tag & kFactsTag) != 0) {
      OnFacts(reply);
    } else {
      OnReply(reply);
    }
  }
  replies_.clear();
  Advance();
  return Flush();
}

// --- beginning -------------------------------------------------------------

void CacheQueue::Advance() {
  if (closing_) {
    return;
  }
  while (!redo_.empty()) {
    Range& range = redo_.back();
    const std::uint64_t begun = BeginRange(range);
    if (begun == 0) {
      return;
    }
    range.from += static_cast<std::uint32_t>(begun);
    range.out = range.out.subspan(begun);
    if (range.out.empty()) {
      const std::uint32_t op = range.op;
      redo_.pop_back();
      LeaveOp(op);
    }
  }
  std::size_t kept = 0;
  bool stuck = false;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const std::uint32_t number = active_[i];
    stuck = stuck || !AdvanceOp(number);
    const Op& op = ops_[number];
    if (op.knows_object && (op.begun == op.end || !op.status.ok())) {
      if (op.pieces == 0) {
        EndOp(number);
      }
    } else {
      active_[kept++] = number;
    }
  }
  active_.resize(kept);
}

bool CacheQueue::AdvanceOp(std::uint32_t number) {
  Op& op = ops_[number];
  if (!op.knows_object && !op.asking) {
    const CacheObject& object = objects_.Get(op.asked.object);
    const std::uint64_t now = Mutations();
    std::optional<ObjectFacts> facts = memo_.Find(object.hash, now);
    if (!facts.has_value()) {
      facts = FactsOfDirty(op.asked.object);
      if (facts.has_value()) {
        memo_.Put(object.hash, now, *facts);
      }
    }
    if (facts.has_value()) {
      Learn(number, *facts);
    } else {
      Ask(number);
    }
  }
  if (!op.knows_object) {
    return true;
  }
  const std::uint64_t block = shared_.tier->block_bytes();
  while (op.begun < op.end && op.status.ok()) {
    const std::uint64_t at = op.asked.offset + op.begun;
    const std::uint64_t start = at / block * block;
    const auto bytes =
        static_cast<std::uint32_t>(std::min(block, op.object_bytes - start));
    const auto from = static_cast<std::uint32_t>(at - start);
    const std::uint64_t wanted =
        std::min<std::uint64_t>(bytes - from, op.end - op.begun);
    const Range range{.op = number,
                      .key = BlockKey(op.object, start / block),
                      .block_start = start,
                      .block_bytes = bytes,
                      .from = from,
                      .out = op.asked.buffer.subspan(op.begun, wanted)};
    const std::uint64_t begun = BeginRange(range);
    if (begun == 0) {
      return false;
    }
    NoteVisit(range);
    op.begun += begun;
  }
  return true;
}

// Once an object is asked about, all ops on it wait for the answer.
void CacheQueue::Ask(std::uint32_t number) {
  Op& op = ops_[number];
  op.asking = true;
  for (const std::uint32_t other : active_) {
    if (other != number && ops_[other].asking &&
        ops_[other].asked.object == op.asked.object) {
      return;
    }
  }
  ++asking_;
  asked_at_ = Mutations();
  to_fetcher_.push_back({.kind = storage::ReadOp::Kind::kSize,
                         .object = objects_.Get(op.asked.object).inner,
                         .tag = kFactsTag | number,
                         .reply = mailbox_.get()});
}

std::uint64_t CacheQueue::Mutations() const {
  return shared_.tier->units().front().index->mutations();
}

void CacheQueue::Learn(std::uint32_t number, const ObjectFacts& facts) {
  Op& op = ops_[number];
  op.asking = false;
  op.knows_object = true;
  op.object_bytes = shared_.stores_data ? facts.size : kEndless;
  op.facts_bytes = facts.size;
  op.version = facts.version;
  op.dirty = facts.dirty;
  name_.assign(shared_.store)
      .append("/")
      .append(objects_.Get(op.asked.object).name);
  op.object = ObjectKey(name_, facts.version);
  if (op.asked.kind == storage::ReadOp::Kind::kRead) {
    op.end = std::min<std::uint64_t>(
        op.asked.buffer.size(),
        op.object_bytes - std::min(op.object_bytes, op.asked.offset));
  }
}

void CacheQueue::OnFacts(const FetchReply& reply) {
  --asking_;
  if (closing_) {
    return;
  }
  const auto asked = static_cast<std::uint32_t>(reply.tag & ~kFactsTag);
  const storage::ObjectId object = ops_[asked].asked.object;
  ObjectFacts facts{.size = reply.bytes, .version = reply.version};
  if (reply.status.ok()) {
    MapVersion(object, facts);
    memo_.Put(objects_.Get(object).hash, asked_at_, facts);
  }
  for (const std::uint32_t number : active_) {
    Op& op = ops_[number];
    if (!op.asking || op.asked.object != object) {
      continue;
    }
    if (reply.status.ok()) {
      Learn(number, facts);
    } else {
      op.asking = false;
      op.knows_object = true;
      op.status = reply.status;
    }
  }
}

// Begins the front of the range; returns how many bytes of it, 0 if there is no
// room for now.
std::uint64_t CacheQueue::BeginRange(const Range& range) {
  Op& op = ops_[range.op];
  if (const std::uint32_t held = buffers_.Find(range.key, range.from);
      held != GranuleBuffers::kNone) {
    return CopyFrom(held, range);
  }
  if (free_pieces_.empty()) {
    return 0;
  }
  const std::uint32_t number = free_pieces_.back();
  if ((op.dirty || shared_.health->IsGood(clock().Now())) &&
      (range.out.size() == range.block_bytes ||
       !shared_.fetcher->Holds(range.key))) {
    PinnedSlot pinned;
    const std::size_t unit = UnitOf(range.key);
    Index& index = *shared_.tier->units()[unit].index;
    if (index.Pin(range.key, Cell(unit, number), pinned, UseAfter(range)) ==
        Look::kHit) {
      if (pinned.length == range.block_bytes) {
        return ReadDevice(range, unit, pinned);
      }
      index.Drop(pinned, Cell(unit, number));
    }
  }
  if (IsLost(op)) {
    return range.out.size();
  }
  free_pieces_.pop_back();
  pieces_[number] = {};
  pieces_[number].range = range;
  ++op.pieces;
  SendToFetcher(number);
  return range.out.size();
}

std::uint64_t CacheQueue::CopyFrom(std::uint32_t held, const Range& range) {
  GranuleBuffers::Buffer& buffer = buffers_.at(held);
  const std::uint64_t bytes = std::min<std::uint64_t>(
      range.out.size(), buffer.from + buffer.bytes - range.from);
  std::memcpy(range.out.data(),
              buffers_.memory(held).data() + (range.from - buffer.from), bytes);
  buffers_.Touch(held);
  Account(ops_[range.op], buffer, range.from, bytes);
  return bytes;
}

// What is delivered for the first time came from the device just now.
void CacheQueue::Account(Op& op, GranuleBuffers::Buffer& buffer,
                         std::uint32_t from, std::uint64_t bytes) {
  const auto end = static_cast<std::uint32_t>(from + bytes);
  const std::uint64_t again =
      std::min(buffer.delivered, end) - std::min(buffer.delivered, from);
  buffer.delivered = std::max(buffer.delivered, end);
  op.from_memory += again;
  op.from_cache += bytes - again;
}

std::uint64_t CacheQueue::ReadDevice(const Range& range,
                                     std::size_t unit_number,
                                     const PinnedSlot& pinned) {
  TierUnit& unit = shared_.tier->units()[unit_number];
  const std::uint32_t number = free_pieces_.back();
  const std::uint64_t granule = Tier::GranuleBytes(unit, pinned.slot);
  Piece piece{.range = range, .unit = unit_number, .pinned = pinned};
  std::uint64_t bytes = DirectBytes(range, granule);
  if (bytes > 0) {
    piece.read_from = range.from;
    // A last part of a page has room behind it: DirectBytes saw to that.
    piece.read_into = std::span(range.out.data(), core::PagesUp(bytes));
  } else {
    piece.buffer = buffers_.Take();
    if (piece.buffer == GranuleBuffers::kNone) {
      unit.index->Unpin(Cell(unit_number, number));
      return 0;
    }
    piece.read_from =
        static_cast<std::uint32_t>(range.from / granule * granule);
    const std::uint64_t held =
        std::min<std::uint64_t>(granule, range.block_bytes - piece.read_from);
    piece.read_into = buffers_.memory(piece.buffer).first(core::PagesUp(held));
    bytes = std::min<std::uint64_t>(range.out.size(),
                                    piece.read_from + held - range.from);
  }
  piece.range.out = range.out.first(bytes);
  free_pieces_.pop_back();
  pieces_[number] = piece;
  ++ops_[range.op].pieces;
  to_device_.push_back({.kind = storage::BlockOp::Kind::kRead,
                        .offset = unit.device_offset +
                                  unit.index->geometry().OffsetOf(pinned.slot) +
                                  piece.read_from,
                        .buffer = piece.read_into,
                        .tag = number});
  return bytes;
}

void CacheQueue::SendToFetcher(std::uint32_t number) {
  const Range& range = pieces_[number].range;
  to_fetcher_.push_back(
      {.object = objects_.Get(ops_[range.op].asked.object).inner,
       .key = range.key,
       .block_start = range.block_start,
       .block_bytes = range.block_bytes,
       .from = range.from,
       .out = range.out,
       .next_use = ops_[range.op].uses.next,
       .insists = range.looked >= kMostLooks,
       .tag = number,
       .reply = mailbox_.get()});
}

core::Status CacheQueue::Flush() {
  shared_.fetcher->Post(to_fetcher_);
  to_fetcher_.clear();
  if (!to_device_.empty()) {
    STOKER_ASSIGN(const std::size_t taken, device_->Submit(to_device_));
    STOKER_CHECK(taken == to_device_.size());
    to_device_.clear();
  }
  return {};
}

// --- ending ----------------------------------------------------------------

bool CacheQueue::IsRight(const Piece& piece) {
  if (shared_.verify == Verify::kNone ||
      (shared_.verify == Verify::kSample && sampled_++ % kSampleEvery != 0)) {
    return true;
  }
  const Range& range = piece.range;
  const std::uint64_t granule =
      Tier::GranuleBytes(shared_.tier->units()[piece.unit], piece.pinned.slot);
  const std::uint64_t end = std::min<std::uint64_t>(
      range.block_bytes, piece.read_from + piece.read_into.size());
  for (std::uint64_t at = piece.read_from; at < end; at += granule) {
    const auto g = static_cast<std::uint32_t>(at / granule);
    const std::span<const std::byte> bytes = piece.read_into.subspan(
        at - piece.read_from, std::min(granule, end - at));
    if (GranuleCrc(range.key, piece.pinned.slot, piece.pinned.generation, g,
                   bytes) != piece.pinned.crc[g]) {
      return false;
    }
  }
  return true;
}

void CacheQueue::OnRead(const storage::BlockDone& done) {
  const auto number = static_cast<std::uint32_t>(done.tag);
  Piece& piece = pieces_[number];
  Index& index = *shared_.tier->units()[piece.unit].index;
  CacheCounters& counters = *shared_.counters;
  counters.device_read_bytes.fetch_add(piece.read_into.size(),
                                       std::memory_order_relaxed);
  const bool arrived = done.status.ok();
  if (!arrived) {
    counters.device_errors.fetch_add(1, std::memory_order_relaxed);
    shared_.health->NoteError(clock().Now());
  }
  const bool right = arrived && IsRight(piece);
  if (arrived && !right) {
    counters.checksum_misses.fetch_add(1, std::memory_order_relaxed);
  }
  if (!right) {
    index.Drop(piece.pinned, Cell(piece.unit, number));
    if (piece.buffer != GranuleBuffers::kNone) {
      buffers_.at(piece.buffer) = {};
    }
    piece.buffer = GranuleBuffers::kNone;
    if (IsLost(ops_[piece.range.op])) {
      EndPiece(number);
    } else {
      SendToFetcher(number);
    }
    return;
  }
  index.Unpin(Cell(piece.unit, number));
  Op& op = ops_[piece.range.op];
  const std::uint64_t bytes = piece.range.out.size();
  if (piece.buffer == GranuleBuffers::kNone) {
    op.from_cache += bytes;
  } else {
    GranuleBuffers::Buffer& buffer = buffers_.at(piece.buffer);
    buffer = {
        .key = piece.range.key,
        .from = piece.read_from,
        .bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(
            piece.read_into.size(), piece.range.block_bytes - piece.read_from)),
        .delivered = piece.range.from};
    CopyFrom(piece.buffer, piece.range);
  }
  EndPiece(number);
}

void CacheQueue::OnReply(const FetchReply& reply) {
  const auto number = static_cast<std::uint32_t>(reply.tag);
  Piece& piece = pieces_[number];
  Op& op = ops_[piece.range.op];
  if (reply.look_again && !closing_) {
    ++piece.range.looked;
    redo_.push_back(piece.range);
    free_pieces_.push_back(number);
    return;
  }
  core::Status status = reply.status;
  if (status.ok() && !closing_ && reply.bytes != piece.range.out.size()) {
    status = {
        core::Code::kCorruption,
        fmt::format("read {} bytes at {}: the store behind the cache gave "
                    "{}; the object changed meanwhile",
                    piece.range.out.size(),
                    piece.range.block_start + piece.range.from, reply.bytes)};
  }
  if (!status.ok() && op.status.ok()) {
    op.status = status.WithContext(objects_.Get(op.asked.object).name);
  }
  op.from_memory += reply.from_memory;
  op.from_store += reply.bytes - reply.from_memory;
  if (reply.first_byte != core::TimePoint{} &&
      (op.first_byte == core::TimePoint{} ||
       reply.first_byte < op.first_byte)) {
    op.first_byte = reply.first_byte;
  }
  EndPiece(number);
}

void CacheQueue::EndPiece(std::uint32_t number) {
  free_pieces_.push_back(number);
  LeaveOp(pieces_[number].range.op);
}

void CacheQueue::LeaveOp(std::uint32_t number) {
  Op& op = ops_[number];
  --op.pieces;
  // Those that are still to begin something end in Advance.
  if (op.pieces == 0 && op.begun == op.end) {
    if (std::ranges::find(active_, number) == active_.end()) {
      EndOp(number);
    }
  } else if (op.pieces == 0 && !op.status.ok() &&
             std::ranges::find(active_, number) == active_.end()) {
    EndOp(number);
  }
}

void CacheQueue::EndOp(std::uint32_t number) {
  if (closing_) {
    return;
  }
  Op& op = ops_[number];
  const bool is_read = op.asked.kind == storage::ReadOp::Kind::kRead;
  storage::ReadDone done{.tag = op.asked.tag,
                         .status = std::move(op.status),
                         .first_byte = op.first_byte};
  if (done.status.ok()) {
    done.bytes = is_read ? op.end : op.facts_bytes;
    done.version = is_read ? 0 : op.version;
    done.from_cache = op.from_cache;
    done.from_memory = op.from_memory;
  }
  CacheCounters& counters = *shared_.counters;
  counters.hit_bytes.fetch_add(op.from_cache, std::memory_order_relaxed);
  counters.memory_bytes.fetch_add(op.from_memory, std::memory_order_relaxed);
  counters.store_bytes.fetch_add(op.from_store, std::memory_order_relaxed);
  done_.push_back(std::move(done));
}

std::size_t CacheQueue::UnitOf(const Fingerprint& key) const {
  const TierUnit& unit = shared_.tier->UnitOf(key);
  return static_cast<std::size_t>(&unit - shared_.tier->units().data());
}

}  // namespace stoker::cache::internal
