#include "cache/internal/prefetcher.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "cache/block_key.h"
#include "core/fnv.h"

namespace stoker::cache::internal {

namespace {

using storage::ReadPoint;

// Objects looked at in one go, at most.
constexpr int kLooks = 256;

bool IsBefore(const ReadPoint& a, const ReadPoint& b) {
  return std::pair(a.epoch, a.position) < std::pair(b.epoch, b.position);
}

}  // namespace

Prefetcher::Prefetcher(Tier& tier, storage::Backend& store,
                       Foresight& foresight, std::uint64_t window_bytes,
                       std::size_t most_open)
    : tier_(tier),
      store_(store),
      foresight_(foresight),
      store_name_(StoreName(store.uri())),
      window_bytes_(window_bytes),
      open_(most_open) {}

Prefetcher::~Prefetcher() {
  for (const Object& object : open_) {
    if (object.state != State::kFree) {
      store_.Release(object.id);
    }
  }
}

std::uint64_t Prefetcher::Mutations() const {
  return tier_.units().front().index->mutations();
}

void Prefetcher::Advance() {
  waits_ = false;
  const ReadPoint reader = foresight_.reader();
  if (!foresight_.has_order() || reader.epoch == 0) {
    return;
  }
  waits_ = true;
  if (!foresight_.has_read()) {
    return;
  }
  // What the reader has reached is its own business.
  for (Object& object : open_) {
    if (object.state == State::kKnown && !IsBefore(reader, object.point)) {
      object.next = object.bytes;
      CloseIfDone(object);
    }
  }
  const std::scoped_lock lock(foresight_.mutex());
  // Only now is it sure that the order is that of the reader's epoch.
  const ReadPoint now = foresight_.reader();
  if (IsBefore(next_, {now.epoch, now.position + 1}) && now.position > 0) {
    next_ = {now.epoch, now.position + 1};
  } else if (IsBefore(next_, now)) {
    next_ = now;
  }
  for (int looks = 0; looks < kLooks && LookAt(now); ++looks) {
  }
  waits_ = next_.epoch <= foresight_.order().epochs() ||
           std::ranges::any_of(open_, [](const Object& object) {
             return object.state != State::kFree;
           });
}

void Prefetcher::Name(std::uint64_t number) {
  foresight_.order().NameOf(number, name_);
  full_name_.assign(store_name_).append("/").append(name_);
}

// Of the object that was named.
bool Prefetcher::IsThere(const ObjectFacts& facts) {
  const Fingerprint object = ObjectKey(full_name_, facts.version);
  const std::uint64_t block = tier_.block_bytes();
  for (std::uint64_t start = 0; start < facts.size; start += block) {
    const Fingerprint key = BlockKey(object, start / block);
    if (tier_.UnitOf(key).index->Peek(key) == Look::kMiss) {
      return false;
    }
  }
  return true;
}

bool Prefetcher::LookAt(ReadPoint reader) {
  const storage::ReadOrder& order = foresight_.order();
  if (next_.position >= order.positions()) {
    next_ = {next_.epoch + 1, 0};
  }
  if (next_.epoch > std::min(order.epochs(), reader.epoch + 1)) {
    return false;
  }
  const std::uint64_t distance =
      (next_.epoch - reader.epoch) * order.positions() + next_.position -
      reader.position;
  // Of the first few the size is unknown.
  const std::uint64_t mean = seen_ == 0 ? window_bytes_ : seen_bytes_ / seen_;
  if (mean > 0 && distance > std::max<std::uint64_t>(1, window_bytes_ / mean)) {
    return false;
  }
  const auto place = std::ranges::find(open_, State::kFree, &Object::state);
  if (place == open_.end()) {
    return false;
  }
  const ReadPoint point = next_;
  ++next_.position;
  const std::uint64_t number = order.At(point);
  if (number == storage::ReadOrder::kNone ||
      number == std::exchange(last_, number)) {
    return true;
  }
  Name(number);
  const std::uint64_t hash = core::Fnv1a64(name_);
  const std::uint64_t mutations = Mutations();
  const std::optional<ObjectFacts> facts = memo_.Find(hash, mutations);
  if (facts.has_value() && IsThere(*facts)) {
    return true;
  }
  *place = {.state = State::kNew,
            .point = point,
            .number = number,
            .id = store_.Resolve(name_),
            .name_hash = hash,
            .asked_at = mutations};
  if (facts.has_value()) {
    Learn(*place, *facts);
  }
  return true;
}

void Prefetcher::Learn(Object& object, const ObjectFacts& facts) {
  Name(object.number);
  object.state = State::kKnown;
  object.key = ObjectKey(full_name_, facts.version);
  object.bytes = facts.size;
  seen_bytes_ += facts.size;
  ++seen_;
}

Prefetcher::Object* Prefetcher::Soonest(State state) {
  Object* soonest = nullptr;
  for (Object& object : open_) {
    if (object.state == state && (state != State::kKnown || !object.ended()) &&
        (soonest == nullptr || IsBefore(object.point, soonest->point))) {
      soonest = &object;
    }
  }
  return soonest;
}

std::uint32_t Prefetcher::NumberOf(const Object& object) const {
  return static_cast<std::uint32_t>(&object - open_.data());
}

std::optional<Ahead> Prefetcher::NextQuestion() {
  Object* const object = Soonest(State::kNew);
  if (object == nullptr) {
    return std::nullopt;
  }
  object->state = State::kAsked;
  return Ahead{.number = NumberOf(*object), .object = object->id};
}

void Prefetcher::OnFacts(std::uint32_t number, const core::Status& status,
                         const ObjectFacts& facts) {
  Object& object = open_[number];
  if (status.ok()) {
    memo_.Put(object.name_hash, object.asked_at, facts);
    Learn(object, facts);
  }
  // Whoever reads it is told what is wrong with it.
  object.state = State::kKnown;
  CloseIfDone(object);
}

std::optional<Ahead> Prefetcher::NextBlock() {
  const std::uint64_t block = tier_.block_bytes();
  while (Object* const object = Soonest(State::kKnown)) {
    const Fingerprint key = BlockKey(object->key, object->next / block);
    if (tier_.UnitOf(key).index->Peek(key) == Look::kMiss) {
      return Ahead{.number = NumberOf(*object),
                   .object = object->id,
                   .key = key,
                   .block_start = object->next,
                   .block_bytes = static_cast<std::uint32_t>(
                       std::min(block, object->bytes - object->next)),
                   .next_use = foresight_.UseAt(object->point)};
    }
    PassOver(NumberOf(*object));
  }
  return std::nullopt;
}

void Prefetcher::Take(std::uint32_t number) {
  open_[number].next += tier_.block_bytes();
  ++open_[number].under_way;
}

void Prefetcher::PassOver(std::uint32_t number) {
  open_[number].next += tier_.block_bytes();
  CloseIfDone(open_[number]);
}

void Prefetcher::OnEnd(std::uint32_t number) {
  --open_[number].under_way;
  CloseIfDone(open_[number]);
}

void Prefetcher::CloseIfDone(Object& object) {
  if (object.ended() && object.under_way == 0) {
    store_.Release(object.id);
    object = {};
  }
}

}  // namespace stoker::cache::internal
