#include "core/thread_policy.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace stoker::core {

namespace {

// struct sched_attr of sched_setattr(2); glibc 2.36 has none. For fair threads
// `runtime` is the time slice.
struct SchedAttributes {
  std::uint32_t size = sizeof(SchedAttributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  // ns
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(SchedAttributes) == 48);

constexpr std::uint64_t kShortestSliceNanos = 100'000;

}  // namespace

void PreferPromptWakeUps() {
  SchedAttributes wanted;
  if (::syscall(SYS_sched_getattr, 0, &wanted, sizeof(wanted), 0) != 0 ||
      wanted.policy != SCHED_OTHER) {
    return;  // a policy that the user chose stays
  }
  wanted.size = sizeof(wanted);
  wanted.flags = 0;
  wanted.runtime = kShortestSliceNanos;
  ::syscall(SYS_sched_setattr, 0, &wanted, 0);
}

void PreferLongSlices() {
  if (::sched_getscheduler(0) == SCHED_OTHER) {
    const sched_param parameters{};
    ::sched_setscheduler(0, SCHED_BATCH, &parameters);
  }
}

}  // namespace stoker::core
