#include "run/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "cache/cache_backend.h"
#include "emulator/loader.h"
#include "formats/registry.h"
#include "storage/registry.h"

namespace stoker::run {

std::string DescribeBackends() {
  std::string text =
      "name:<place>?<option>=<value>&..., for wrappers followed by "
      ",<inner URI>; a bare path is file://<path>\n";
  std::vector<storage::BackendInfo> backends(storage::Backends().begin(),
                                             storage::Backends().end());
  std::ranges::copy(cache::CacheBackends(), std::back_inserter(backends));
  for (const storage::BackendInfo& backend : backends) {
    text += fmt::format("  {:<7} {}\n          e.g. {}\n", backend.name,
                        backend.summary, backend.example);
    for (const storage::OptionHelp& option : backend.options) {
      text += fmt::format("          {}={}: {}\n", option.name, option.values,
                          option.summary);
    }
  }
  return text;
}

std::string DescribeFormats() {
  std::string text;
  for (const formats::FormatInfo& format : formats::Formats()) {
    text += fmt::format("  {:<19} {}\n", format.name, format.summary);
  }
  return text;
}

std::string DescribeLoaders() {
  std::string text = "reader.loader_model:\n";
  for (const emulator::LoaderModelInfo& model : emulator::LoaderModels()) {
    text += fmt::format("  {:<9} {}\n", model.name, model.summary);
  }
  return text;
}

}  // namespace stoker::run
