// Belady's rule with the right to turn the newcomer away: no policy that only
// keeps what was asked for has more hits (L. A. Belady, IBM Systems Journal
// 5(2), 1966; for blocks of one size).

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "cache/internal/policies.h"
#include "cache/internal/relaxed.h"
#include "cache/internal/slot_array.h"

namespace stoker::cache::internal {

namespace {

// `use` is the position of the next use. The residents are a binary heap with
// the latest one in front.
class BeladyEviction final : public Eviction {
 public:
  explicit BeladyEviction(const EvictionMemory& memory)
      : Eviction(memory),
        heap_(memory.slots, memory.state.residents, damaged_) {}

  bool HitNeedsLock() const override { return true; }
  void OnInsert(std::uint32_t slot, std::uint32_t next_use) override {
    Store(entry(slot).use, next_use);
    Adopt(slot);
  }
  void OnHit(std::uint32_t slot, std::uint32_t next_use) override {
    Store(entry(slot).use, next_use);
    if (const auto position = heap_.PositionOf(slot); position.has_value()) {
      Restore(*position);
    }
  }
  void OnRemove(std::uint32_t slot) override {
    const std::optional<std::uint32_t> position = heap_.PositionOf(slot);
    heap_.Remove(slot);
    if (position.has_value() && *position < heap_.size()) {
      Restore(*position);
    }
  }
  std::optional<std::uint32_t> Victim(const MayGo& may_go,
                                      std::uint32_t next_use) override;

 private:
  void Adopt(std::uint32_t slot) override {
    heap_.Append(slot);
    if (const auto position = heap_.PositionOf(slot); position.has_value()) {
      Restore(*position);
    }
  }
  std::uint32_t NextUse(std::uint32_t slot) const {
    return Load(entry(slot).use);
  }
  std::uint32_t NextUseAt(std::uint32_t position) const {
    return NextUse(heap_.At(position));
  }
  // The heap is right but for the slot at `position`, which finds its place.
  void Restore(std::uint32_t position);

  SlotArray heap_;
};

void BeladyEviction::Restore(std::uint32_t position) {
  const std::uint32_t slot = heap_.At(position);
  while (position > 0) {
    const std::uint32_t parent = (position - 1) / 2;
    if (NextUseAt(parent) >= NextUse(slot)) {
      break;
    }
    heap_.Put(position, heap_.At(parent));
    position = parent;
  }
  while (heap_.size() / 2 > position) {
    std::uint32_t child = 2 * position + 1;
    if (child + 1 < heap_.size() && NextUseAt(child + 1) > NextUseAt(child)) {
      ++child;
    }
    if (NextUse(slot) >= NextUseAt(child)) {
      break;
    }
    heap_.Put(position, heap_.At(child));
    position = child;
  }
  heap_.Put(position, slot);
}

std::optional<std::uint32_t> BeladyEviction::Victim(const MayGo& may_go,
                                                    std::uint32_t next_use) {
  Questions questions(may_go);
  // The positions whose parents had to stay: the next one in line is among
  // them. Each question takes one out and puts at most two in.
  std::array<std::uint32_t, kMostAsked + 1> open{};
  std::size_t opened = heap_.size() == 0 ? 0 : 1;
  while (opened > 0 && questions.left()) {
    const auto latest = std::ranges::max_element(
        open.begin(), open.begin() + static_cast<std::ptrdiff_t>(opened), {},
        [this](std::uint32_t position) { return NextUseAt(position); });
    const std::uint32_t position = *latest;
    const std::uint32_t slot = heap_.At(position);
    if (NextUse(slot) <= next_use) {
      return std::nullopt;
    }
    if (questions.MayGo(slot)) {
      OnRemove(slot);
      return slot;
    }
    *latest = open[--opened];
    const std::uint64_t child = std::uint64_t{2} * position + 1;
    for (std::uint64_t at = child; at < child + 2 && at < heap_.size(); ++at) {
      open[opened++] = static_cast<std::uint32_t>(at);
    }
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Eviction> MakeBelady(const EvictionMemory& memory) {
  return std::make_unique<BeladyEviction>(memory);
}

}  // namespace stoker::cache::internal
