// What an operation costs at the seam of storage: reads of nothing from null:,
// submitted and reaped as a loader does, in nanoseconds of CPU time each. The
// median of several rounds is printed.
//
// Usage: stoker_seam_overhead [OPS]

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/clock.h"
#include "core/cpu_time.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker {
namespace {

constexpr std::size_t kBatch = 4;  // of a loader's lane
constexpr int kRounds = 9;

core::Result<double> NanosPerOp(storage::ReadQueue& queue,
                                storage::ObjectId object, std::uint64_t ops) {
  std::array<storage::ReadOp, kBatch> asked{};
  std::array<storage::ReadDone, kBatch> done{};
  static std::array<std::byte, 4096> buffer{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    asked[i] = {.object = object, .buffer = buffer, .tag = i};
  }
  const core::Nanos start = core::ThreadCpuTime();
  for (std::uint64_t finished = 0; finished < ops;) {
    STOKER_TRY(queue.Submit(asked).status());
    STOKER_ASSIGN(const std::size_t count,
                  queue.Reap(done, kBatch, core::kNever));
    finished += count;
  }
  const core::Nanos taken = core::ThreadCpuTime() - start;
  return static_cast<double>(taken.count()) / static_cast<double>(ops);
}

core::Result<double> Measure(std::uint64_t ops) {
  core::SystemClock clock;
  STOKER_ASSIGN(const std::unique_ptr<storage::Backend> backend,
                storage::OpenBackend("null:"));
  STOKER_ASSIGN(const std::unique_ptr<storage::ReadQueue> queue,
                backend->NewReadQueue({.depth = 32}, clock));
  const storage::ObjectId object = backend->Resolve("object");
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) {
    STOKER_ASSIGN(const double one, NanosPerOp(*queue, object, ops));
    rounds.push_back(one);
  }
  std::ranges::sort(rounds);
  return rounds[kRounds / 2];
}

}  // namespace
}  // namespace stoker

int main(int argc, char** argv) {
  const std::uint64_t ops =
      argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 4'000'000;
  const stoker::core::Result<double> figure = stoker::Measure(ops);
  if (!figure.ok()) {
    std::fprintf(stderr, "%s\n", figure.status().ToString().c_str());
    return 1;
  }
  std::printf("%.1f\n", figure.value());
  return 0;
}
