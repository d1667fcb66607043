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
  std::int64_t slots = 0;
};

core::Result<HostSlots> ParseHost(const std::string& word) {
  const std::size_t colon = word.rfind(':');
  if (word.find(':') != colon) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--hosts: '{}': an IPv6 address cannot stand "
                              "here; remedy: a host name",
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
    for (const std::string_view host : core::Split(word, ',')) {
      if (!host.empty()) {
        hosts.emplace_back(host);
      }
    }
  }
  return hosts;
}

core::Result<std::string> AssignSlots(const std::vector<std::string>& hosts,
                                      std::int64_t ranks) {
  if (hosts.empty()) {
    return Status(Code::kInvalidArgument, "--hosts: no host is named");
  }
  std::vector<HostSlots> assigned;
  std::int64_t total = 0;
  std::int64_t with_slots = 0;
  for (const std::string& word : hosts) {
    STOKER_ASSIGN(HostSlots host, ParseHost(word));
    total += host.slots;
    with_slots += host.slots > 0 ? 1 : 0;
    assigned.push_back(std::move(host));
  }
  const auto count = static_cast<std::int64_t>(assigned.size());
  if (with_slots == 0) {
    for (std::int64_t i = 0; i < count; ++i) {
      assigned[static_cast<std::size_t>(i)].slots =
          ranks / count + (i < ranks % count ? 1 : 0);
    }
    std::erase_if(assigned,
                  [](const HostSlots& host) { return host.slots == 0; });
    return JoinSlots(assigned);
  }
  if (with_slots != count) {
    return Status(Code::kInvalidArgument,
                  "--hosts: where one host has :SLOTS, all need it");
  }
  if (total < ranks) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--hosts: {} slots for {} ranks; remedy: more "
                              "slots or hosts, or fewer accelerators",
                              total, ranks));
  }
  return JoinSlots(assigned);
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
