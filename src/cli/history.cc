#include "cli/history.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/clock.h"
#include "core/text.h"
#include "reporting/json.h"
#include "reporting/time_text.h"
#include "run/rank_process.h"

namespace stoker::cli {

namespace {

using core::Code;
using core::Status;
using reporting::Json;
using reporting::TextField;
using reporting::WholeField;

constexpr core::Nanos kLockPatience = std::chrono::seconds(5);

const char* Variable(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  return std::getenv(name);
}

// The file, open for reading and appending, locked until destruction.
class LockedFile {
 public:
  explicit LockedFile(std::string path) : path_(std::move(path)) {}
  ~LockedFile() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  Status Open() {
    // What was called may be nobody else's business.
    constexpr mode_t kOwnOnly = 0600;
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC,
                 kOwnOnly);
    if (fd_ < 0) {
      return Status::FromErrno(errno, "open " + path_);
    }
    core::SystemClock clock;
    const core::TimePoint deadline = clock.Now() + kLockPatience;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) {
        return Status::FromErrno(errno, "lock " + path_);
      }
      if (clock.Now() >= deadline) {
        return {Code::kTimedOut, "lock " + path_ + ": another process has it"};
      }
      ::usleep(1000);
    }
    return {};
  }

  core::Result<std::string> Read() const {
    std::string text;
    std::array<char, 65536> part;
    off_t at = 0;
    for (;;) {
      const ssize_t got = ::pread(fd_, part.data(), part.size(), at);
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got < 0) {
        return Status::FromErrno(errno, "read " + path_);
      }
      if (got == 0) {
        return text;
      }
      text.append(part.data(), static_cast<std::size_t>(got));
      at += got;
    }
  }

  // One write: readers without the lock see a line whole or not at all.
  Status Append(const std::string& line) const {
    const ssize_t written = ::write(fd_, line.data(), line.size());
    if (written == std::ssize(line)) {
      return {};
    }
    return Status::FromErrno(written < 0 ? errno : ENOSPC, "write " + path_);
  }

 private:
  std::string path_;
  int fd_ = -1;
};

// A line that a killed process left unfinished must not swallow the next.
std::string AfterWholeLines(const std::string& text, const std::string& line) {
  return text.empty() || text.ends_with('\n') ? line : '\n' + line;
}

void TakeLine(const Json& json, std::vector<HistoryEntry>& entries) {
  const std::optional<std::int64_t> id = WholeField(json, "id");
  if (!id) {
    return;
  }
  const Json* words = json.Find("words");
  if (words == nullptr) {
    const auto status = WholeField(json, "exit_status");
    const auto entry = std::ranges::find(entries, *id, &HistoryEntry::id);
    if (status && entry != entries.end()) {
      entry->exit_status = static_cast<int>(*status);
    }
    return;
  }
  HistoryEntry entry{.id = *id,
                     .time = TextField(json, "time"),
                     .folder = TextField(json, "folder")};
  if (const auto* list = std::get_if<Json::Array>(&words->value())) {
    for (const Json& word : *list) {
      const auto* text = std::get_if<std::string>(&word.value());
      entry.words.push_back(text == nullptr ? std::string() : *text);
    }
  }
  entry.complete = reporting::BoolField(json, "complete").value_or(true);
  entries.push_back(std::move(entry));
}

std::vector<HistoryEntry> Parse(std::string_view text) {
  std::vector<HistoryEntry> entries;
  for (const std::string_view line : core::Split(text, '\n')) {
    const core::Result<Json> json = reporting::ParseJson(line);
    if (json.ok()) {
      TakeLine(json.value(), entries);
    }
  }
  return entries;
}

bool SpeaksOfSecrets(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  constexpr std::array<std::string_view, 7> kWords{
      "secret",     "password",   "passwd",    "token",
      "credential", "access_key", "access-key"};
  return std::ranges::any_of(kWords, [&](std::string_view word) {
    return lower.find(word) != std::string::npos;
  });
}

constexpr std::string_view kHidden = "***";

// "s3://user:key@host/x" → "s3://***@host/x"
std::string HideUserOfUri(std::string word) {
  for (std::size_t at = word.find("://"); at != std::string::npos;
       at = word.find("://", at + 3)) {
    const std::size_t start = at + 3;
    const std::size_t end = word.find_first_of("/,? ", start);
    const std::size_t user = word.substr(0, end).rfind('@');
    if (user != std::string::npos && user >= start) {
      word.replace(start, user - start, kHidden);
    }
  }
  return word;
}

// "a.secret=x", "mem:?token=x&b=c" → "a.secret=***", "mem:?token=***&b=c"
std::string HideValues(std::string word) {
  for (std::size_t equals = word.find('='); equals != std::string::npos;
       equals = word.find('=', equals + 1)) {
    const std::size_t before = word.find_last_of("?&, ", equals);
    const std::size_t name = before == std::string::npos ? 0 : before + 1;
    if (!SpeaksOfSecrets(std::string_view(word).substr(name, equals - name))) {
      continue;
    }
    const std::size_t end =
        std::min(word.find_first_of("&, ", equals), word.size());
    word.replace(equals + 1, end - equals - 1, kHidden);
  }
  return word;
}

bool IsSecondaryRank() {
  if (!run::StartedAsRank()) {
    return false;
  }
  if (Variable("STOKER_RESULT_FOLDER") != nullptr) {
    return true;  // its launcher notes the command
  }
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (const char* rank = Variable(name)) {
      return std::string_view(rank) != "0";
    }
  }
  return false;
}

void WarnOf(const Status& status, run::LogFormat format) {
  run::Console({.format = format})
      .Warn(fmt::format("this command is not in the history: {} "
                        "(STOKER_HISTORY names another file, or none if empty)",
                        status.message()));
}

}  // namespace

std::string HistoryFile() {
  if (const char* named = Variable("STOKER_HISTORY")) {
    return named;
  }
  if (const char* state = Variable("XDG_STATE_HOME");
      state != nullptr && *state == '/') {
    return std::string(state) + "/stoker/history.jsonl";
  }
  const char* home = Variable("HOME");
  return home == nullptr || *home == '\0'
             ? std::string()
             : std::string(home) + "/.local/state/stoker/history.jsonl";
}

std::vector<std::string> WithoutSecrets(std::span<const std::string> words) {
  std::vector<std::string> clean;
  bool hide_next = false;
  for (const std::string& word : words) {
    const bool option = word.starts_with("-");
    clean.push_back(hide_next && !option ? std::string(kHidden)
                                         : HideValues(HideUserOfUri(word)));
    hide_next =
        option && word.find('=') == std::string::npos && SpeaksOfSecrets(word);
  }
  return clean;
}

core::Result<std::int64_t> AddHistory(const std::string& file,
                                      const std::string& folder,
                                      std::span<const std::string> words) {
  std::error_code error;
  const auto parent = std::filesystem::path(file).parent_path();
  if (!parent.empty()) {
    std::filesystem::create_directories(parent, error);
  }
  if (error) {
    return Status::FromErrno(error.value(), "make folder " + parent.string());
  }
  LockedFile locked(file);
  STOKER_TRY(locked.Open());
  STOKER_ASSIGN(const std::string text, locked.Read());
  std::int64_t id = 1;
  for (const HistoryEntry& entry : Parse(text)) {
    id = std::max(id, entry.id + 1);
  }
  const std::vector<std::string> clean = WithoutSecrets(words);
  Json json = Json::MakeObject();
  json.Add("id", id)
      .Add("time",
           reporting::ZonedTime(std::chrono::time_point_cast<core::Nanos>(
               std::chrono::system_clock::now())))
      .Add("folder", folder)
      .Add("words", clean)
      .Add("complete", std::ranges::equal(clean, words));
  STOKER_TRY(locked.Append(
      AfterWholeLines(text, reporting::DumpJson(json, -1) + '\n')));
  return id;
}

Status EndHistory(const std::string& file, std::int64_t id, int exit_status) {
  LockedFile locked(file);
  STOKER_TRY(locked.Open());
  STOKER_ASSIGN(const std::string text, locked.Read());
  Json json = Json::MakeObject();
  json.Add("id", id).Add("exit_status", exit_status);
  return locked.Append(
      AfterWholeLines(text, reporting::DumpJson(json, -1) + '\n'));
}

core::Result<std::vector<HistoryEntry>> ReadHistory(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    return std::vector<HistoryEntry>();
  }
  std::ifstream stream(file);
  if (!stream.is_open()) {
    return Status::FromErrno(errno, "open " + file);
  }
  const std::string text((std::istreambuf_iterator<char>(stream)),
                         std::istreambuf_iterator<char>());
  return Parse(text);
}

HistoryNote::HistoryNote(std::span<const std::string> words,
                         run::LogFormat format)
    : format_(format) {
  const std::string file = HistoryFile();
  if (file.empty() || IsSecondaryRank()) {
    return;
  }
  std::error_code error;
  const core::Result<std::int64_t> id =
      AddHistory(file, std::filesystem::current_path(error).string(), words);
  if (!id.ok()) {
    WarnOf(id.status(), format_);
    return;
  }
  file_ = file;
  id_ = id.value();
}

int HistoryNote::Ended(int exit_status) const {
  if (id_ > 0) {
    const Status status = EndHistory(file_, id_, exit_status);
    if (!status.ok()) {
      WarnOf(status, format_);
    }
  }
  return exit_status;
}

}  // namespace stoker::cli
