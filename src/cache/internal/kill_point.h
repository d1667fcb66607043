#pragma once

// Places where tests end or stop a process.

#ifdef STOKER_KILL_POINTS
#include <string_view>
#endif

namespace stoker::cache::internal {

#ifdef STOKER_KILL_POINTS
// Called with the name of each place that is passed; null: nobody is. Of the
// process, and of those it forks.
using KillHook = void (*)(std::string_view name);
void SetKillHook(KillHook hook);
void KillPoint(std::string_view name);
#else
inline void KillPoint(const char* /*name*/) {}
#endif

}  // namespace stoker::cache::internal
