#include "metrics/checkpoint_collect.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "metrics/internal/checkpoint_codec.h"
#include "metrics/internal/packed.h"
#include "metrics/internal/record_codec.h"

namespace stoker::metrics {
namespace {

// A barrier in a few hundred is held up by nobody; 32 cost milliseconds.
constexpr int kRounds = 32;

// Of one barrier, on the rank's own clock.
struct Stamps {
  core::TimePoint before{};
  core::TimePoint after{};
};
using Rounds = std::array<Stamps, kRounds>;

core::Result<Rounds> MeetOften(comm::Communicator& comm, core::Clock& clock) {
  Rounds rounds;
  for (Stamps& stamps : rounds) {
    stamps.before = clock.Now();
    STOKER_TRY(comm.Barrier(comm::kCollectiveTimeout));
    stamps.after = clock.Now();
  }
  return rounds;
}

core::Result<Rounds> ShareRootRounds(comm::Communicator& comm,
                                     const Rounds& mine) {
  comm::Bytes message;
  if (comm.rank() == kRoot) {
    PackedWriter out;
    for (const Stamps& stamps : mine) {
      out.Point(stamps.before);
      out.Point(stamps.after);
    }
    message.assign(out.bytes().begin(), out.bytes().end());
  }
  STOKER_TRY(comm.Broadcast(message, kRoot));
  PackedReader in(message);
  Rounds rounds;
  for (Stamps& stamps : rounds) {
    stamps.before = in.Point();
    stamps.after = in.Point();
  }
  if (!in.complete()) {
    return core::Status(core::Code::kCorruption,
                        "the time stamps of rank 0 do not read; does every "
                        "host run the same version?");
  }
  return rounds;
}

ClockOffset OffsetFrom(const Rounds& mine, const Rounds& root) {
  core::Nanos least = core::Nanos::min();
  core::Nanos most = core::Nanos::max();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    // Rank 0 had entered when this rank left, and this rank when rank 0 left.
    least = std::max(least, root[i].before - mine[i].after);
    most = std::min(most, root[i].after - mine[i].before);
  }
  // Clocks that drift may make the bounds cross; half the width, rounded up.
  const core::Nanos width = std::max(core::Nanos{}, most - least);
  return {.offset = least + (most - least) / 2,
          .error = (width + core::Nanos(1)) / 2};
}

}  // namespace

core::Result<ClockOffset> AlignClocks(comm::Communicator& comm,
                                      core::Clock& clock) {
  if (comm.node_count() == 1) return ClockOffset{};
  STOKER_ASSIGN(const Rounds mine, MeetOften(comm, clock));
  STOKER_ASSIGN(const Rounds root, ShareRootRounds(comm, mine));
  // Hosts are counted from that of rank 0.
  return comm.node() == 0 ? ClockOffset{} : OffsetFrom(mine, root);
}

core::Result<CheckpointRecord> CollectCheckpoints(
    comm::Communicator& comm, const CheckpointFacts& facts,
    const CheckpointRankRecord& mine, const HostFacts& host) {
  CheckpointRankRecord named = mine;
  named.rank = static_cast<std::uint32_t>(comm.rank());
  named.node = static_cast<std::uint32_t>(comm.node());
  named.local_rank = static_cast<std::uint32_t>(comm.local_rank());
  PackedWriter packed;
  PackCheckpoints(named, packed);
  PackLedHost(comm.local_rank() == 0, host, packed);
  STOKER_ASSIGN(const std::vector<comm::Bytes> all,
                comm.Gather(packed.bytes(), kRoot));
  CheckpointRecord record;
  record.facts = facts;
  if (comm.rank() != kRoot) return record;
  record.state = RunState::kComplete;
  record.hosts.resize(static_cast<std::size_t>(comm.node_count()));
  for (const comm::Bytes& bytes : all) {
    PackedReader in(bytes);
    CheckpointRankRecord rank = UnpackCheckpoints(in);
    STOKER_TRY(TakeLedHost(in, record.ranks.size(), rank.node, record.hosts));
    record.ranks.push_back(std::move(rank));
  }
  return record;
}

}  // namespace stoker::metrics
