#pragma once

// What was called before: one JSON object a line, appended under a lock, so
// that invocations at the same time do not tear each other's lines. An
// invocation is noted when it begins and once more when it ends:
// {"id": 3, "time": …, "folder": …, "words": […], "complete": true}
// {"id": 3, "exit_status": 0}

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "run/console.h"

namespace stoker::cli {

struct HistoryEntry {
  std::int64_t id = 0;               // from 1 on
  std::string time;                  // local, with the zone's offset
  std::string folder;                // the working folder
  std::vector<std::string> words{};  // without the program's name
  bool complete = true;              // false: something secret was left out
  std::optional<int> exit_status{};  // none: it runs, or was killed
};

// $STOKER_HISTORY, else stoker/history.jsonl in $XDG_STATE_HOME, else in
// ~/.local/state. "" if STOKER_HISTORY is set to nothing, or nobody is at home:
// no history is kept.
std::string HistoryFile();

// Replaces with "***" the user part of URIs and the values of options and keys
// whose names speak of secrets, tokens, passwords or credentials.
std::vector<std::string> WithoutSecrets(std::span<const std::string> words);

// Appends an entry under the next id and returns that. Makes missing folders.
// Lines that cannot be read are left alone. kTimedOut if another process holds
// the lock for seconds.
core::Result<std::int64_t> AddHistory(const std::string& file,
                                      const std::string& folder,
                                      std::span<const std::string> words);
core::Status EndHistory(const std::string& file, std::int64_t id,
                        int exit_status);

// In the order of their beginning; none if there is no such file.
core::Result<std::vector<HistoryEntry>> ReadHistory(const std::string& file);

// Notes an invocation from its construction to Ended. Of a run's ranks only
// the first under a foreign mpirun does. What fails is a warning: a missing
// history keeps no one from measuring.
class HistoryNote {
 public:
  HistoryNote() = default;  // notes nothing
  explicit HistoryNote(std::span<const std::string> words,
                       run::LogFormat format = run::LogFormat::kText);
  // Returns `exit_status`.
  int Ended(int exit_status) const;

 private:
  std::string file_;
  run::LogFormat format_ = run::LogFormat::kText;
  std::int64_t id_ = 0;  // 0: not noted
};

}  // namespace stoker::cli
