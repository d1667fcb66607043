#include "dataset/op_stream.h"

#include <fmt/format.h>

#include "core/random.h"

namespace stoker::dataset {

namespace {

constexpr std::uint64_t kStart = core::Mix64(core::kGolden64);

constexpr std::uint64_t Chain(std::uint64_t state, std::uint64_t field) {
  return core::Mix64(state ^ (field + core::kGolden64));
}

}  // namespace

OpStreamHash::OpStreamHash() : state_(kStart) {}

void OpStreamHash::Add(const SampleOp& op) {
  state_ = Chain(state_, op.epoch);
  state_ = Chain(state_, op.rank);
  state_ = Chain(state_, op.step);
  state_ = Chain(state_, op.file);
  state_ = Chain(state_, op.sample);
  state_ = Chain(state_, op.bytes);
  ++count_;
}

std::string CombineHashes(std::span<const std::uint64_t> rank_hashes) {
  std::uint64_t state = kStart;
  for (const std::uint64_t hash : rank_hashes) {
    state = Chain(state, hash);
  }
  return fmt::format("{:016x}", state);
}

}  // namespace stoker::dataset
