#include "dataset/order.h"

#include <algorithm>

#include "core/check.h"

namespace stoker::dataset {

namespace {

std::uint64_t CeilDiv(std::uint64_t a, std::uint64_t b) {
  return a / b + (a % b == 0 ? 0 : 1);
}

// Samples rank r owns under shares of ⌈N/R⌉.
std::uint64_t ReferenceCount(const OrderSpec& spec, std::uint64_t rank) {
  const std::uint64_t share = CeilDiv(spec.samples(), spec.ranks);
  const std::uint64_t first = std::min(rank * share, spec.samples());
  return std::min(share, spec.samples() - first);
}

}  // namespace

std::uint64_t StepsPerEpoch(const OrderSpec& spec, std::int64_t limit) {
  STOKER_CHECK(spec.batch_size > 0 && spec.ranks > 0);
  const std::uint64_t steps = spec.samples() / spec.batch_size / spec.ranks;
  return limit > 0 ? std::min(steps, static_cast<std::uint64_t>(limit)) : steps;
}

bool ReferenceShareIsUneven(const OrderSpec& spec, std::uint64_t steps) {
  STOKER_CHECK(spec.ranks > 0);
  // Shares never grow from rank to rank: the last one is the smallest.
  return ReferenceCount(spec, spec.ranks - 1) < steps * spec.batch_size;
}

Share ContiguousShare(const OrderSpec& spec, std::uint64_t rank,
                      std::uint64_t steps) {
  STOKER_CHECK(rank < spec.ranks);
  if (ReferenceShareIsUneven(spec, steps)) {
    return EvenShare(spec, rank);
  }
  const std::uint64_t share = CeilDiv(spec.samples(), spec.ranks);
  return {.first = std::min(rank * share, spec.samples()),
          .count = ReferenceCount(spec, rank)};
}

Share EvenShare(const OrderSpec& spec, std::uint64_t rank) {
  STOKER_CHECK(rank < spec.ranks);
  const std::uint64_t share = spec.samples() / spec.ranks;
  return {.first = rank * share, .count = share};
}

ModuloShare TensorflowShare(const OrderSpec& spec, std::uint64_t rank) {
  STOKER_CHECK(rank < spec.ranks);
  ModuloShare share;
  share.by_record = spec.files < spec.ranks;
  if (share.by_record) {
    const std::uint64_t samples = spec.samples();
    share.files = spec.files;
    share.records = samples > rank ? CeilDiv(samples - rank, spec.ranks) : 0;
    return share;
  }
  share.files = CeilDiv(spec.files - rank, spec.ranks);
  share.records = share.files * spec.samples_per_file;
  share.first = rank;
  share.stride = spec.ranks;
  return share;
}

}  // namespace stoker::dataset
