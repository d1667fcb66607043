#pragma once

// Caches in memory, and processes that are ended at will.

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/index.h"
#include "cache/tier.h"
#include "core/check.h"
#include "core/clock.h"
#include "core/random.h"
#include "storage/block_device.h"
#include "storage/registry.h"

namespace stoker::testing {

// The key of block `number` of a made-up object.
inline cache::Fingerprint Key(std::uint64_t number) {
  return {.high = core::StreamKey(1, number),
          .low = core::StreamKey(2, number)};
}

inline cache::IndexOptions Options(std::uint32_t slots,
                                   cache::Policy policy = cache::Policy::kNever,
                                   std::uint64_t slot_bytes = 64U << 10U) {
  cache::IndexOptions options;
  options.geometry.classes[0] = {.slot_bytes = slot_bytes, .slots = slots};
  options.policy = policy;
  return options;
}

// Slots in memory, the index private to this process and those it forks.
inline std::unique_ptr<cache::Tier> MemoryTier(
    const cache::IndexOptions& options, core::Clock& clock,
    std::unique_ptr<storage::BlockDevice> device = nullptr) {
  std::vector<cache::TierUnit> units(1);
  units[0].index = cache::Index::MakePrivate(options, clock);
  if (device == nullptr) {
    device = storage::MakeMemoryDevice(options.geometry.data_bytes());
  }
  return std::make_unique<cache::Tier>(std::move(device), std::move(units));
}

// Two directories of as many slots each, one behind the other on the device.
inline std::unique_ptr<cache::Tier> TwoUnitTier(
    const cache::IndexOptions& options, core::Clock& clock,
    std::unique_ptr<storage::BlockDevice> device) {
  std::vector<cache::TierUnit> units(2);
  for (std::uint64_t i = 0; i < 2; ++i) {
    units[i].index = cache::Index::MakePrivate(options, clock);
    units[i].device_offset = i * options.geometry.data_bytes();
  }
  return std::make_unique<cache::Tier>(std::move(device), std::move(units));
}

// Such a cache, with buffers for eight blocks.
inline std::unique_ptr<storage::Backend> TwoUnitCache(
    std::uint32_t slots, std::uint64_t slot_bytes, core::Clock& clock,
    std::unique_ptr<storage::BlockDevice> device,
    cache::CacheOptions options = {},
    std::unique_ptr<storage::Backend> store =
        storage::OpenBackend("mem:").value()) {
  options.directories = {"memory", "memory"};
  options.buffer_bytes = 8 * slot_bytes;
  return cache::MakeCacheBackend(
      TwoUnitTier(Options(slots, cache::Policy::kNever, slot_bytes), clock,
                  std::move(device)),
      options, std::move(store));
}

// A child process that runs `body` and then leaves without any clean-up.
class Child {
 public:
  explicit Child(const std::function<int()>& body) : pid_(::fork()) {
    STOKER_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      ::_exit(body());
    }
  }
  ~Child() {
    if (pid_ > 0) {
      Kill();
    }
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&&) = delete;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Signal(int number) const { ::kill(pid_, number); }
  // Its exit status; 128 + n where signal n ended it.
  int Wait() {
    int status = 0;
    STOKER_CHECK(::waitpid(std::exchange(pid_, -1), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  // Returns once it has stopped (SIGSTOP).
  void WaitForStop() const {
    int status = 0;
    STOKER_CHECK(::waitpid(pid_, &status, WUNTRACED) == pid_ &&
                 WIFSTOPPED(status));
  }
  void Kill() {
    Signal(SIGKILL);
    Wait();
  }

 private:
  pid_t pid_;
};

}  // namespace stoker::testing
