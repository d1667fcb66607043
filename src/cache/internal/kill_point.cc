#include "cache/internal/kill_point.h"

#ifdef STOKER_KILL_POINTS

#include <atomic>

namespace stoker::cache::internal {

namespace {

std::atomic<KillHook> kill_hook = nullptr;

}  // namespace

void SetKillHook(KillHook hook) { kill_hook.store(hook); }

void KillPoint(std::string_view name) {
  if (const KillHook hook = kill_hook.load(std::memory_order_relaxed);
      hook != nullptr) {
    hook(name);
  }
}

}  // namespace stoker::cache::internal

#endif
