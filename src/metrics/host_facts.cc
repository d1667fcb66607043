#include "metrics/host_facts.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <string_view>

#include "core/text.h"

namespace stoker::metrics {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string_view Strip(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// Lines of exactly one colon; a key met again keeps its place and takes the
// later value, as in the dictionaries the reference makes of these files.
Pairs ReadTable(const std::string& path, std::string_view dropped_key) {
  Pairs table;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (std::ranges::count(line, ':') != 1) continue;
    const std::size_t colon = line.find(':');
    const std::string_view key = Strip(std::string_view(line).substr(0, colon));
    const std::string_view value =
        Strip(std::string_view(line).substr(colon + 1));
    if (key == dropped_key) continue;
    const auto known = std::ranges::find(table, key, &Pairs::value_type::first);
    if (known == table.end()) {
      table.emplace_back(key, value);
    } else {
      known->second = value;
    }
  }
  return table;
}

std::string_view Find(const Pairs& table, std::string_view key) {
  const auto found = std::ranges::find(table, key, &Pairs::value_type::first);
  return found == table.end() ? std::string_view{} : found->second;
}

std::uint32_t CountProcessors(const std::string& path) {
  std::uint32_t count = 0;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (Strip(std::string_view(line).substr(0, colon)) == "processor") ++count;
  }
  return count;
}

// "97104344 kB" in bytes.
std::uint64_t KibibytesOf(std::string_view text) {
  const core::Result<std::int64_t> number =
      core::ParseInt(core::Split(text, ' ').front());
  if (!number.ok() || number.value() < 0) return 0;
  return static_cast<std::uint64_t>(number.value()) * 1024;
}

}  // namespace

HostFacts ReadHostFacts(const std::string& proc) {
  HostFacts facts;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0)
    facts.hostname = name.data();
  facts.cpuinfo = ReadTable(proc + "/cpuinfo", "processor");
  facts.meminfo = ReadMemInfo(proc);
  facts.cpu_count = CountProcessors(proc + "/cpuinfo");
  facts.memory_bytes = KibibytesOf(Find(facts.meminfo, "MemTotal"));
  facts.processor_name = Find(facts.cpuinfo, "model name");
  return facts;
}

Pairs ReadMemInfo(const std::string& proc) {
  return ReadTable(proc + "/meminfo", "");
}

}  // namespace stoker::metrics
