#pragma once

// The logical op stream of a run, as a hash: which samples were handed over in
// which order. The same for a seed on every back end.

#include <cstdint>
#include <span>
#include <string>

namespace stoker::dataset {

// One sample handed to the accelerator.
struct SampleOp {
  std::uint32_t epoch = 0;  // from 1
  std::uint32_t rank = 0;
  std::uint64_t step = 0;  // from 0 in the epoch
  std::uint64_t file = 0;
  std::uint32_t sample = 0;  // in the file
  std::uint64_t bytes = 0;   // payload
};

// Order-dependent 64-bit hash, fixed by this definition: state = Mix64(state ^
// (field + kGolden64)) over the six fields in the order above, from Mix64(0 +
// kGolden64). Not cryptographic.
class OpStreamHash {
 public:
  OpStreamHash();
  void Add(const SampleOp& op);
  std::uint64_t value() const { return state_; }
  std::uint64_t count() const { return count_; }

 private:
  std::uint64_t state_;
  std::uint64_t count_ = 0;
};

// One hash of the run from the ranks' hashes, in rank order, chained as above;
// 16 hex digits.
std::string CombineHashes(std::span<const std::uint64_t> rank_hashes);

}  // namespace stoker::dataset
