#include "metrics/ledger_gather.h"

#include <fmt/format.h>

#include <utility>

#include "metrics/internal/ledger_codec.h"
#include "metrics/internal/record_codec.h"

namespace stoker::metrics {
namespace {

// Hosts are numbered by their lowest rank, and that one brings what is the
// host's: the first of a host to come begins it.
void AddToHosts(const HostLedger& rank, std::vector<HostLedger>& hosts) {
  if (rank.node == hosts.size()) {
    hosts.push_back(rank);
  } else {
    AddRank(rank, hosts[rank.node]);
  }
}

}  // namespace

core::Status GatherLedger(comm::Communicator& comm, const RankLedger& mine,
                          RunLedger& run) {
  PackedWriter packed;
  PackLedger(mine, packed);
  STOKER_ASSIGN(const std::vector<comm::Bytes> all,
                comm.Gather(packed.bytes(), kRoot));
  if (comm.rank() != kRoot) return {};
  EpochLedger epoch{.epoch = mine.epoch, .hosts = {}, .latencies = {}};
  storage::Latencies latencies;
  std::size_t rank = 0;
  for (const comm::Bytes& bytes : all) {
    PackedReader in(bytes);
    RankLedger one;
    if (!UnpackLedger(in, one) || one.host.node > epoch.hosts.size()) {
      return core::Status(
          core::Code::kCorruption,
          fmt::format("the ledger of rank {} does not read; does every host "
                      "run the same version?",
                      rank));
    }
    AddToHosts(one.host, epoch.hosts);
    latencies.Merge(one.latencies);
    ++rank;
  }
  epoch.latencies = FiguresOf(latencies);
  run.latencies.Merge(latencies);
  run.epochs.push_back(std::move(epoch));
  return {};
}

}  // namespace stoker::metrics
