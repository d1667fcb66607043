#pragma once

// Which samples a rank reads in an epoch, and in which order: computed, never
// stored. A sample is named by its global index file * samples_per_file + k.

#include <cstdint>

namespace stoker::dataset {

// The sizes the partition depends on.
struct OrderSpec {
  std::uint64_t files = 0;
  std::uint64_t samples_per_file = 1;
  std::uint64_t batch_size = 1;
  std::uint64_t ranks = 1;
  std::uint64_t samples() const { return files * samples_per_file; }
};

// ⌊samples / batch / ranks⌋, then at most `limit` if that is > 0.
std::uint64_t StepsPerEpoch(const OrderSpec& spec, std::int64_t limit);

// Contiguous share of the index sampler (pytorch).
struct Share {
  std::uint64_t first = 0;  // global sample index
  std::uint64_t count = 0;  // samples it owns, at least steps·batch
};
// Rank r starts at r·⌈N/R⌉ as in the reference wherever that leaves every rank
// at least `steps` whole batches, else at r·⌊N/R⌋, which always does. Every
// rank reads the first steps·batch samples of its share. `steps` is at most
// StepsPerEpoch; rank < spec.ranks.
Share ContiguousShare(const OrderSpec& spec, std::uint64_t rank,
                      std::uint64_t steps);
// The first ⌊N/R⌋·R samples in equal parts; what is left over belongs to nobody
// (the sampler of the reference's next version). rank < spec.ranks.
Share EvenShare(const OrderSpec& spec, std::uint64_t rank);
// True if the reference's shares leave some rank without `steps` whole batches
// (it would hang).
bool ReferenceShareIsUneven(const OrderSpec& spec, std::uint64_t steps);

// Modulo share of the tensorflow record pipeline: files r, r + R, r + 2R, …
// where there are at least as many files as ranks; otherwise every rank reads
// all files and keeps the records with running index ≡ r (mod R).
struct ModuloShare {
  bool by_record = false;
  std::uint64_t files = 0;    // files this rank opens in one pass
  std::uint64_t records = 0;  // records this rank keeps in one pass
  // The i-th file of the pass.
  std::uint64_t File(std::uint64_t i) const { return first + i * stride; }
  std::uint64_t first = 0;
  std::uint64_t stride = 1;
};
ModuloShare TensorflowShare(const OrderSpec& spec, std::uint64_t rank);

}  // namespace stoker::dataset
