#include "cli/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "cli/exit_codes.h"

namespace stoker::cli {

namespace {

// A signal handler has no other way to reach them.
std::atomic<core::CancelFlag*> g_flag{nullptr};
std::atomic<unsigned> g_grace_seconds{0};

void OnSignal(int number) {
  core::CancelFlag* flag = g_flag.load();
  if (number == SIGALRM || (number == SIGINT && flag->IsSet())) {
    ::_exit(kExitInterrupted);
  }
  if (!flag->IsSet()) {
    flag->Set();
    ::alarm(g_grace_seconds.load());
  }
}

}  // namespace

void CancelOnSignals(core::CancelFlag& flag, unsigned grace_seconds) {
  g_flag.store(&flag);
  g_grace_seconds.store(grace_seconds);
  struct sigaction action{};
  action.sa_handler = OnSignal;
  ::sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGALRM}) {
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace stoker::cli
