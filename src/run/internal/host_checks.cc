#include "run/internal/host_checks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string_view>

#include "core/crc.h"
#include "core/text.h"
#include "core/version.h"
#include "dataset/manifest.h"
#include "dataset/names.h"
#include "run/internal/open_storage.h"

namespace stoker::run::internal {

namespace {

using core::Code;
using core::Status;

// Hosts and keys that a message names at most.
constexpr std::size_t kNamed = 6;

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data()
                                                          : "unnamed host";
}

std::string DescribeProgram() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::vector<char> part(1 << 20);
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
  while (file.read(part.data(), std::ssize(part)) || file.gcount() > 0) {
    const auto got = static_cast<std::size_t>(file.gcount());
    crc = core::Crc32c(std::as_bytes(std::span(part.data(), got)), crc);
    bytes += got;
  }
  return bytes == 0 ? fmt::format("stoker {}", core::kVersion)
                    : fmt::format("stoker {}, {} bytes, CRC-32C {:08x}",
                                  core::kVersion, bytes, crc);
}

std::string SettingsText(const HostIdentity& identity) {
  std::string text;
  for (const auto& [key, value] : identity.settings) {
    text += fmt::format("{}: {}\n", key, value);
  }
  return text;
}

std::string Checksum(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return fmt::format("{:08x}{:08x}", core::Crc32(bytes), core::Crc32c(bytes));
}

// What one host said, and its name.
struct Answer {
  std::string host;
  std::string text;
};

// Every host's answer, in the order of the hosts. Only leaders are heard.
core::Result<std::vector<Answer>> AskHosts(const RankContext& context,
                                           const std::string& host,
                                           const std::string& text) {
  const std::string mine =
      context.comm->local_rank() == 0 ? host + '\n' + text : std::string();
  STOKER_ASSIGN(const std::vector<comm::Bytes> all,
                comm::AllGather(*context.comm, comm::ToBytes(mine)));
  std::vector<Answer> answers;
  for (const comm::Bytes& bytes : all) {
    const std::string answer = comm::ToText(bytes);
    const std::size_t end = answer.find('\n');
    if (end != std::string::npos) {
      answers.push_back(
          {.host = answer.substr(0, end), .text = answer.substr(end + 1)});
    }
  }
  return answers;
}

std::string NameHosts(const std::vector<std::string>& hosts) {
  std::string text;
  for (std::size_t i = 0; i < hosts.size() && i < kNamed; ++i) {
    text += (i == 0 ? "" : ", ") + hosts[i];
  }
  return hosts.size() > kNamed
             ? fmt::format("{} and {} more", text, hosts.size() - kNamed)
             : text;
}

// "a, b: this; c: that", the largest group first; "" if all say the same.
std::string Differences(const std::vector<Answer>& answers) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const Answer& answer : answers) {
    const auto group = std::ranges::find(
        groups, answer.text,
        &std::pair<std::string, std::vector<std::string>>::first);
    if (group == groups.end()) {
      groups.push_back({answer.text, {answer.host}});
    } else {
      group->second.push_back(answer.host);
    }
  }
  if (groups.size() < 2) {
    return {};
  }
  std::ranges::stable_sort(groups, [](const auto& a, const auto& b) {
    return a.second.size() > b.second.size();
  });
  std::string text;
  for (std::size_t i = 0; i < groups.size() && i < kNamed; ++i) {
    text += fmt::format("{}{}: {}", i == 0 ? "" : "; ",
                        NameHosts(groups[i].second), groups[i].first);
  }
  return text;
}

std::map<std::string, std::string> ParseSettings(std::string_view text) {
  std::map<std::string, std::string> settings;
  for (const std::string_view line : core::Split(text, '\n')) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos) {
      settings.emplace(line.substr(0, colon), line.substr(colon + 2));
    }
  }
  return settings;
}

// Which keys differ from the first host's, in words.
std::string DifferingKeys(const std::vector<Answer>& answers) {
  const auto first = ParseSettings(answers.front().text);
  std::string text;
  std::size_t count = 0;
  const auto value = [](const auto& settings, const std::string& key) {
    const auto at = settings.find(key);
    return at == settings.end() ? "not set" : at->second;
  };
  for (const Answer& answer : answers) {
    const auto its = ParseSettings(answer.text);
    auto keys = first;
    keys.insert(its.begin(), its.end());
    for (const auto& [key, ignored] : keys) {
      if (value(first, key) != value(its, key) && ++count <= kNamed) {
        text +=
            fmt::format("{}{} is {} on {}, {} on {}", text.empty() ? "" : "; ",
                        key, value(its, key), answer.host, value(first, key),
                        answers.front().host);
      }
    }
  }
  return count <= kNamed ? text
                         : fmt::format("{}; and {} more", text, count - kNamed);
}

Status SettingsDiffer(const RankContext& context, const HostIdentity& mine) {
  STOKER_ASSIGN(const std::vector<Answer> answers,
                AskHosts(context, mine.host, SettingsText(mine)));
  return {Code::kInvalidArgument,
          fmt::format("the hosts are not configured alike: {}; remedy: the "
                      "same workload files (--workload, STOKER_WORKLOADS), "
                      "site file and options on every host",
                      DifferingKeys(answers))};
}

// The sizes of the first, middle and last file of a set.
std::string DescribeFiles(storage::Backend& backend,
                          const dataset::Naming& naming, core::Clock& clock) {
  std::string text;
  std::optional<std::uint64_t> last;
  for (std::uint64_t k = 0; k < 3 && naming.total > 0; ++k) {
    const std::uint64_t file =
        (naming.total - 1) / 2 * k + (k == 2 ? (naming.total - 1) % 2 : 0);
    if (last == file) {
      continue;
    }
    last = file;
    const std::string name = dataset::ObjectName(naming, file);
    const core::Result<std::uint64_t> size =
        storage::ObjectSize(backend, name, clock);
    text += size.ok() ? fmt::format(", {} of {} bytes", name, size.value())
            : size.status().code() == Code::kNotFound
                ? fmt::format(", no {}", name)
                : fmt::format(", {}", size.status().message());
  }
  return text;
}

std::string DescribeDataset(storage::Backend& backend, const Dataset& dataset,
                            core::Clock& clock) {
  const auto read = dataset::ReadManifest(backend, clock);
  std::string text = "no manifest";
  if (!read.ok()) {
    text = read.status().message();
  } else if (const auto& manifest = read.value(); manifest.has_value()) {
    text = fmt::format("manifest {}", manifest->hash);
  }
  return text + DescribeFiles(backend, dataset.train, clock) +
         DescribeFiles(backend, dataset.valid, clock);
}

bool HostsShareData(const RankContext& context, storage::Backend& backend) {
  const storage::Capabilities can = backend.capabilities();
  return context.comm->node_count() > 1 && can.stores_data && can.shared;
}

}  // namespace

HostIdentity ReadHostIdentity(
    const config::LoadedConfig& config,
    std::vector<std::pair<std::string, std::string>> choices) {
  HostIdentity identity{.host = HostName(),
                        .program = DescribeProgram(),
                        .settings = std::move(choices)};
  for (const config::EffectiveKey& key : config.keys) {
    identity.settings.emplace_back(key.key, key.value);
  }
  return identity;
}

Status CompareHosts(const RankContext& context,
                    const std::function<HostIdentity()>& identify) {
  if (context.comm->node_count() == 1) {
    return {};
  }
  HostIdentity mine;
  if (context.comm->local_rank() == 0) {
    mine = identify();
  }
  const std::string checksum = Checksum(SettingsText(mine));
  STOKER_ASSIGN(std::vector<Answer> programs,
                AskHosts(context, mine.host, mine.program + '\n' + checksum));
  std::vector<Answer> settings = programs;
  for (std::size_t i = 0; i < programs.size(); ++i) {
    const std::size_t end = programs[i].text.rfind('\n');
    settings[i].text = programs[i].text.substr(end + 1);
    programs[i].text.resize(end);
  }
  const std::string differences = Differences(programs);
  if (!differences.empty()) {
    return {Code::kInvalidArgument,
            fmt::format("the hosts do not run the same program: {}; remedy: "
                        "copy one build to the same path on every host, or "
                        "name its folder with --dlio-bin-path",
                        differences)};
  }
  return Differences(settings).empty() ? Status()
                                       : SettingsDiffer(context, mine);
}

Status CompareDatasets(const RankContext& context, storage::Backend& backend,
                       const Dataset& dataset) {
  if (!HostsShareData(context, backend)) {
    return {};
  }
  std::string seen;
  if (context.comm->local_rank() == 0) {
    seen = DescribeDataset(backend, dataset, *context.clock);
  }
  STOKER_ASSIGN(const std::vector<Answer> answers,
                AskHosts(context, HostName(), seen));
  const std::string differences = Differences(answers);
  return differences.empty()
             ? Status()
             : Status(Code::kInvalidArgument,
                      fmt::format("the hosts do not see the same dataset in "
                                  "{}: {}; remedy: mount the same storage, or "
                                  "put whole copies of one dataset, at this "
                                  "place on every host",
                                  backend.uri(), differences));
}

Status CheckSharedPlace(const RankContext& context, storage::Backend& backend) {
  if (!HostsShareData(context, backend)) {
    return {};
  }
  Status made;
  comm::Bytes message;
  if (context.comm->rank() == 0) {
    std::random_device random;
    const std::string name = fmt::format("stoker_probe_{:08x}", random());
    made = storage::WriteObject(backend, name, "x", *context.clock)
               .WithContext("write a probe to " + backend.uri());
    if (made.ok()) {
      // No other host sees what is in this one's cache alone.
      made = DrainStorage(context, backend, storage::DrainOptions{}.patience);
    }
    message = comm::ToBytes(name);
  }
  STOKER_TRY(comm::Agree(*context.comm, made));
  STOKER_TRY(context.comm->Broadcast(message, 0));
  const std::string probe = comm::ToText(message);
  std::string seen;
  if (context.comm->local_rank() == 0) {
    const Status found =
        storage::ObjectSize(backend, probe, *context.clock).status();
    seen = found.ok()                        ? "sees what rank 0 wrote"
           : found.code() == Code::kNotFound ? "does not see what rank 0 wrote"
                                             : std::string(found.message());
  }
  const core::Result<std::vector<Answer>> answers =
      AskHosts(context, HostName(), seen);
  Status removed;
  if (context.comm->rank() == 0) {
    removed = backend.Remove(probe);
  }
  STOKER_TRY(answers.status());
  STOKER_TRY(comm::Agree(*context.comm, removed));
  const std::string differences = Differences(answers.value());
  return differences.empty()
             ? Status()
             : Status(Code::kInvalidArgument,
                      fmt::format("the hosts do not share {}: {}; remedy: "
                                  "mount the same storage at this place on "
                                  "every host, or generate on each host alone "
                                  "for copies of its own",
                                  backend.uri(), differences));
}

}  // namespace stoker::run::internal
