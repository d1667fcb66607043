#include "metrics/collect.h"

#include <utility>

#include "metrics/internal/packed.h"
#include "metrics/internal/record_codec.h"

namespace stoker::metrics {
namespace {

PackedWriter PackMine(const comm::Communicator& comm, RankFacts rank,
                      const HostFacts& host, const RankRecorder& recorder) {
  rank.rank = static_cast<std::uint32_t>(comm.rank());
  rank.node = static_cast<std::uint32_t>(comm.node());
  rank.local_rank = static_cast<std::uint32_t>(comm.local_rank());
  PackedWriter out;
  PackRank(rank, out);
  out.U64(recorder.epochs().size());
  for (const EpochSummary& epoch : recorder.epochs()) PackSummary(epoch, out);
  PackLedHost(comm.local_rank() == 0, host, out);
  return out;
}

core::Status AddRank(PackedReader& in, RunRecord& record) {
  RankRecord rank;
  rank.facts = UnpackRank(in);
  rank.epochs.resize(in.Count(8));
  for (EpochSummary& epoch : rank.epochs) epoch = UnpackSummary(in);
  STOKER_TRY(
      TakeLedHost(in, record.ranks.size(), rank.facts.node, record.hosts));
  record.ranks.push_back(std::move(rank));
  return {};
}

}  // namespace

core::Result<RunRecord> Collect(comm::Communicator& comm, const RunFacts& facts,
                                const RankFacts& rank, const HostFacts& host,
                                const RankRecorder& recorder) {
  const PackedWriter mine = PackMine(comm, rank, host, recorder);
  STOKER_ASSIGN(const std::vector<comm::Bytes> all,
                comm.Gather(mine.bytes(), kRoot));
  RunRecord record;
  record.facts = facts;
  if (comm.rank() != kRoot) return record;
  record.state = RunState::kComplete;
  record.hosts.resize(static_cast<std::size_t>(comm.node_count()));
  for (const comm::Bytes& bytes : all) {
    PackedReader in(bytes);
    STOKER_TRY(AddRank(in, record));
  }
  return record;
}

}  // namespace stoker::metrics
