#pragma once

// May this checkpoint run be submitted? The benchmark's rules on saving and
// restoring, and when caches must be cleared in between.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "rules/allowed.h"

namespace stoker::rules {

// Caches are cleared between saving and restoring where a host has more than
// this many times the memory of what it writes of one checkpoint.
inline constexpr std::uint64_t kClearMultiple = 3;
// Checkpoints to write, and to read, in one run or in two.
inline constexpr std::uint64_t kCheckpointsOfARun = 10;
// A host has at least this many ranks (CLOSED).
inline constexpr std::uint64_t kLeastRanksPerHost = 4;
// Ranks of a subset run: those of one node with storage of its own.
inline constexpr std::uint32_t kSubsetRanks = 8;

// Whether restores could come from the page cache of a host with so much
// memory, so that the rules ask for caches to be cleared.
bool ClearNeeded(std::uint64_t host_memory_bytes,
                 std::uint64_t checkpoint_bytes_of_host);
// … on any host, each with the same memory. Element i is host i.
bool ClearNeeded(std::uint64_t host_memory_bytes,
                 std::span<const std::uint64_t> checkpoint_bytes_of_hosts);

// Ranks that CLOSED asks for; nothing for models that are none of the
// benchmark's. `model`: "llama3-8b" …
std::optional<std::uint32_t> ClosedRanks(std::string_view model);

// Whether the reference would write a subset of the model on so many ranks:
// fewer than CLOSED asks for, and the model is not the one that fits a node.
bool WritesSubset(std::string_view model, std::int64_t ranks);

// The facts the rules look at.
struct CheckpointClaim {
  std::string_view model{};                  // "llama3-8b"
  std::span<const std::string> overrides{};  // as typed by the user
  std::uint32_t ranks = 1;
  std::uint32_t model_ranks = 1;  // tensor * pipeline
  bool subset = false;
  std::uint64_t hosts = 1;
  std::uint64_t least_ranks_per_host = 1;
  std::uint64_t saves = 0;
  std::uint64_t restores = 0;
  bool fsync = true;          // in effect
  bool raw = false;           // files without torch's archive
  bool foreign = false;       // restores what another tool wrote
  bool keeps_all = true;      // no checkpoint is removed during the run
  bool compat_v2_0 = false;   // defects of the reference are imitated
  bool reference_io = false;  // requests in the reference's sizes and order
  // None: the memory of the hosts is not known.
  std::optional<bool> clear_needed{};
  // All caches are cleared between saving and restoring, or the submitter's
  // own command does it.
  bool clears = false;
  bool memory_needed = true;  // without it nothing can be submitted
  bool real_storage = true;   // not memory, simulated, or failing on purpose
};

Judgement Judge(const CheckpointClaim& claim);

}  // namespace stoker::rules
