#include "run/internal/tell_order.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "emulator/read_order.h"

namespace stoker::run::internal {

namespace {

// Collective. By rank, whether it is on this host.
core::Result<std::vector<bool>> RanksHere(comm::Communicator& comm) {
  STOKER_ASSIGN(const std::vector<comm::Bytes> nodes,
                comm.Gather(comm::ToBytes(std::to_string(comm.node())), 0));
  std::string text;
  for (const comm::Bytes& node : nodes) {
    text.append(comm::ToText(node)).append(" ");
  }
  comm::Bytes message = comm::ToBytes(text);
  STOKER_TRY(comm.Broadcast(message, 0));
  text = comm::ToText(message);
  const std::string ours = std::to_string(comm.node());
  std::vector<bool> here;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find(' ', at);
    here.push_back(text.compare(at, end - at, ours) == 0);
    at = end + 1;
  }
  return here;
}

}  // namespace

core::Result<std::unique_ptr<storage::ReadOrder>> OrderOfReads(
    const RankContext& context, const emulator::LoaderData& data,
    const emulator::LoaderOptions& options, RunPlan& plan) {
  if (!data.backend->capabilities().foresees) {
    return std::unique_ptr<storage::ReadOrder>();
  }
  STOKER_ASSIGN(std::vector<bool> here, RanksHere(*context.comm));
  core::Result<std::unique_ptr<storage::ReadOrder>> order =
      emulator::MakeReadOrder(plan.shape, data, options, std::move(here));
  if (order.status().code() == core::Code::kUnsupported) {
    plan.warnings.push_back(fmt::format(
        "cache: {} is not told to it, so that no block gives way to another",
        order.status().message()));
    return std::unique_ptr<storage::ReadOrder>();
  }
  return order;
}

}  // namespace stoker::run::internal
