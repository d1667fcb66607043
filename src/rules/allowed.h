#pragma once

// May this run be submitted? The benchmark's rules on what may be changed, as
// data, and the verdict over one run.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "rules/sizing.h"

namespace stoker::rules {

// From best to worst; a run is worth its worst finding.
enum class Verdict : std::uint8_t { kClosed, kOpen, kInvalid };

// "CLOSED", "OPEN", "INVALID"
std::string_view VerdictName(Verdict verdict);

// What one rule says about one run. Every rule leaves at least one finding,
// also where it is kept; `remedy` is empty then.
struct Finding {
  std::string rule{};  // "allowed_params"
  std::string expected{};
  std::string actual{};
  std::string remedy{};
  Verdict level = Verdict::kClosed;
};

struct Judgement {
  Verdict verdict = Verdict::kClosed;
  bool what_if = false;           // RunClaim::foresees
  std::vector<Finding> findings;  // in the order of the rules
};

// A key that may be changed, and the best division it leaves.
struct AllowedKey {
  std::string_view key;
  Verdict division = Verdict::kClosed;
};
std::span<const AllowedKey> AllowedKeys();

// The key an override is about: "reader.read_threads" of
// "++workload.reader.read_threads=8", "~workload.reader" gives "reader".
std::string_view OverrideKey(std::string_view override_text);

// The facts the rules look at.
struct RunClaim {
  std::string_view model;                     // "unet3d"
  std::string_view accelerator_type;          // "h100"
  std::span<const std::string> overrides;     // as typed
  bool odirect = false;                       // reader.odirect in effect
  std::string_view loader_model = "dlio-v2";  // in effect
  std::uint64_t files_train = 0;  // dataset.num_files_train in effect
  Sizing required;                // SizeDataset of this run
  bool memory_known = true;       // `required` knows the hosts' memory
  bool checks = true;             // checksums of the formats are verified
  bool real_storage = true;  // not memory, simulated, or failing on purpose
  bool foresees = false;     // a cache knows what will be read
};

Judgement Judge(const RunClaim& claim);

// What the user asked to be held to.
enum class Division : std::uint8_t { kNone, kClosed, kOpen };

// Whether a run judged so may start: always without a division; --closed wants
// CLOSED, --open refuses INVALID (quirk Q26). `allow_invalid` lets an INVALID
// run start all the same. kInvalidArgument lists what breaks the rules.
core::Status Admit(const Judgement& judgement, Division division,
                   bool allow_invalid);

}  // namespace stoker::rules
