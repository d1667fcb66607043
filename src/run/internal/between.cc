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
    return Status::FromErrno(failure, "start /bin/sh for --between command");
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

Status DropCaches(const std::string& control) {
  ::sync();
  const int fd = ::open(control.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && ::write(fd, "3", 1) == 1;
  const int failure = written ? 0 : errno;
  if (fd >= 0) {
    ::close(fd);
  }
  if (failure == 0) {
    return {};
  }
  const Status status =
      Status::FromErrno(failure, "drop the page cache through " + control);
  return {status.code(),
          fmt::format("{}; remedy: run as root, --between flush (the "
                      "checkpoint's own pages), or --between "
                      "command:\"sudo ...\"",
                      status.message()),
          failure};
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
