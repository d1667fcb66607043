// What the index of a cache costs: stoker_index_bench DIRECTORY. Makes a cache
// of small slots there, and prints what was measured as JSON.

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_options.h"
#include "cache/directory.h"
#include "cache/index.h"
#include "cache/tier.h"
#include "core/clock.h"
#include "core/random.h"

namespace stoker {
namespace {

constexpr std::uint64_t kSlotBytes = 16U << 10U;
constexpr std::uint32_t kSlots = 1U << 17U;
constexpr std::uint32_t kLookups = 4U << 20U;

cache::Fingerprint KeyOf(std::uint64_t number) {
  return {.high = core::StreamKey(1, number),
          .low = core::StreamKey(2, number)};
}

// Processes that use the index until they are killed, all at once; returns once
// they are gone.
constexpr int kUsers = 4;
core::Status UseAndKill(const cache::CacheOptions& options) {
  std::array<int, 2> ready{};
  if (::pipe(ready.data()) != 0) {
    return core::Status::FromErrno(errno, "make a pipe");
  }
  std::vector<pid_t> users;
  for (int i = 0; i < kUsers; ++i) {
    users.push_back(::fork());
    if (users.back() == 0) {
      core::SystemClock clock;
      auto tier = cache::OpenTier(options, "bench", clock);
      if (!tier.ok()) {
        ::_exit(1);
      }
      cache::Index& index = *tier.value()->units().front().index;
      const std::optional<cache::PinCell> cell = index.ReservePins();
      for (std::uint64_t number = 0;; ++number) {
        cache::PinnedSlot pinned;
        if (index.Pin(KeyOf(number % kSlots), *cell, pinned) ==
            cache::Look::kHit) {
          index.Unpin(*cell);
        }
        if (number == kSlots && ::write(ready[1], "x", 1) != 1) {
          ::_exit(1);
        }
      }
    }
  }
  ::close(ready[1]);
  int in_use = 0;
  for (char letter = 0; in_use < kUsers && ::read(ready[0], &letter, 1) == 1;) {
    ++in_use;
  }
  ::close(ready[0]);
  for (const pid_t user : users) {
    ::kill(user, SIGKILL);
  }
  for (const pid_t user : users) {
    ::waitpid(user, nullptr, 0);
  }
  return in_use == kUsers ? core::Status()
                          : core::Status(core::Code::kIoError,
                                         "use the index: a process "
                                         "could not attach to it");
}

core::Status Run(const std::string& path) {
  core::SystemClock clock;
  cache::CacheOptions options;
  options.directories = {path};
  options.quota_bytes = kSlots * (kSlotBytes + 512);
  options.slot_bytes = kSlotBytes;
  options.small_slot_bytes = 0;
  double lookup_seconds = 0;
  std::uint64_t hits = 0;
  std::uint64_t filled = 0;
  {
    STOKER_ASSIGN(const std::unique_ptr<cache::Tier> tier,
                  cache::OpenTier(options, "", clock));
    const cache::TierUnit& unit = tier->units().front();
    cache::Index& index = *unit.index;
    for (; filled < kSlots; ++filled) {
      const cache::Claim claim = index.ClaimSlot(KeyOf(filled), 4096);
      const cache::SlotRecord record{.state = cache::SlotState::kValid,
                                     .key = KeyOf(filled),
                                     .generation = claim.generation,
                                     .length = 4096,
                                     .crc = {}};
      if (claim.outcome == cache::ClaimOutcome::kMine) {
        index.Publish(claim, record);
        STOKER_TRY(unit.directory->WriteRecord(claim.slot, record));
      }
    }
    const std::optional<cache::PinCell> cell = index.ReservePins();
    const core::TimePoint start = clock.Now();
    for (std::uint32_t i = 0; i < kLookups; ++i) {
      cache::PinnedSlot pinned;
      // Far apart in memory, as keys are.
      const std::uint64_t number = i * 40503ULL % kSlots;
      if (index.Pin(KeyOf(number), *cell, pinned) == cache::Look::kHit) {
        index.Unpin(*cell);
        ++hits;
      }
    }
    lookup_seconds = core::Seconds(clock.Now() - start);
  }
  STOKER_TRY(UseAndKill(options));
  const core::TimePoint attaching = clock.Now();
  {
    STOKER_TRY(cache::OpenTier(options, "", clock).status());
  }
  const double attach_seconds = core::Seconds(clock.Now() - attaching);
  std::uint32_t restored = 0;
  double rebuild_seconds = 0;
  {
    STOKER_ASSIGN(const std::unique_ptr<cache::Directory> directory,
                  cache::Directory::Open(path));
    cache::Index::Forget(directory->id());
    const core::TimePoint start = clock.Now();
    STOKER_ASSIGN(const std::unique_ptr<cache::Tier> tier,
                  cache::OpenTier(options, "", clock));
    rebuild_seconds = core::Seconds(clock.Now() - start);
    restored = tier->units().front().index->Count().valid;
    cache::Index::Forget(directory->id());
  }
  fmt::print(R"({{"slots": {}, "lookups_per_s": {:.0f}, "hits": {}, )"
             R"("attach_s": {:.6f}, "rebuilt_slots_per_s": {:.0f}}})"
             "\n",
             restored, kLookups / lookup_seconds, hits, attach_seconds,
             restored / rebuild_seconds);
  return {};
}

}  // namespace
}  // namespace stoker

int main(int count, char** words) {
  if (count != 2) {
    fmt::print(stderr, "usage: index_bench DIRECTORY\n");
    return 2;
  }
  const stoker::core::Status status = stoker::Run(words[1]);
  if (!status.ok()) {
    fmt::print(stderr, "index_bench: {}\n", status.message());
    return 1;
  }
  return 0;
}
