#include "run/console.h"

#include <fmt/format.h>

namespace stoker::run {

namespace {

void Write(std::FILE* file, std::string_view text) {
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

}  // namespace

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

void Console::Print(LogLevel level, std::string_view text) {
  if (!options_.speaks || level > options_.level) {
    return;
  }
  ClearProgress();
  const std::string line = fmt::format("{}\n", text);
  Write(stdout, line);
  Write(stdout_copy_, line);
}

void Console::Warn(std::string_view text) {
  if (!options_.speaks || options_.level < LogLevel::kWarning) {
    return;
  }
  ClearProgress();
  const std::string line = fmt::format("stoker: warning: {}\n", text);
  Write(stderr, line);
  Write(stderr_copy_, line);
}

void Console::Error(std::string_view text) {
  ClearProgress();
  const std::string line = fmt::format("stoker: error: {}\n", text);
  Write(stderr, line);
  Write(stderr_copy_, line);
}

void Console::Progress(std::string_view text) {
  if (!shows_progress()) {
    return;
  }
  const auto columns = static_cast<std::size_t>(options_.progress_columns - 1);
  Write(stdout, fmt::format("{}{}{}", kProgressStart, text.substr(0, columns),
                            kProgressEnd));
  progress_shown_ = true;
}

void Console::ClearProgress() {
  if (progress_shown_) {
    Write(stdout, fmt::format("{}{}", kProgressStart, kProgressEnd));
    progress_shown_ = false;
  }
}

}  // namespace stoker::run
