#include "metrics/collect.h"

#include <fmt/format.h>

#include <utility>

#include "metrics/internal/packed.h"
#include "metrics/internal/record_codec.h"

namespace stoker::metrics {
namespace {

constexpr int kRoot = 0;

PackedWriter PackMine(const comm::Communicator& comm, RankFacts rank,
                      const HostFacts& host, const RankRecorder& recorder) {
  rank.rank = static_cast<std::uint32_t>(comm.rank());
  rank.node = static_cast<std::uint32_t>(comm.node());
  rank.local_rank = static_cast<std::uint32_t>(comm.local_rank());
  PackedWriter out;
  PackRank(rank, out);
  out.U64(recorder.epochs().size());
  for (const EpochSummary& epoch : recorder.epochs()) PackSummary(epoch, out);
  // One host's facts once: by the rank that leads it.
  const bool leads = comm.local_rank() == 0;
  out.U64(leads ? 1 : 0);
  if (leads) PackHost(host, out);
  return out;
}

core::Status AddRank(PackedReader& in, RunRecord& record) {
  RankRecord rank;
  rank.facts = UnpackRank(in);
  rank.epochs.resize(in.Count(8));
  for (EpochSummary& epoch : rank.epochs) epoch = UnpackSummary(in);
  const bool leads = in.Bool();
  HostFacts host;
  if (leads) host = UnpackHost(in);
  if (!in.complete() || rank.facts.node >= record.hosts.size()) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("the measurements of rank {} do not read; does every host "
                    "run the same version?",
                    record.ranks.size()));
  }
  HostFacts& known = record.hosts[rank.facts.node];
  const std::uint32_t ranks = known.ranks + 1;
  if (leads) known = std::move(host);
  known.ranks = ranks;
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
