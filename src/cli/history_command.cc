#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/history.h"
#include "cli/launch.h"
#include "cli/options.h"
#include "core/text.h"

namespace stoker::cli {

namespace {

using core::Code;
using core::Status;

std::string Usage() {
  return fmt::format(
      "usage: stoker history [show] [options]\n"
      "       stoker history rerun ID\n\n"
      "show lists what was called: id, time, exit status ('-' while it runs, "
      "or if it was\nkilled) and command. rerun does it again with the same "
      "words in the same working\nfolder, and is not noted itself.\n\n{}\n"
      "Kept in {}; STOKER_HISTORY=FILE names another, STOKER_HISTORY= none. "
      "Secrets are\nleft out.\n",
      DescribeOptions(HistoryOptions(), kHistory),
      HistoryFile().empty() ? std::string("no file") : HistoryFile());
}

std::string StatusOf(const HistoryEntry& entry) {
  return entry.exit_status ? std::to_string(*entry.exit_status) : "-";
}

core::Result<HistoryEntry> FindEntry(const std::vector<HistoryEntry>& entries,
                                     std::int64_t id) {
  const auto found = std::ranges::find(entries, id, &HistoryEntry::id);
  if (found == entries.end()) {
    return Status(
        Code::kNotFound,
        fmt::format("history: no entry {}; stoker history lists them", id));
  }
  return *found;
}

int Show(std::span<const std::string> words,
         const std::vector<HistoryEntry>& entries) {
  const core::Result<Arguments> parsed =
      ParseArguments(HistoryOptions(), kHistory, words);
  Status status = parsed.status();
  if (status.ok()) {
    status = CheckArguments(HistoryOptions(), kHistory, parsed.value());
  }
  if (status.ok() && !parsed.value().overrides().empty()) {
    status = {Code::kInvalidArgument,
              fmt::format("history show takes no '{}'; see --help",
                          parsed.value().overrides().front())};
  }
  if (!status.ok()) {
    return Fail(status, kExitArguments);
  }
  const Arguments& arguments = parsed.value();
  if (arguments.Given("id")) {
    const core::Result<HistoryEntry> entry =
        FindEntry(entries, arguments.Integer("id"));
    if (!entry.ok()) {
      return Fail(entry.status(), kExitArguments);
    }
    const HistoryEntry& found = entry.value();
    fmt::print(
        "id: {}\ntime: {}\nfolder: {}\nexit status: {}\ncommand: stoker "
        "{}\n",
        found.id, found.time, found.folder, StatusOf(found),
        QuoteWords(found.words));
    return kExitSuccess;
  }
  if (entries.empty()) {
    return Fail({Code::kNotFound, "history: nothing was called yet"},
                kExitArguments);
  }
  std::size_t count = entries.size();
  if (arguments.Given("limit")) {
    count =
        std::min(count, static_cast<std::size_t>(arguments.Integer("limit")));
  }
  for (const HistoryEntry& entry : std::span(entries).last(count)) {
    fmt::print("{:>5}  {}  {:>3}  stoker {}\n", entry.id, entry.time,
               StatusOf(entry), QuoteWords(entry.words));
  }
  return kExitSuccess;
}

int Rerun(const std::string& program, std::span<const std::string> words,
          const std::vector<HistoryEntry>& entries) {
  const core::Result<std::int64_t> id =
      words.size() == 1 ? core::ParseInt(words.front())
                        : Status(Code::kInvalidArgument, "one id");
  if (!id.ok()) {
    return Fail({Code::kInvalidArgument,
                 "history rerun takes one id; stoker history lists them"},
                kExitArguments);
  }
  const core::Result<HistoryEntry> found = FindEntry(entries, id.value());
  if (!found.ok()) {
    return Fail(found.status(), kExitArguments);
  }
  const HistoryEntry& entry = found.value();
  if (!entry.complete) {
    return Fail({Code::kInvalidArgument,
                 fmt::format("history: entry {} held secrets, which were not "
                             "kept; remedy: type it again",
                             entry.id)},
                kExitArguments);
  }
  std::error_code error;
  std::filesystem::current_path(entry.folder, error);
  if (error) {
    return Fail(Status::FromErrno(
        error.value(), fmt::format("history: go to the folder {} of entry {}",
                                   entry.folder, entry.id)));
  }
  fmt::print("in {}: stoker {}\n", entry.folder, QuoteWords(entry.words));
  std::fflush(stdout);
  // Not noted: neither here nor by what it starts.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread yet
  ::setenv("STOKER_HISTORY", "", 1);
  return RunCommand(program, entry.words);
}

}  // namespace

int HistoryCommand(const std::string& program,
                   std::span<const std::string> words) {
  const bool help = std::ranges::any_of(words, [](const std::string& word) {
    return word == "--help" || word == "-h";
  });
  if (help) {
    fmt::print("{}", Usage());
    return kExitSuccess;
  }
  std::string_view verb = "show";
  if (!words.empty() && !words.front().starts_with('-')) {
    verb = words.front();
    words = words.subspan(1);
  }
  constexpr std::array<std::string_view, 2> kVerbs{"show", "rerun"};
  if (std::ranges::find(kVerbs, verb) == kVerbs.end()) {
    const std::string_view nearest = core::Nearest(verb, kVerbs);
    return Fail(
        {Code::kInvalidArgument,
         fmt::format("unknown verb 'history {}'{}; see --help", verb,
                     nearest.empty()
                         ? std::string()
                         : fmt::format(", did you mean '{}'?", nearest))},
        kExitArguments);
  }
  const core::Result<std::vector<HistoryEntry>> entries =
      ReadHistory(HistoryFile());
  if (!entries.ok()) {
    return Fail(entries.status());
  }
  return verb == "show" ? Show(words, entries.value())
                        : Rerun(program, words, entries.value());
}

}  // namespace stoker::cli
