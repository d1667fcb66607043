#pragma once

// What a run says while it goes on: lines for people, a progress line on a
// terminal.

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace stoker::run {

enum class LogLevel : std::uint8_t {
  kError,
  kWarning,
  kInfo,
  kVerbose,
  kDebug
};

struct ConsoleOptions {
  bool speaks = true;  // rank 0; others print errors only
  LogLevel level = LogLevel::kInfo;
  int progress_columns = 0;  // width of the terminal; 0: no progress line
};

// Used by one thread.
class Console {
 public:
  explicit Console(const ConsoleOptions& options);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // From now on files get the lines too. Failure to open them is ignored: they
  // are a convenience.
  void CopyTo(const std::string& stdout_path, const std::string& stderr_path);

  // A line (or several) to stdout.
  void Print(LogLevel level, std::string_view text);
  void Info(std::string_view text) { Print(LogLevel::kInfo, text); }
  // "warning: …" to stderr.
  void Warn(std::string_view text);
  // "stoker: error: …" to stderr, on every rank.
  void Error(std::string_view text);
  // Replaces the progress line; cut to the width.
  void Progress(std::string_view text);
  bool shows_progress() const {
    return options_.speaks && options_.progress_columns > 0;
  }

 private:
  void ClearProgress();

  ConsoleOptions options_;
  std::FILE* stdout_copy_ = nullptr;
  std::FILE* stderr_copy_ = nullptr;
  bool progress_shown_ = false;
};

// A progress line is written as kProgressStart, text, kProgressEnd, so that
// whoever copies the output can leave it out.
inline constexpr std::string_view kProgressStart = "\r";
inline constexpr std::string_view kProgressEnd = "\x1b[K";

}  // namespace stoker::run
