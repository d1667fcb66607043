// Running the launcher: output copied as it comes, signals passed on, the
// first cause remembered.

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "cli/exit_codes.h"
#include "cli/launch.h"
#include "core/clock.h"
#include "reporting/json.h"
#include "run/console.h"

namespace stoker::cli {

namespace {

using core::Code;
using core::Status;

constexpr std::string_view kErrorPrefix = "stoker: error: ";
// How the error of a rank ends that another one, or mpirun, told to stop.
constexpr std::string_view kToldToStop = "asked to stop";
// How Open MPI tells of a rank, and of a host, that is gone.
constexpr std::string_view kLostRank = "mpirun noticed that process rank ";
constexpr std::string_view kLostHost = "Remote daemon: ";
constexpr std::string_view kOnNode = " on node ";
constexpr core::Nanos kKillAfter = std::chrono::seconds(10);

// The message of a JSON line of ours that tells an error; "" of any other.
std::string ErrorOf(const reporting::Json& line) {
  return reporting::TextField(line, "level") == "ERROR"
             ? reporting::TextField(line, "message")
             : std::string();
}

// One of the child's streams: passed on, copied without progress lines,
// searched for the first error.
class Stream {
 public:
  Stream(int target, const std::string& copy_path, run::LogFormat format)
      : target_(target),
        format_(format),
        copy_(copy_path.empty() ? nullptr
                                : std::fopen(copy_path.c_str(), "we")) {}
  ~Stream() {
    Close();
    if (copy_ != nullptr) {
      std::fclose(copy_);
    }
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Status Open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return Status::FromErrno(errno, "make a pipe for the launcher");
    }
    read_end_ = ends[0];
    write_end_ = ends[1];
    return {};
  }
  int read_end() const { return read_end_; }
  int write_end() const { return write_end_; }
  void CloseWriteEnd() {
    if (write_end_ >= 0) {
      ::close(std::exchange(write_end_, -1));
    }
  }
  // What went wrong as a rank says, as mpirun says, and as those say that were
  // told to stop; "" for nothing.
  const std::string& first_error() const { return first_error_; }
  const std::string& first_loss() const { return first_loss_; }
  const std::string& first_stop() const { return first_stop_; }

  // What is there to read; closes at the end.
  void Drain() {
    std::array<char, 65536> buffer;
    const ssize_t count = ::read(read_end_, buffer.data(), buffer.size());
    if (count <= 0) {
      if (count == 0 || errno != EINTR) {
        if (!line_.empty()) {
          FinishLine();
        }
        Close();
      }
      return;
    }
    const std::string_view text(buffer.data(), static_cast<std::size_t>(count));
    if (format_ == run::LogFormat::kText) {
      PassOn(text);  // before the line is whole: progress lines never are
    }
    for (const char c : text) {
      Take(c);
    }
    if (copy_ != nullptr) {
      std::fflush(copy_);
    }
  }

 private:
  void PassOn(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written = ::write(target_, text.data(), text.size());
      if (written < 0 && errno != EINTR) {
        return;  // our reader is gone; the files still get everything
      }
      text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
  }

  void Take(char c) {
    if (c == '\n') {
      FinishLine();
      return;
    }
    line_ += c;
    // A progress line is replaced in place: it never reaches the file.
    if (line_.ends_with(run::kProgressEnd)) {
      const std::size_t start = line_.rfind(run::kProgressStart);
      if (start != std::string::npos) {
        line_.erase(start);
      }
    }
  }

  void FinishLine() {
    // A terminal in between (mpirun gives each rank one) ends lines with \r\n.
    if (line_.ends_with('\r')) {
      line_.pop_back();
    }
    if (format_ == run::LogFormat::kJson) {
      FinishJsonLine();
      return;
    }
    const std::size_t at = line_.find(kErrorPrefix);
    NoteCause(at == std::string::npos ? std::string()
                                      : line_.substr(at + kErrorPrefix.size()));
    if (copy_ != nullptr) {
      std::fputs((line_ + "\n").c_str(), copy_);
    }
    line_.clear();
  }

  // `error`: what the line says went wrong; "" if it is none of ours.
  void NoteCause(const std::string& error) {
    if (!error.empty()) {
      std::string& first =
          error.ends_with(kToldToStop) ? first_stop_ : first_error_;
      if (first.empty()) {
        first = error;
      }
    } else if (first_loss_.empty()) {
      const std::size_t host = line_.find(kLostHost);
      const std::size_t node = line_.find(kOnNode);
      if (line_.starts_with(kLostRank)) {
        first_loss_ = line_;
      } else if (host != std::string::npos && node != std::string::npos) {
        first_loss_ = "mpirun lost host " + line_.substr(node + kOnNode.size());
      }
    }
  }

  // mpirun speaks on the same streams, in words of its own.
  void FinishJsonLine() {
    const core::Result<reporting::Json> parsed = reporting::ParseJson(line_);
    const bool ours =
        parsed.ok() &&
        std::holds_alternative<reporting::Json::Object>(parsed.value().value());
    NoteCause(ours ? ErrorOf(parsed.value()) : std::string());
    std::string whole;
    if (ours) {
      whole = line_ + "\n";
    } else if (line_.find_first_not_of(" \t") != std::string::npos) {
      whole = run::LogLine(format_,
                           target_ == STDERR_FILENO ? run::LogLevel::kWarning
                                                    : run::LogLevel::kInfo,
                           {.name = "launcher", .text = line_});
    }
    PassOn(whole);
    if (copy_ != nullptr) {
      std::fputs(whole.c_str(), copy_);
    }
    line_.clear();
  }

  void Close() {
    CloseWriteEnd();
    if (read_end_ >= 0) {
      ::close(std::exchange(read_end_, -1));
    }
  }

  int target_;
  run::LogFormat format_;
  std::FILE* copy_;
  int read_end_ = -1;
  int write_end_ = -1;
  std::string line_;
  std::string first_error_;
  std::string first_loss_;
  std::string first_stop_;
};

// In the child, where only what is safe after a fork may be called. Tells what
// went wrong through `report`; an exec closes it without a word.
[[noreturn]] void BecomeProgram(char* const* argv, int out, int err, int report,
                                pid_t launcher) {
  // A launcher that is killed takes mpirun along, which ends its ranks.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != launcher) {
    ::_exit(kExitFailure);
  }
  // A process group of its own: Ctrl-C reaches us, and we pass it on once.
  ::setpgid(0, 0);
  // mpirun would swallow our input to give it to rank 0, which reads none.
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0 &&
      ::dup2(out, STDOUT_FILENO) >= 0 && ::dup2(err, STDERR_FILENO) >= 0) {
    ::execvp(argv[0], argv);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(report, &error, sizeof error);
  ::_exit(kExitFailure);
}

// Not posix_spawn: it cannot tie the child's life to ours.
core::Result<pid_t> Spawn(const std::vector<std::string>& words,
                          const Stream& out, const Stream& err) {
  std::vector<std::string> copies = words;
  std::vector<char*> argv;
  argv.reserve(copies.size() + 1);
  for (std::string& word : copies) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) {
    return Status::FromErrno(errno, "make a pipe for the launcher");
  }
  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    BecomeProgram(argv.data(), out.write_end(), err.write_end(), report[1],
                  self);
  }
  int error = pid < 0 ? errno : 0;
  ::close(report[1]);
  while (pid > 0 && ::read(report[0], &error, sizeof error) < 0 &&
         errno == EINTR) {
  }
  ::close(report[0]);
  if (error == 0) {
    return pid;
  }
  if (pid > 0) {
    ::waitpid(pid, nullptr, 0);
  }
  return Status::FromErrno(error, "start '" + words.front() + "'")
      .WithContext(
          "launch the ranks (is Open MPI installed? --mpi-bin, "
          "MPI_RUN_BIN name the launcher)");
}

ChildResult ResultOf(int status, const Stream& out, const Stream& err,
                     const core::CancelFlag& cancel) {
  ChildResult result;
  for (const std::string* cause :
       {&err.first_error(), &out.first_error(), &err.first_loss(),
        &out.first_loss(), &err.first_stop(), &out.first_stop()}) {
    if (result.first_error.empty()) {
      result.first_error = *cause;
    }
  }
  result.is_cause =
      !result.first_error.empty() && !result.first_error.ends_with(kToldToStop);
  if (WIFEXITED(status)) {
    const int code = WEXITSTATUS(status);
    result.status = fmt::format("ended with status {}", code);
    const bool ours =
        (code >= 0 && code <= kExitTimeout) || code == kExitInterrupted;
    result.exit_code = ours ? code : kExitFailure;
    // mpirun itself says 1 for whatever it cannot start.
    if (code == kExitGeneral && result.first_error.empty()) {
      result.exit_code = kExitFailure;
    }
  } else {
    result.status = fmt::format("was killed by signal {}", WTERMSIG(status));
    result.exit_code = kExitFailure;
  }
  if (cancel.IsSet()) {
    result.exit_code = kExitInterrupted;
  }
  return result;
}

}  // namespace

core::Result<ChildResult> RunChild(const std::vector<std::string>& words,
                                   const ChildOutput& output,
                                   const core::CancelFlag& cancel) {
  Stream out(STDOUT_FILENO, output.stdout_file, output.format);
  Stream err(STDERR_FILENO, output.stderr_file, output.format);
  STOKER_TRY(out.Open());
  STOKER_TRY(err.Open());
  STOKER_ASSIGN(const pid_t pid, Spawn(words, out, err));
  out.CloseWriteEnd();
  err.CloseWriteEnd();
  const core::SystemClock clock;
  core::TimePoint kill_at = core::kNever;
  while (out.read_end() >= 0 || err.read_end() >= 0) {
    if (cancel.IsSet() && kill_at == core::kNever) {
      ::kill(pid, SIGTERM);
      kill_at = clock.Now() + kKillAfter;
    } else if (clock.Now() >= kill_at) {
      ::kill(-pid, SIGKILL);
    }
    std::array<pollfd, 2> waits{
        {{out.read_end(), POLLIN, 0}, {err.read_end(), POLLIN, 0}}};
    constexpr int kPollMillis = 200;
    if (::poll(waits.data(), waits.size(), kPollMillis) <= 0) {
      continue;
    }
    if (waits[0].revents != 0) {
      out.Drain();
    }
    if (waits[1].revents != 0) {
      err.Drain();
    }
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return ResultOf(status, out, err, cancel);
}

}  // namespace stoker::cli
