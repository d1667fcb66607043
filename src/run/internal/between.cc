#include "run/internal/between.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "core/units.h"

extern char** environ;

namespace stoker::run::internal {

namespace {

using core::Code;
using core::Status;

// A process group of its own, so that its children can be ended with it.
core::Result<pid_t> Start(const std::string& command) {
  posix_spawnattr_t attributes{};
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  std::string shell = "sh";
  std::string option = "-c";
  std::string text = command;
  const std::array<char*, 4> words{shell.data(), option.data(), text.data(),
                                   nullptr};
  pid_t child = 0;
  const int failure = ::posix_spawn(&child, "/bin/sh", nullptr, &attributes,
                                    words.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failure != 0) {
    return Status::FromErrno(failure, "start /bin/sh");
  }
  return child;
}

Status StatusOf(const std::string& command, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return {};
  }
  return {Code::kIoError,
          fmt::format(
              "--between command '{}' {} {}; remedy: try it by hand on "
              "every host",
              command,
              WIFEXITED(status) ? "ended with status" : "was killed by signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status))};
}

}  // namespace

Status CheckDropCaches(const DropCachesOptions& options) {
  const int fd = ::open(options.control.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    ::close(fd);
    return {};
  }
  const int failure = errno;
  const Status status = Status::FromErrno(
      failure, "drop the page cache through " + options.control);
  return {status.code(),
          fmt::format("{}; remedy: {}", status.message(), options.remedy),
          failure};
}

Status DropCaches(const DropCachesOptions& options,
                  const core::CancelFlag& cancel) {
  STOKER_TRY(CheckDropCaches(options));
  const auto end = std::chrono::steady_clock::now() + options.limit;
  // Writing back may take as long as it likes, and no signal ends it: a process
  // of its own can be left behind.
  STOKER_ASSIGN(const pid_t child,
                Start(fmt::format("sync && echo 3 > '{}'", options.control)));
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) {
      return WIFEXITED(status) && WEXITSTATUS(status) == 0
                 ? Status()
                 : Status(Code::kIoError,
                          fmt::format("drop the page cache through {}: sync "
                                      "or the write failed; remedy: {}",
                                      options.control, options.remedy));
    }
    if (ended < 0 && errno != EINTR) {
      return Status::FromErrno(errno, "wait for the page cache to be dropped");
    }
    const bool late = std::chrono::steady_clock::now() >= end;
    if (late || cancel.IsSet()) {
      ::kill(-child, SIGKILL);
      return late ? Status(
                        Code::kTimedOut,
                        fmt::format(
                            "drop the page cache: not done within {}; "
                            "remedy: write back before (sync), or allow "
                            "more time",
                            core::FormatSeconds(core::Seconds(options.limit))))
                  : Status(Code::kCancelled, "asked to stop");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Status RunShellCommand(const std::string& command, core::Clock& clock,
                       const core::CancelFlag& cancel) {
  STOKER_ASSIGN(const pid_t child, Start(command));
  constexpr core::Nanos kLook = std::chrono::milliseconds(10);
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) {
      return StatusOf(command, status);
    }
    if (ended < 0 && errno != EINTR) {
      return Status::FromErrno(errno, "wait for --between command");
    }
    if (cancel.IsSet()) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      return {Code::kCancelled, "asked to stop"};
    }
    clock.SleepUntil(clock.Now() + kLook);
  }
}

}  // namespace stoker::run::internal
