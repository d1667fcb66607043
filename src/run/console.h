#pragma once

// What a command says while it goes on: lines for people or JSON lines for
// programs, from the same events, and a progress line on a terminal.

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "reporting/json.h"

namespace stoker::run {

enum class LogLevel : std::uint8_t {
  kError,
  kWarning,
  kInfo,
  kVerbose,
  kDebug
};

enum class LogFormat : std::uint8_t { kText, kJson };

// Something worth telling, once for people and once for programs.
struct Event {
  std::string name;    // "epoch_end": what programs tell it by
  std::string text{};  // what people read; may have several lines
  std::string
      brief{};  // for a terminal that is too narrow; "" if there is none
  // What programs read; without any they get the text as "message".
  reporting::Json::Object fields{};
};

// The event as it is printed, line ends included. Text: as it is, warnings
// after "stoker: warning: ", errors after "stoker: error: ". JSON: one object
// in one line, "time" (with zone), "level", "event", then the fields.
std::string LogLine(LogFormat format, LogLevel level, const Event& event);

struct ConsoleOptions {
  bool speaks = true;  // rank 0; others print errors only
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  int progress_columns = 0;  // width of the terminal; 0: there is none
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

  // To stdout; plain text is an event named "message".
  void Print(LogLevel level, const Event& event);
  void Print(LogLevel level, std::string_view text);
  void Info(const Event& event) { Print(LogLevel::kInfo, event); }
  void Info(std::string_view text) { Print(LogLevel::kInfo, text); }
  // To stderr.
  void Warn(const Event& event);
  void Warn(std::string_view text);
  // To stderr, on every rank.
  void Error(std::string_view text);

  // True if it is time for a Progress; to be asked often. On a terminal thrice
  // a second, as JSON each 5 s, as text without a terminal each 30 s; a rank
  // that does not speak never does.
  bool ProgressDue(core::TimePoint now);
  // Something else begins: its first progress need not wait for the last of
  // what was before.
  void RestartProgress() { next_progress_.reset(); }
  // On a terminal replaces the progress line, cut to the width; elsewhere a
  // line as any other.
  void Progress(const Event& event);

 private:
  bool in_place() const {
    return options_.progress_columns > 0 && options_.format == LogFormat::kText;
  }
  void Write(std::FILE* stream, std::FILE* copy, LogLevel level,
             const Event& event);
  void ClearProgress();

  ConsoleOptions options_;
  std::FILE* stdout_copy_ = nullptr;
  std::FILE* stderr_copy_ = nullptr;
  bool progress_shown_ = false;
  std::optional<core::TimePoint> next_progress_;
};

// A progress line is written as kProgressStart, text, kProgressEnd, so that
// whoever copies the output can leave it out.
inline constexpr std::string_view kProgressStart = "\r";
inline constexpr std::string_view kProgressEnd = "\x1b[K";

}  // namespace stoker::run
