#include "cache/eviction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "cache/internal/policies.h"

namespace stoker::cache {

namespace {

constexpr std::array<PolicyInfo, 8> kPolicies{{
    {Policy::kNever, "never", "the first to come stay, later ones pass by"},
    {Policy::kLru, "lru", "the least recently used gives way"},
    {Policy::kFifo, "fifo", "the first to come gives way"},
    {Policy::kRandom, "random", "any gives way"},
    {Policy::kTwoRandom, "2-random",
     "of two at random, the one used longer ago gives way"},
    {Policy::kSieve, "sieve",
     "a hand goes from old to new and spares those read since it passed"},
    {Policy::kS3Fifo, "s3fifo",
     "a small queue on trial before a main one, and a memory of those sent "
     "away"},
    {Policy::kBelady, "belady",
     "the one wanted latest gives way; has to know the order"},
}};

}  // namespace

std::span<const PolicyInfo> Policies() { return kPolicies; }

core::Result<Policy> FindPolicy(std::string_view name) {
  std::string known;
  for (const PolicyInfo& info : kPolicies) {
    if (info.name == name) {
      return info.policy;
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", info.name);
  }
  return core::Status(
      core::Code::kInvalidArgument,
      fmt::format("cache policy '{}' is unknown; known: {}", name, known));
}

std::unique_ptr<Eviction> Eviction::Make(Policy policy,
                                         const EvictionMemory& memory,
                                         std::uint64_t seed) {
  switch (policy) {
    case Policy::kLru:
      return internal::MakeLru(memory);
    case Policy::kFifo:
      return internal::MakeFifo(memory);
    case Policy::kRandom:
      return internal::MakeRandom(memory, seed);
    case Policy::kTwoRandom:
      return internal::MakeTwoRandom(memory, seed);
    case Policy::kSieve:
      return internal::MakeSieve(memory);
    case Policy::kS3Fifo:
      return internal::MakeS3Fifo(memory);
    case Policy::kBelady:
      return internal::MakeBelady(memory);
    case Policy::kNever:
      break;
  }
  return internal::MakeNever(memory);
}

void Eviction::Reset() {
  memory_.state = EvictionState{};
  std::ranges::fill(memory_.ghosts, 0U);
}

void Eviction::Rebuild(const std::function<bool(std::uint32_t)>& is_resident) {
  // Only what a death can leave wrong: any value of the counters is right, and
  // `time` may be counted on meanwhile.
  EvictionState& state = memory_.state;
  state.newest = kNoSlot;
  state.oldest = kNoSlot;
  state.small_newest = kNoSlot;
  state.small_oldest = kNoSlot;
  state.hand = kNoSlot;
  state.residents = 0;
  state.small_residents = 0;
  for (std::uint32_t slot = 0; slot < memory_.slots.size(); ++slot) {
    if (is_resident(slot)) {
      Adopt(slot);
    }
  }
}

}  // namespace stoker::cache
