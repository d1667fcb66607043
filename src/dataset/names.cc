#include "dataset/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <system_error>

namespace stoker::dataset {

namespace {

constexpr std::string_view kOf = "_of_";

std::size_t DigitsOf(std::uint64_t value) {
  std::size_t digits = 1;
  while (value >= 10) {
    value /= 10;
    ++digits;
  }
  return digits;
}

void AppendBaseName(const Naming& naming, std::uint64_t index,
                    std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}_{:0{}}_of_{}.{}", naming.prefix,
                 index, DigitsOf(naming.total), naming.total, naming.suffix);
}

bool AllDigits(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::uint64_t> ParseDigits(std::string_view text) {
  std::uint64_t value = 0;
  if (!AllDigits(text)) {
    return std::nullopt;
  }
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

// "<set>/<subfolder>", either of which may be missing.
bool ParseFolders(std::string_view folders, ParsedName& parsed) {
  const std::size_t slash = folders.find('/');
  if (slash != std::string_view::npos) {
    parsed.set = folders.substr(0, slash);
    parsed.subfolder = folders.substr(slash + 1);
    return !parsed.set.empty() && !AllDigits(parsed.set) &&
           AllDigits(parsed.subfolder);
  }
  (AllDigits(folders) ? parsed.subfolder : parsed.set) = folders;
  return !folders.empty();
}

// "<prefix>_<index>_of_<total>.<suffix>"
bool ParseBase(std::string_view base, ParsedName& parsed) {
  const std::size_t of = base.rfind(kOf);
  if (of == std::string_view::npos || of == 0) {
    return false;
  }
  const std::size_t before = base.rfind('_', of - 1);
  const std::size_t total_at = of + kOf.size();
  const std::size_t dot = base.find('.', total_at);
  if (before == std::string_view::npos || dot == std::string_view::npos) {
    return false;
  }
  const std::string_view index_text = base.substr(before + 1, of - before - 1);
  const std::string_view total_text = base.substr(total_at, dot - total_at);
  const std::optional<std::uint64_t> index = ParseDigits(index_text);
  const std::optional<std::uint64_t> total = ParseDigits(total_text);
  if (!index || !total || total_text.front() == '0' || *index >= *total ||
      index_text.size() != total_text.size()) {
    return false;
  }
  parsed.prefix = base.substr(0, before);
  parsed.suffix = base.substr(dot + 1);
  parsed.index = *index;
  parsed.total = *total;
  return !parsed.suffix.empty();
}

}  // namespace

void ObjectName(const Naming& naming, std::uint64_t index, std::string& out) {
  out.clear();
  out += naming.set;
  out += '/';
  if (naming.subfolders > 1) {
    fmt::format_to(std::back_inserter(out), "{:0{}}/",
                   index % naming.subfolders, DigitsOf(naming.subfolders));
  }
  AppendBaseName(naming, index, out);
}

std::string ObjectName(const Naming& naming, std::uint64_t index) {
  std::string name;
  ObjectName(naming, index, name);
  return name;
}

void IndexName(const Naming& naming, std::uint64_t index, std::string& out) {
  out.clear();
  out += "index/";
  out += naming.set;
  out += '/';
  AppendBaseName(naming, index, out);
  out += ".idx";
}

std::optional<ParsedName> ParseName(std::string_view name) {
  ParsedName parsed;
  const std::size_t slash = name.rfind('/');
  if (slash != std::string_view::npos &&
      !ParseFolders(name.substr(0, slash), parsed)) {
    return std::nullopt;
  }
  const std::size_t base = slash == std::string_view::npos ? 0 : slash + 1;
  if (!ParseBase(name.substr(base), parsed)) {
    return std::nullopt;
  }
  return parsed;
}

}  // namespace stoker::dataset
