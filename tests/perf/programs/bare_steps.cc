// The AU of ranks that do nothing but sleep and meet: stoker_bare_steps RANKS
// COMPUTE_SECONDS STEPS. As a run's: what the sleeps took / wall time, without
// the first step. They wait for each other awake, leaving the core to others,
// which no barrier does for less. Prints the mean AU in percent.

#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/thread_policy.h"

namespace stoker {
namespace {

constexpr std::uint64_t kMostRanks = 256;

// In memory that the ranks share.
struct Shared {
  alignas(64) std::atomic<std::uint64_t> arrived{0};  // over all steps
  alignas(64) std::atomic<std::int64_t> computed_nanos{0};
  alignas(64) std::atomic<std::int64_t> took_nanos{0};
};

struct Steps {
  std::uint64_t ranks = 0;
  core::Nanos compute{};
  std::uint64_t count = 0;
};

// Looks until all ranks have come `times` times; leaves the core to others.
void Meet(Shared& shared, std::uint64_t ranks, std::uint64_t times) {
  shared.arrived.fetch_add(1);
  while (shared.arrived.load() < ranks * times) {
    ::sched_yield();
  }
}

void RunRank(Shared& shared, const Steps& steps) {
  core::PreferPromptWakeUps();
  core::SystemClock clock;
  core::PunctualSleeper sleeper(clock);
  Meet(shared, steps.ranks, 1);
  core::TimePoint start = clock.Now();
  core::Nanos computed{};
  for (std::uint64_t step = 0; step < steps.count; ++step) {
    if (step == 1) {
      start = clock.Now();
      computed = {};
    }
    const core::TimePoint begun = clock.Now();
    sleeper.SleepUntil(begun + steps.compute);
    computed += clock.Now() - begun;
    Meet(shared, steps.ranks, step + 2);
  }
  shared.computed_nanos.fetch_add(computed.count());
  shared.took_nanos.fetch_add((clock.Now() - start).count());
}

bool Parse(std::string_view text, auto& value) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0;
}

int Main(int argc, char** argv) {
  Steps steps;
  double seconds = 0;
  if (argc != 4 || !Parse(argv[1], steps.ranks) || steps.ranks > kMostRanks ||
      !Parse(argv[2], seconds) || !Parse(argv[3], steps.count)) {
    fmt::print(stderr, "usage: {} RANKS COMPUTE_SECONDS STEPS\n",
               argc > 0 ? argv[0] : "stoker_bare_steps");
    return 2;
  }
  steps.compute = core::FromSeconds(seconds);
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fmt::print(stderr, "no shared memory\n");
    return 1;
  }
  auto* shared = std::construct_at(static_cast<Shared*>(memory));
  std::vector<pid_t> ranks;
  for (std::uint64_t i = 0; i < steps.ranks; ++i) {
    const pid_t rank = ::fork();
    if (rank == 0) {
      RunRank(*shared, steps);
      ::_exit(0);
    }
    if (rank < 0) {
      // The others wait for it in vain.
      std::ranges::for_each(ranks, [](pid_t pid) { ::kill(pid, SIGKILL); });
      fmt::print(stderr, "no process for rank {}\n", i);
      return 1;
    }
    ranks.push_back(rank);
  }
  for (const pid_t rank : ranks) {
    ::waitpid(rank, nullptr, 0);
  }
  fmt::print("{:.3f}\n", 100.0 * static_cast<double>(shared->computed_nanos) /
                             static_cast<double>(shared->took_nanos));
  return 0;
}

}  // namespace
}  // namespace stoker

int main(int argc, char** argv) { return stoker::Main(argc, argv); }
