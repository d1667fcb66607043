#include "run/console.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <utility>

#include "reporting/time_text.h"

namespace stoker::run {

namespace {

using reporting::Json;

constexpr core::Nanos kTerminalInterval = std::chrono::milliseconds(333);
constexpr core::Nanos kJsonInterval = std::chrono::seconds(5);
constexpr core::Nanos kTextInterval = std::chrono::seconds(30);

constexpr std::array<std::string_view, 5> kLevelNames{
    "ERROR", "WARNING", "INFO", "VERBOSE", "DEBUG"};

void WriteTo(std::FILE* file, std::string_view text) {
  if (file != nullptr) {
    std::fwrite(text.data(), 1, text.size(), file);
    std::fflush(file);
  }
}

void CloseCopy(std::FILE* file) {
  if (file != nullptr) {
    std::fclose(file);
  }
}

Event Message(std::string_view name, std::string_view text) {
  return {.name = std::string(name), .text = std::string(text)};
}

std::string JsonLine(LogLevel level, const Event& event) {
  Json line = Json::MakeObject();
  const auto now = std::chrono::time_point_cast<core::Nanos>(
      std::chrono::system_clock::now());
  line.Add("time", reporting::ZonedTime(now));
  line.Add("level", kLevelNames[static_cast<std::size_t>(level)]);
  line.Add("event", event.name);
  if (event.fields.empty()) {
    line.Add("message", event.text);
  }
  for (const auto& [key, value] : event.fields) {
    line.Add(key, value);
  }
  return reporting::DumpJson(line, -1) + '\n';
}

}  // namespace

std::string LogLine(LogFormat format, LogLevel level, const Event& event) {
  if (format == LogFormat::kJson) {
    return JsonLine(level, event);
  }
  return fmt::format("{}{}\n",
                     level == LogLevel::kError     ? "stoker: error: "
                     : level == LogLevel::kWarning ? "stoker: warning: "
                                                   : "",
                     event.text);
}

Console::Console(const ConsoleOptions& options) : options_(options) {}

Console::~Console() {
  ClearProgress();
  CloseCopy(stdout_copy_);
  CloseCopy(stderr_copy_);
}

void Console::CopyTo(const std::string& stdout_path,
                     const std::string& stderr_path) {
  CloseCopy(stdout_copy_);
  CloseCopy(stderr_copy_);
  stdout_copy_ = std::fopen(stdout_path.c_str(), "ae");
  stderr_copy_ = std::fopen(stderr_path.c_str(), "ae");
}

void Console::Write(std::FILE* stream, std::FILE* copy, LogLevel level,
                    const Event& event) {
  ClearProgress();
  const std::string line = LogLine(options_.format, level, event);
  WriteTo(stream, line);
  WriteTo(copy, line);
}

void Console::Print(LogLevel level, const Event& event) {
  if (options_.speaks && level <= options_.level) {
    Write(stdout, stdout_copy_, level, event);
  }
}

void Console::Print(LogLevel level, std::string_view text) {
  Print(level, Message("message", text));
}

void Console::Warn(const Event& event) {
  if (options_.speaks && options_.level >= LogLevel::kWarning) {
    Write(stderr, stderr_copy_, LogLevel::kWarning, event);
  }
}

void Console::Warn(std::string_view text) { Warn(Message("warning", text)); }

void Console::Error(std::string_view text) {
  Write(stderr, stderr_copy_, LogLevel::kError, Message("error", text));
}

bool Console::ProgressDue(core::TimePoint now) {
  if (!options_.speaks || (!in_place() && options_.level < LogLevel::kInfo)) {
    return false;
  }
  const bool lines = !in_place() && options_.format == LogFormat::kText;
  const core::Nanos interval = in_place() ? kTerminalInterval
                               : lines    ? kTextInterval
                                          : kJsonInterval;
  if (!next_progress_.has_value()) {
    // A short run needs no line of text about its beginning.
    next_progress_ = lines ? now + interval : now;
  }
  if (now < *next_progress_) {
    return false;
  }
  next_progress_ = now + interval;
  return true;
}

void Console::Progress(const Event& event) {
  if (!in_place()) {
    Print(LogLevel::kInfo, event);
    return;
  }
  if (!options_.speaks) {
    return;
  }
  // The last column stays empty: some terminals wrap there.
  const auto columns = static_cast<std::size_t>(options_.progress_columns - 1);
  const std::string& text = event.text.size() > columns && !event.brief.empty()
                                ? event.brief
                                : event.text;
  WriteTo(stdout,
          fmt::format("{}{}{}", kProgressStart,
                      std::string_view(text).substr(0, columns), kProgressEnd));
  progress_shown_ = true;
}

void Console::ClearProgress() {
  if (progress_shown_) {
    WriteTo(stdout, fmt::format("{}{}", kProgressStart, kProgressEnd));
    progress_shown_ = false;
  }
}

}  // namespace stoker::run
