#pragma once

// What ranks say to each other. Everything else is built on these operations.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"

namespace stoker::comm {

using Bytes = std::vector<std::byte>;

// A value and whose it is.
struct RankedValue {
  std::int64_t value = 0;
  int rank = 0;
};
// The larger one; of equals the lower rank's.
inline RankedValue LargerOf(const RankedValue& a, const RankedValue& b) {
  const bool first =
      a.value > b.value || (a.value == b.value && a.rank < b.rank);
  return first ? a : b;
}

// Every call but Abort is collective: all ranks make it, in the same order,
// each rank always from one thread. Each fails, instead of hanging, when a rank
// aborted or is gone (kUnavailable), the cancel flag given at construction is
// set (kCancelled), or a time limit has passed (kTimedOut). Ranks do not fail
// together: after a failure a rank is out of step with the others, so all its
// later calls return that same error, and what remains is to Abort and to end.
// A wait costs CPU for its first 50 us only.
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Index of this rank's host among the hosts (in order of their lowest rank),
  // and this rank's index on its host.
  virtual int node() const = 0;
  virtual int node_count() const = 0;
  virtual int local_rank() const = 0;
  virtual int local_size() const = 0;

  // A barrier to which each rank brings a number: the largest, and the lowest
  // rank that brought it. Costs no more than a barrier without.
  virtual core::Result<RankedValue> BarrierMax(core::Nanos timeout,
                                               std::int64_t value) = 0;
  core::Status Barrier(core::Nanos timeout) {
    return BarrierMax(timeout, 0).status();
  }
  // Root's bytes reach every rank; other ranks' argument is replaced.
  virtual core::Status Broadcast(Bytes& data, int root) = 0;
  // At root, element r holds rank r's bytes (lengths may differ); elsewhere {}.
  virtual core::Result<std::vector<Bytes>> Gather(
      std::span<const std::byte> mine, int root) = 0;
  // Ends the run: every present and future collective call fails on every rank
  // that can be reached, with the first cause given. Not collective; from any
  // thread. `cause` not ok.
  virtual void Abort(const core::Status& cause) = 0;
};

// The time limit of the collectives that do not take one.
inline constexpr core::Nanos kCollectiveTimeout = std::chrono::seconds(600);

// A single rank. `cancel` may be null, else must outlive the communicator.
std::unique_ptr<Communicator> MakeSelf(const core::CancelFlag* cancel);

// `n` ranks in one process, one per thread: element r is for one thread, which
// must be attached to `clock`. Under virtual time all n threads are attached
// before the first of them waits. Destroying element r makes the calls of the
// ranks that still wait for it fail (kUnavailable). `clock` and `cancel` (may
// be null) outlive the communicators. `ranks_per_node` > 0 pretends that many
// ranks share a host (the last may have fewer); 0: all on one.
std::vector<std::unique_ptr<Communicator>> MakeThreads(
    int n, core::Clock& clock, const core::CancelFlag* cancel,
    int ranks_per_node = 0);

// --- Built on the above; collective -----------------------------------------

// The status of the lowest failing rank, the same on every rank, prefixed with
// "rank r: " where there is more than one rank; ok if all are ok. If the ranks
// cannot be asked, this rank's own error, or why they could not.
core::Status Agree(Communicator& comm, const core::Status& mine);

// Every rank gets every rank's bytes.
core::Result<std::vector<Bytes>> AllGather(Communicator& comm,
                                           std::span<const std::byte> mine);

// Text to and from Bytes.
Bytes ToBytes(std::string_view text);
std::string ToText(std::span<const std::byte> bytes);

// Runs `body` on n ranks of MakeThreads, each on a thread attached to `clock`,
// and returns once all have ended. The caller must not be attached to `clock`:
// it is attached here while it starts the threads, so that time stands still
// until all are there. For tests and predictions.
void RunThreads(int n, core::Clock& clock, const core::CancelFlag* cancel,
                const std::function<void(Communicator&)>& body,
                int ranks_per_node = 0);

}  // namespace stoker::comm
