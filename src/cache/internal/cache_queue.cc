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
// A block that cannot be read from the device, nor be let go of, is fetched all
// the same after so many looks: only a memory error makes one.
constexpr std::uint32_t kMostLooks = 8;

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
  queue->gives_up_buffers_ = options.gives_up_buffers;
  STOKER_TRY(shared.fetcher->AddClient(kPieces + options.depth));
  queue->promised_ = kPieces + options.depth;
  queue->kept_device_ = shared.tier->shared_device();
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
      unit_reads_(shared.tier->units().size()),
      read_(kPieces),
      visits_(&shared.visits->Take()),
      visited_(kVisitSets * kVisitWays) {
  active_.reserve(limits.capacity);
  redo_.reserve(kPieces);
  done_.reserve(limits.capacity);
  to_device_.reserve(kPieces);
  to_fetcher_.reserve(kPieces + limits.capacity);
  replies_.reserve(kPieces + limits.capacity);
  for (std::uint32_t piece = kPieces; piece-- > 0;) {
    free_pieces_.push_back(piece);
    free_cells_.push_back(piece);
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
    LeaveHung();
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
                              at_least == 0 ? core::TimePoint{}
                                            : std::min(deadline, next_late_)));
  if (count > 0 || next_late_ != core::kNever) {
    const core::TimePoint now = clock().Now();
    for (const storage::BlockDone& done : std::span(read_).first(count)) {
      OnRead(done, now);
    }
    GiveUpLate(now);
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
  for (std::size_t at = redo_.size(); at > 0;) {
    Range& range = redo_[at - 1];
    const std::uint64_t begun = BeginRange(range);
    if (begun == 0) {
      return;
    }
    if (begun == kNotThis) {
      --at;
      continue;
    }
    range.from += static_cast<std::uint32_t>(begun);
    range.out = range.out.subspan(begun);
    if (range.out.empty()) {
      const std::uint32_t op = range.op;
      redo_.erase(redo_.begin() + static_cast<std::ptrdiff_t>(--at));
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
      core::Result<std::optional<ObjectFacts>> dirty =
          FactsOfDirty(op.asked.object);
      op.status = dirty.status();
      facts = dirty.ok() ? std::move(dirty).value() : std::nullopt;
      if (facts.has_value()) {
        memo_.Put(object.hash, now, *facts);
      }
    }
    if (!op.status.ok()) {
      op.knows_object = true;
    } else if (facts.has_value()) {
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
    if (begun == kNotThis) {
      return true;
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
  op.asked_at = Mutations();
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
  core::Status status = reply.status;
  if (status.ok()) {
    status = MapVersion(object, facts);
  }
  if (status.ok()) {
    memo_.Put(objects_.Get(object).hash, ops_[asked].asked_at, facts);
  }
  for (const std::uint32_t number : active_) {
    Op& op = ops_[number];
    if (!op.asking || op.asked.object != object) {
      continue;
    }
    if (status.ok()) {
      Learn(number, facts);
    } else {
      op.asking = false;
      op.knows_object = true;
      op.status = status;
    }
  }
}

// Begins the front of the range; returns how many bytes of it, 0 if there is no
// room for now, kNotThis if there is for others only.
std::uint64_t CacheQueue::BeginRange(const Range& range) {
  Op& op = ops_[range.op];
  if (const std::uint32_t held = buffers_.Find(range.key, range.from);
      held != GranuleBuffers::kNone) {
    return CopyFrom(held, range);
  }
  if (free_pieces_.empty()) {
    return 0;
  }
  const core::TimePoint now = clock().Now();
  Way way = WayOf(range, now);
  if (way == Way::kDevice) {
    PinnedSlot pinned;
    const std::size_t unit = shared_.tier->NumberOf(range.key);
    const PinCell cell = Cell(unit, free_cells_.back());
    Index& index = *shared_.tier->units()[unit].index;
    if (PinBlock(range, index, cell, pinned)) {
      if (pinned.length != range.block_bytes) {
        index.Drop(pinned, cell);
      } else if (MovesToStore(range, now)) {
        index.Unpin(cell);
        way = Way::kBalanced;
      } else {
        const std::uint64_t begun = ReadDevice(range, unit, pinned, now);
        // What holds the buffers may hold them for good.
        if (begun > 0 || hung_.empty()) {
          return begun;
        }
        if (op.dirty) {
          return kNotThis;
        }
        way = Way::kPastCache;
      }
    }
  }
  if (way == Way::kNoneYet || way == Way::kWaits) {
    return way == Way::kWaits ? kNotThis : 0;
  }
  if (IsLost(op)) {
    return range.out.size();
  }
  const std::uint32_t number = free_pieces_.back();
  free_pieces_.pop_back();
  pieces_[number] = {};
  pieces_[number].range = range;
  pieces_[number].range.past_cache =
      way == Way::kPastCache || way == Way::kBalanced;
  pieces_[number].balanced = way == Way::kBalanced;
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

void CacheQueue::SendToFetcher(std::uint32_t number) {
  const Range& range = pieces_[number].range;
  to_fetcher_.push_back(RequestFor(range));
  to_fetcher_.back().metered = pieces_[number].balanced;
  to_fetcher_.back().tag = number;
}

FetchRequest CacheQueue::RequestFor(const Range& range) const {
  return {.object = objects_.Get(ops_[range.op].asked.object).inner,
          .key = range.key,
          .block_start = range.block_start,
          .block_bytes = range.block_bytes,
          .from = range.from,
          .out = range.out,
          .next_use = ops_[range.op].uses.next,
          .insists = range.looked >= kMostLooks,
          .past_cache = range.past_cache,
          .reply = mailbox_.get()};
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

void CacheQueue::OnReply(const FetchReply& reply) {
  const auto number = static_cast<std::uint32_t>(reply.tag);
  Piece& piece = pieces_[number];
  Op& op = ops_[piece.range.op];
  if (piece.balanced && StayWithDevice(piece, reply)) {
    free_pieces_.push_back(number);
    return;
  }
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
                         .first_byte = op.first_byte,
                         .buffer_held = op.buffer_held};
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

}  // namespace stoker::cache::internal
