#include "cli/launch.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace stoker::cli {

namespace {

using core::Code;
using core::Status;

struct HostSlots {
  std::string host;
  std::int64_t slots = 0;  // 0: not given
};

core::Result<HostSlots> ParseHost(const std::string& word) {
  const std::size_t colon = word.rfind(':');
  if (word.find(':') != colon) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--hosts: '{}': an IPv6 address cannot stand "
                              "here; remedy: a host name",
                              word));
  }
  if (word.empty() || word.find_first_of(" \t\n") != std::string::npos ||
      word.starts_with('-')) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--hosts: '{}' is no host name; remedy: "
                              "--hosts a,b or --hosts a b",
                              word));
  }
  if (colon == std::string::npos) {
    return HostSlots{.host = word};
  }
  const core::Result<std::int64_t> slots =
      core::ParseInt(std::string_view(word).substr(colon + 1));
  if (!slots.ok() || slots.value() < 1 || colon == 0) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--hosts: '{}' is not HOST:SLOTS", word));
  }
  return HostSlots{.host = word.substr(0, colon), .slots = slots.value()};
}

core::Result<std::vector<HostSlots>> ParseHosts(
    const std::vector<std::string>& words) {
  std::string mistakes;
  const auto add = [&mistakes](std::string_view text) {
    mistakes += mistakes.empty() ? "" : "\n  ";
    mistakes += text;
  };
  std::vector<HostSlots> hosts;
  for (const std::string& word : words) {
    core::Result<HostSlots> host = ParseHost(word);
    if (!host.ok()) {
      add(host.status().message());
      continue;
    }
    if (std::ranges::find(hosts, host.value().host, &HostSlots::host) !=
        hosts.end()) {
      add(
          fmt::format("--hosts: '{}' stands there twice; remedy: name it once, "
                      "with the sum of its slots",
                      host.value().host));
    }
    hosts.push_back(std::move(host).value());
  }
  if (words.empty()) {
    add("--hosts: no host is named");
  }
  const auto with_slots = std::ranges::count_if(
      hosts, [](const HostSlots& host) { return host.slots > 0; });
  if (with_slots != 0 && with_slots != std::ssize(hosts)) {
    add("--hosts: where one host has :SLOTS, all need it");
  }
  if (!mistakes.empty()) {
    return Status(Code::kInvalidArgument, mistakes);
  }
  return hosts;
}

std::string JoinSlots(const std::vector<HostSlots>& hosts) {
  std::string text;
  for (const HostSlots& host : hosts) {
    text +=
        fmt::format("{}{}:{}", text.empty() ? "" : ",", host.host, host.slots);
  }
  return text;
}

}  // namespace

std::vector<std::string> SplitHosts(const std::vector<std::string>& words) {
  std::vector<std::string> hosts;
  for (const std::string& word : words) {
    for (std::string_view host : core::Split(word, ',')) {
      const std::size_t first = host.find_first_not_of(' ');
      host.remove_prefix(std::min(first, host.size()));
      host = host.substr(0, host.find_last_not_of(' ') + 1);
      hosts.emplace_back(host);
    }
  }
  return hosts;
}

Status CheckHosts(const std::vector<std::string>& hosts) {
  return ParseHosts(hosts).status();
}

namespace {

// The hosts with their slots: given, or the ranks divided among them.
core::Result<std::vector<HostSlots>> SlotsOf(
    const std::vector<std::string>& hosts, std::int64_t ranks,
    bool oversubscribe) {
  STOKER_ASSIGN(std::vector<HostSlots> assigned, ParseHosts(hosts));
  if (assigned.front().slots == 0) {
    const auto count = std::ssize(assigned);
    for (std::int64_t i = 0; i < count; ++i) {
      assigned[static_cast<std::size_t>(i)].slots =
          ranks / count + (i < ranks % count ? 1 : 0);
    }
    std::erase_if(assigned,
                  [](const HostSlots& host) { return host.slots == 0; });
    return assigned;
  }
  std::int64_t total = 0;
  for (const HostSlots& host : assigned) {
    total += host.slots;
  }
  if (total < ranks && !oversubscribe) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--hosts: {} slots for {} ranks; remedy: more "
                              "slots or hosts, fewer ranks, or --oversubscribe",
                              total, ranks));
  }
  return assigned;
}

}  // namespace

core::Result<std::string> AssignSlots(const std::vector<std::string>& hosts,
                                      std::int64_t ranks, bool oversubscribe) {
  STOKER_ASSIGN(const std::vector<HostSlots> assigned,
                SlotsOf(hosts, ranks, oversubscribe));
  return JoinSlots(assigned);
}

core::Result<std::vector<std::uint32_t>> RanksOfHosts(
    const std::vector<std::string>& hosts, std::int64_t ranks,
    bool oversubscribe) {
  STOKER_ASSIGN(const std::vector<HostSlots> assigned,
                SlotsOf(hosts, ranks, oversubscribe));
  std::vector<std::uint32_t> ranks_of_host;
  std::int64_t left = ranks;
  for (const HostSlots& host : assigned) {
    const std::int64_t here = std::min(host.slots, left);
    left -= here;
    if (here > 0) {
      ranks_of_host.push_back(static_cast<std::uint32_t>(here));
    }
  }
  // What is above the slots goes round the hosts.
  for (std::size_t i = 0; left > 0; --left, ++i) {
    ++ranks_of_host[i % ranks_of_host.size()];
  }
  return ranks_of_host;
}

std::vector<std::string> ExportedNames(const char* const* environment) {
  std::vector<std::string> names;
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry(*environment);
    // Those of S3 with the credentials: mpirun is given names, not values.
    const bool wanted = entry.starts_with("STOKER_") ||
                        entry.starts_with("AWS_") || entry.starts_with("S3_");
    if (wanted && entry.find('=') != entry.npos) {
      names.emplace_back(entry.substr(0, entry.find('=')));
    }
  }
  std::ranges::sort(names);
  return names;
}

core::Result<std::vector<std::string>> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) {
        words.push_back(std::move(word));
      }
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) {
    return Status(Code::kInvalidArgument,
                  fmt::format("'{}': a quote is not closed", text));
  }
  if (in_word) {
    words.push_back(std::move(word));
  }
  return words;
}

std::string QuoteWords(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
      "_-+=:,./@%^~";
  std::string line;
  for (const std::string& word : words) {
    line += line.empty() ? "" : " ";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) {
      line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    line += '\'';
  }
  return line;
}

std::vector<std::string> MpiCommand(const LaunchPlan& plan) {
  std::vector<std::string> words{plan.mpi_bin, "-n", std::to_string(plan.ranks),
                                 "-host", plan.host_slots};
  if (plan.oversubscribe) {
    words.emplace_back("--oversubscribe");
  }
  if (plan.allow_run_as_root) {
    words.emplace_back("--allow-run-as-root");
  }
  // No binding unless asked for: the default pins small runs to one core per
  // rank (quirk Q41).
  const auto binds = [](const std::string& word) {
    return word.find("bind-to") != std::string::npos ||
           word.find("map-by") != std::string::npos ||
           word.find("rankfile") != std::string::npos ||
           word.find("cpu-set") != std::string::npos;
  };
  if (std::ranges::none_of(plan.mpi_params, binds)) {
    words.emplace_back("--bind-to");
    words.emplace_back("none");
  }
  words.insert(words.end(), plan.mpi_params.begin(), plan.mpi_params.end());
  for (const std::string& name : plan.exported) {
    words.emplace_back("-x");
    words.push_back(name);
  }
  words.insert(words.end(), plan.program.begin(), plan.program.end());
  return words;
}

}  // namespace stoker::cli
