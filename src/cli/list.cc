#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/workload_files.h"
#include "core/text.h"
#include "run/catalogue.h"

namespace stoker::cli {

namespace {

constexpr std::string_view kUsage =
    "usage: stoker list workloads|backends|formats|loaders\n";

int ListWorkloadFiles() {
  const core::Result<std::string> folder = WorkloadFolder("");
  if (!folder.ok()) {
    return Fail(folder.status());
  }
  const auto names = ListWorkloads(folder.value());
  if (!names.ok()) {
    return Fail(names.status());
  }
  fmt::print("in {}:\n", folder.value());
  for (const std::string& name : names.value()) {
    fmt::print("  {}\n", name);
  }
  return kExitSuccess;
}

}  // namespace

int ListCommand(std::span<const std::string> words) {
  constexpr std::array<std::string_view, 4> kLists{"workloads", "backends",
                                                   "formats", "loaders"};
  if (words.empty() || words.front() == "--help" || words.front() == "-h") {
    fmt::print(words.empty() ? stderr : stdout, "{}", kUsage);
    return words.empty() ? kExitArguments : kExitSuccess;
  }
  const std::string& what = words.front();
  if (words.size() > 1 || std::ranges::find(kLists, what) == kLists.end()) {
    const std::string_view nearest = core::Nearest(what, kLists);
    fmt::print(stderr, "stoker: error: cannot list '{}'{}\n{}", what,
               nearest.empty() || nearest == what
                   ? std::string()
                   : fmt::format(", did you mean '{}'?", nearest),
               kUsage);
    return kExitArguments;
  }
  if (what == "workloads") {
    return ListWorkloadFiles();
  }
  fmt::print("{}", what == "backends"  ? run::DescribeBackends()
                   : what == "formats" ? run::DescribeFormats()
                                       : run::DescribeLoaders());
  return kExitSuccess;
}

}  // namespace stoker::cli
