#include "metrics/step_gather.h"

#include <fmt/format.h>

#include <utility>

#include "metrics/internal/packed.h"
#include "metrics/internal/record_codec.h"

namespace stoker::metrics {

core::Result<std::vector<EpochRecord>> GatherSteps(comm::Communicator& comm,
                                                   const EpochRecord& mine) {
  PackedWriter packed;
  PackSteps(mine, packed);
  STOKER_ASSIGN(const std::vector<comm::Bytes> all,
                comm.Gather(packed.bytes(), kRoot));
  std::vector<EpochRecord> ranks;
  for (const comm::Bytes& bytes : all) {
    PackedReader in(bytes);
    EpochRecord epoch;
    UnpackSteps(in, epoch);
    if (!in.complete()) {
      return core::Status(
          core::Code::kCorruption,
          fmt::format("the steps of rank {} do not read; does every host run "
                      "the same version?",
                      ranks.size()));
    }
    ranks.push_back(std::move(epoch));
  }
  return ranks;
}

}  // namespace stoker::metrics
