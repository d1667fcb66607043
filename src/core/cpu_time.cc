#include "core/cpu_time.h"

#include <time.h>

namespace stoker::core {

namespace {

Nanos Read(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + Nanos(time.tv_nsec);
}

}  // namespace

Nanos ThreadCpuTime() { return Read(CLOCK_THREAD_CPUTIME_ID); }
Nanos ProcessCpuTime() { return Read(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace stoker::core
