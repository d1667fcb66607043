#include "cache/internal/fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "cache/internal/kill_point.h"
#include "core/check.h"
#include "core/pages.h"
#include "core/thread_policy.h"

namespace stoker::cache::internal {

namespace {

// How long the fetcher looks away from what it cannot be woken by: writes while
// it waits for the store, and other processes.
constexpr core::Nanos kGlance = std::chrono::milliseconds(1);
// And how long from how far the reader has come.
constexpr core::Nanos kReaderGlance = std::chrono::milliseconds(5);
// Well within a lease.
constexpr core::Nanos kRenewal = std::chrono::milliseconds(100);

}  // namespace

core::Result<std::unique_ptr<Fetcher>> Fetcher::Make(
    Tier& tier, storage::Backend& store, UnitHealth& health,
    CacheCounters& counters, const FetcherOptions& options,
    core::Clock& clock) {
  std::unique_ptr<Fetcher> fetcher(
      new Fetcher(tier, health, counters, options, clock));
  STOKER_ASSIGN(fetcher->store_,
                store.NewReadQueue({.depth = options.depth}, clock));
  // Where there are several devices, room for what each may leave unanswered.
  const std::size_t units = tier.units().size();
  STOKER_ASSIGN(fetcher->device_,
                tier.device().NewQueue(
                    std::min(storage::kDeepestBlockQueue,
                             options.buffers * (units > 1 ? units + 1 : 1)),
                    clock));
  const std::uint64_t block = tier.block_bytes();
  STOKER_ASSIGN(fetcher->memory_,
                core::AlignedBuffer::Make(options.buffers * block, false));
  for (std::size_t i = 0; i < options.buffers; ++i) {
    fetcher->fills_[i].buffer =
        fetcher->memory_.bytes().subspan(i * block, block);
  }
  fetcher->device_->RegisterMemory(fetcher->memory_.bytes());
  Fetcher* const self = fetcher.get();
  self->thread_ = core::ClockedThread(clock, [self] { self->Run(); });
  return fetcher;
}

Fetcher::Fetcher(Tier& tier, UnitHealth& health, CacheCounters& counters,
                 const FetcherOptions& options, core::Clock& clock)
    : tier_(tier),
      health_(health),
      meter_(*options.meter),
      counters_(counters),
      options_(options),
      clock_(clock),
      nodes_(kNodes),
      fills_(options.buffers),
      held_(options.buffers),
      answers_(options.depth),
      written_(options.buffers),
      writes_of_(tier.units().size()) {
  ops_.reserve(options.depth);
  for (std::uint32_t node = 0; node < kNodes; ++node) {
    Push(free_, node);
  }
}

Fetcher::~Fetcher() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  if (device_ != nullptr) {
    store_->Wake();
    device_->Wake();
  }
  thread_.Join();
  LeaveHungWrites();
}

core::Status Fetcher::AddClient(std::size_t requests) {
  const std::scoped_lock lock(mutex_);
  if (promised_ + requests > nodes_.size()) {
    return {core::Code::kUnavailable,
            fmt::format("open a queue of the cache: {} requests at once of one "
                        "process are the most; remedy: fewer pump threads",
                        nodes_.size())};
  }
  promised_ += requests;
  return {};
}

void Fetcher::RemoveClient(std::size_t requests) {
  const std::scoped_lock lock(mutex_);
  promised_ -= requests;
}

void Fetcher::Post(std::span<const FetchRequest> requests) {
  if (requests.empty()) {
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    for (const FetchRequest& request : requests) {
      const std::uint32_t node = Pop(free_);
      nodes_[node].request = request;
      Push(inbox_, node);
    }
  }
  Wake();
}

void Fetcher::Wake() {
  store_->Wake();
  device_->Wake();
}

bool Fetcher::Holds(const Fingerprint& key) const {
  const std::uint64_t low = key.low | 1U;
  return std::ranges::any_of(held_, [low](const auto& held) {
    return held.load(std::memory_order_relaxed) == low;
  });
}

// The lists' nodes: those in inbox_ and free_ under the mutex, others by the
// fetcher's thread alone.
void Fetcher::Push(List& list, std::uint32_t node) {
  nodes_[node].next = kNone;
  if (list.empty()) {
    list.first = node;
  } else {
    nodes_[list.last].next = node;
  }
  list.last = node;
}

std::uint32_t Fetcher::Pop(List& list) {
  STOKER_CHECK(!list.empty());
  const std::uint32_t node = list.first;
  list.first = nodes_[node].next;
  if (list.first == kNone) {
    list.last = kNone;
  }
  return node;
}

void Fetcher::Run() {
  core::PreferLongSlices();
  while (TakeInbox()) {
    StartBacklog();
    Prefetch();
    SubmitToStore();
    WakeReceivers();
    Wait();
    GiveUpLateWrites();
    PollWaits();
    RenewLeases();
    for (TierUnit& unit : tier_.units()) {
      unit.index->SweepIfDue();
    }
  }
  WakeReceivers();
}

void Fetcher::WakeReceivers() {
  for (Mailbox* const box : to_wake_) {
    box->Wake();
  }
  to_wake_.clear();
}

bool Fetcher::TakeInbox() {
  const std::scoped_lock lock(mutex_);
  while (!inbox_.empty()) {
    const std::uint32_t node = Pop(inbox_);
    nodes_[node].since = clock_.Now();
    Push(backlog_, node);
  }
  stopping_ = stop_;
  const bool idle = backlog_.empty() && waits_.empty() && reading_ == 0 &&
                    writing_ == 0 && store_->in_flight() == 0;
  return !stop_ || !idle;
}

void Fetcher::StartBacklog() {
  while (!backlog_.empty()) {
    const std::uint32_t node = backlog_.first;
    // Out of the list first: it may go into another.
    Pop(backlog_);
    if (!Start(node)) {
      nodes_[node].next = backlog_.first;
      backlog_.first = node;
      if (backlog_.last == kNone) {
        backlog_.last = node;
      }
      return;
    }
  }
}

bool Fetcher::Start(std::uint32_t node) {
  const FetchRequest& request = nodes_[node].request;
  if (request.kind == storage::ReadOp::Kind::kSize) {
    if (!StoreHasRoom()) {
      return false;
    }
    ops_.push_back({.kind = storage::ReadOp::Kind::kSize,
                    .object = request.object,
                    .tag = TagOf(kSizeTag, node)});
    return true;
  }
  return StartBlock(node);
}

bool Fetcher::StartBlock(std::uint32_t node) {
  const FetchRequest& request = nodes_[node].request;
  if (Fill* const fill = FindFill(request.key); fill != nullptr) {
    if (fill->state == State::kReading) {
      Push(fill->waiting, node);
    } else {
      Deliver(node, *fill);
      KeepAgain(*fill);
    }
    return true;
  }
  if (!StoreHasRoom()) {
    return false;
  }
  // This needs no buffer.
  if (request.past_cache && CanPassThrough(request)) {
    StartThrough(node);
    return true;
  }
  if (FreeFill() == kNone) {
    return false;
  }
  if (request.past_cache) {
    return StartFill(node, nullptr);
  }
  const Claim claim =
      ClaimToKeep(request.key, request.block_bytes, request.next_use);
  if (claim.outcome == ClaimOutcome::kTaken) {
    const bool filling =
        tier_.UnitOf(request.key).index->Peek(request.key) == Look::kFilling;
    if (!filling && !request.insists) {
      Reply(node, {.look_again = true});
      return true;
    }
    if (filling) {
      counters_.waits.fetch_add(1, std::memory_order_relaxed);
      nodes_[node].since = clock_.Now();
      Push(waits_, node);
      return true;
    }
  }
  KillPoint("F1");
  if (claim.outcome == ClaimOutcome::kMine) {
    return StartFill(node, &claim);
  }
  if (CanPassThrough(request)) {
    StartThrough(node);
    return true;
  }
  counters_.bypasses.fetch_add(1, std::memory_order_relaxed);
  return StartFill(node, nullptr);
}

// Reads the whole block, for the cache if there is a claim.
bool Fetcher::StartFill(std::uint32_t node, const Claim* claim) {
  Push(BeginFill(nodes_[node].request, claim).waiting, node);
  return true;
}

Fetcher::Fill& Fetcher::BeginFill(const FetchRequest& request,
                                  const Claim* claim) {
  const std::uint32_t number = FreeFill();
  Fill& fill = fills_[number];
  held_[number].store(request.key.low | 1U, std::memory_order_relaxed);
  fill.state = State::kReading;
  fill.key = request.key;
  fill.bytes = request.block_bytes;
  fill.delivered = 0;
  fill.claimed = claim != nullptr;
  fill.ahead = kNone;
  fill.claim = claim != nullptr ? *claim : Claim{};
  fill.waiting = {};
  fill.started = clock_.Now();
  ++reading_;
  fill.metered = request.metered;
  if (!fill.metered) {
    BeginStoreRead(fill.bytes);
  }
  // The end of an object comes short; the buffer has room for whole pages.
  const std::uint64_t asked = store_->limits().offset_align == 1
                                  ? request.block_bytes
                                  : core::PagesUp(request.block_bytes);
  ops_.push_back({.object = request.object,
                  .offset = request.block_start,
                  .buffer = fill.buffer.first(asked),
                  .tag = TagOf(kFillTag, number)});
  return fill;
}

void Fetcher::StartThrough(std::uint32_t node) {
  const FetchRequest& request = nodes_[node].request;
  if (!request.past_cache) {
    counters_.bypasses.fetch_add(1, std::memory_order_relaxed);
  }
  if (!request.metered) {
    BeginStoreRead(request.out.size());
  }
  ops_.push_back({.object = request.object,
                  .offset = request.block_start + request.from,
                  .buffer = request.out,
                  .tag = TagOf(kThroughTag, node)});
}

bool Fetcher::CanPassThrough(const FetchRequest& request) const {
  const storage::ReadLimits& limits = store_->limits();
  const std::uint64_t offset = request.block_start + request.from;
  const auto address = reinterpret_cast<std::uintptr_t>(request.out.data());
  return ((offset | request.out.size()) & (limits.offset_align - 1)) == 0 &&
         (address & (limits.buffer_align - 1)) == 0;
}

void Fetcher::BeginStoreRead(std::uint64_t bytes) {
  if (meter_.balances()) {
    meter_.BeginStore(bytes, clock_.Now());
  }
}

void Fetcher::EndStoreRead(std::uint64_t bytes, const storage::ReadDone& done) {
  if (meter_.balances()) {
    meter_.EndStore(bytes, done.status.ok(), clock_.Now());
  }
}

void Fetcher::SubmitToStore() {
  if (ops_.empty()) {
    return;
  }
  const core::Result<std::size_t> taken = store_->Submit(ops_);
  if (taken.ok() && taken.value() == ops_.size()) {
    ops_.clear();
    return;
  }
  // StoreHasRoom leaves no other reason than a queue that is of no use any
  // more.
  for (const storage::ReadOp& op : ops_) {
    storage::ReadDone failed{.tag = op.tag,
                             .status = taken.ok()
                                           ? core::Status(core::Code::kIoError,
                                                          "read the store: its "
                                                          "queue is full")
                                           : taken.status()};
    OnAnswer(failed);
  }
  ops_.clear();
}

void Fetcher::Wait() {
  const bool glance = writing_ > 0 || !waits_.empty();
  const core::TimePoint now = clock_.Now();
  if (store_->in_flight() == 0) {
    core::TimePoint until = !waits_.empty()           ? now + kGlance
                            : reading_ + writing_ > 0 ? now + kRenewal
                                                      : core::kNever;
    if (options_.ahead != nullptr &&
        (options_.ahead->waits_for_reader() || holds_ahead_back_)) {
      until = std::min(until, now + kReaderGlance);
    }
    TakeWritten(1, until);
    return;
  }
  const core::Result<std::size_t> count =
      store_->Reap(answers_, 1, now + (glance ? kGlance : kRenewal));
  STOKER_CHECK(count.ok());
  for (storage::ReadDone& done : std::span(answers_).first(count.value())) {
    OnAnswer(done);
  }
  if (writing_ > 0 || !hung_writes_.empty()) {
    TakeWritten(0, now);
  }
}

void Fetcher::OnAnswer(storage::ReadDone& done) {
  const std::uint64_t number = done.tag >> 2U;
  switch (done.tag & 3U) {
    case kFillTag:
      OnBlock(fills_[number], done);
      return;
    case kFactsTag:
      OnFacts(static_cast<std::uint32_t>(number), done);
      return;
    case kThroughTag:
      if (!nodes_[number].request.metered) {
        EndStoreRead(nodes_[number].request.out.size(), done);
      }
      counters_.fetched_bytes.fetch_add(done.bytes, std::memory_order_relaxed);
      break;
    default:
      break;
  }
  Reply(static_cast<std::uint32_t>(number), {.status = std::move(done.status),
                                             .bytes = done.bytes,
                                             .version = done.version,
                                             .first_byte = done.first_byte});
}

void Fetcher::OnBlock(Fill& fill, storage::ReadDone& done) {
  --reading_;
  if (!fill.metered) {
    EndStoreRead(fill.bytes, done);
  }
  core::Status status = std::move(done.status);
  if (status.ok() && done.bytes != fill.bytes) {
    status = {core::Code::kCorruption,
              fmt::format("read a block of {} bytes of the store behind the "
                          "cache: got {}; the object changed meanwhile",
                          fill.bytes, done.bytes)};
  }
  counters_.fetched_bytes.fetch_add(done.bytes, std::memory_order_relaxed);
  LeaveAhead(fill, status.ok());
  if (!status.ok()) {
    if (fill.claimed) {
      tier_.UnitOf(fill.key).index->Abandon(fill.claim);
    }
    const auto number = static_cast<std::size_t>(&fill - fills_.data());
    held_[number].store(0, std::memory_order_relaxed);
    fill.state = State::kIdle;
    Fail(fill.waiting, status);
    return;
  }
  fetch_times_.Add((done.finished - fill.started).count());
  fill.first_byte = done.first_byte;
  fill.state = State::kHeld;
  while (!fill.waiting.empty()) {
    Deliver(Pop(fill.waiting), fill);
  }
  if (fill.claimed) {
    WriteToDevice(fill);
  }
}

Fetcher::Fill* Fetcher::FindFill(const Fingerprint& key) {
  const std::uint64_t low = key.low | 1U;
  for (std::size_t i = 0; i < fills_.size(); ++i) {
    if (held_[i].load(std::memory_order_relaxed) == low &&
        fills_[i].state != State::kIdle && fills_[i].key == key) {
      return &fills_[i];
    }
  }
  return nullptr;
}

// The buffer that was of no use for longest.
std::uint32_t Fetcher::FreeFill() {
  std::uint32_t best = kNone;
  for (std::uint32_t i = 0; i < fills_.size(); ++i) {
    const Fill& fill = fills_[i];
    if (fill.state == State::kIdle) {
      return i;
    }
    if (fill.state == State::kHeld &&
        (best == kNone || fill.used < fills_[best].used)) {
      best = i;
    }
  }
  return best;
}

void Fetcher::Deliver(std::uint32_t node, Fill& fill) {
  const FetchRequest& request = nodes_[node].request;
  const std::uint32_t from = std::min(request.from, fill.bytes);
  const auto bytes = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(request.out.size(), fill.bytes - from));
  std::memcpy(request.out.data(), fill.buffer.data() + from, bytes);
  const std::uint32_t again =
      std::min(fill.delivered, from + bytes) - std::min(fill.delivered, from);
  fill.delivered = std::max(fill.delivered, from + bytes);
  fill.used = ++uses_;
  NoteNextUse(fill, request.next_use);
  Reply(node,
        {.bytes = bytes, .from_memory = again, .first_byte = fill.first_byte});
}

void Fetcher::Fail(List& waiting, const core::Status& status) {
  while (!waiting.empty()) {
    Reply(Pop(waiting), {.status = status});
  }
}

void Fetcher::Reply(std::uint32_t node, FetchReply reply) {
  Mailbox* const box = nodes_[node].request.reply;
  reply.tag = nodes_[node].request.tag;
  {
    // Free before the answer is seen: its receiver may ask again at once.
    const std::scoped_lock lock(mutex_);
    Push(free_, node);
  }
  if (std::ranges::find(to_wake_, box) == to_wake_.end()) {
    box->PromiseWake();
    to_wake_.push_back(box);
  }
  box->Put(std::move(reply));
}

}  // namespace stoker::cache::internal
