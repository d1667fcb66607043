#include "storage/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "core/text.h"
#include "storage/fault_backend.h"
#include "storage/file_backend.h"
#include "storage/mem_backend.h"
#include "storage/model_backend.h"
#include "storage/null_backend.h"
#include "storage/s3_backend.h"

namespace stoker::storage {

namespace {

constexpr std::array<BackendInfo, 8> kBackends{
    {{.name = "file",
      .summary = "files under a folder, through the page cache",
      .example = "file:///mnt/data?engine=threads",
      .wrapper = false,
      .default_inner = "",
      .options = kFileOptions,
      .open = OpenFileBackend},
     {.name = "direct",
      .summary = "files under a folder, past the page cache (O_DIRECT)",
      .example = "direct:///mnt/data?block=4MiB&depth=16",
      .wrapper = false,
      .default_inner = "",
      .options = kDirectOptions,
      .open = OpenDirectBackend},
     {.name = "mmap",
      .summary = "files under a folder, read through memory mappings",
      .example = "mmap:///mnt/data?readahead=off",
      .wrapper = false,
      .default_inner = "",
      .options = kMmapOptions,
      .open = OpenMmapBackend},
     {.name = "s3",
      .summary = "objects of an S3 server",
      .example = "s3://bucket/prefix?endpoint=http://10.0.0.1:9000",
      .wrapper = false,
      .default_inner = "",
      .options = kS3Options,
      .open = OpenS3Backend},
     {.name = "mem",
      .summary = "memory of this process, for tests",
      .example = "mem:scratch",
      .wrapper = false,
      .default_inner = "",
      .options = {},
      .open = OpenMemBackend},
     {.name = "null",
      .summary = "answers at once and keeps nothing: our own overhead",
      .example = "null:",
      .wrapper = false,
      .default_inner = "",
      .options = {},
      .open = OpenNullBackend},
     {.name = "model",
      .summary =
          "simulated remote storage: latency, bandwidth, rates, failures",
      .example = "model:?latency=1ms&bandwidth=500MiB&concurrency=64,null:",
      .wrapper = true,
      .default_inner = "null:",
      .options = kModelOptions,
      .open = OpenModelBackend},
     {.name = "fault",
      .summary = "failures, damage and delays put in on purpose",
      .example = "fault:?rate=0.001&delay=2s&seed=1,file:///mnt/data",
      .wrapper = true,
      .default_inner = "",
      .options = kFaultOptions,
      .open = OpenFaultBackend}}};

core::Status BadUri(std::string_view text, std::string_view reason) {
  return {core::Code::kInvalidArgument,
          fmt::format("storage '{}': {}", text, reason)};
}

// "; did you mean 'file'?", or nothing; then what is allowed.
std::string Suggest(std::string_view word,
                    std::span<const std::string_view> known) {
  const std::string_view nearest = core::Nearest(word, known);
  return fmt::format(
      "{}; known: {}",
      nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest),
      known.empty() ? "none" : core::Join(known, ", "));
}

bool IsSchemeCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Takes "name:" off the front; "file" for a bare path.
std::string TakeScheme(std::string_view& text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() ||
      !std::ranges::all_of(name, IsSchemeCharacter)) {
    return "file";
  }
  text.remove_prefix(colon + 1);
  if (text.starts_with("//")) {
    text.remove_prefix(2);
  }
  return std::string(name);
}

core::Status ParseOptions(std::string_view whole, std::string_view text,
                          Uri& uri) {
  for (const std::string_view option : core::Split(text, '&')) {
    const std::size_t equals = option.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return BadUri(whole,
                    fmt::format("option '{}' is not <key>=<value>", option));
    }
    const auto [at, is_new] = uri.options.emplace(option.substr(0, equals),
                                                  option.substr(equals + 1));
    if (!is_new) {
      return BadUri(whole, fmt::format("option {} is given twice", at->first));
    }
  }
  return {};
}

const BackendInfo* FindBackend(std::string_view name,
                               std::span<const BackendInfo> more) {
  for (const std::span<const BackendInfo> rows : {Backends(), more}) {
    const auto found = std::ranges::find(rows, name, &BackendInfo::name);
    if (found != rows.end()) {
      return &*found;
    }
  }
  return nullptr;
}

core::Status UnknownBackend(const Uri& uri, std::span<const BackendInfo> more) {
  std::vector<std::string_view> names;
  for (const std::span<const BackendInfo> rows : {Backends(), more}) {
    std::ranges::transform(rows, std::back_inserter(names), &BackendInfo::name);
  }
  return {core::Code::kInvalidArgument,
          fmt::format("unknown storage '{}'{} (a path with a colon is written "
                      "./{}:...)",
                      uri.scheme, Suggest(uri.scheme, names), uri.scheme)};
}

core::Status CheckOptions(const BackendInfo& info, const Uri& uri) {
  std::vector<std::string_view> known;
  for (const OptionHelp& option : info.options) {
    known.push_back(option.name);
  }
  for (const auto& [key, value] : uri.options) {
    if (std::ranges::find(known, key) == known.end()) {
      return {core::Code::kInvalidArgument,
              fmt::format("storage {}: unknown option '{}'{}", info.name, key,
                          Suggest(key, known))};
    }
  }
  return {};
}

core::Result<std::unique_ptr<Backend>> OpenInner(const BackendInfo& info,
                                                 const Uri& uri,
                                                 const OpenSettings& settings) {
  if (!info.wrapper) {
    if (uri.inner.empty()) {
      return std::unique_ptr<Backend>();
    }
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("storage {}: it wraps no other storage, but ',{}' follows",
                    info.name, uri.inner));
  }
  const std::string_view inner =
      uri.inner.empty() ? info.default_inner : std::string_view(uri.inner);
  if (inner.empty()) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("storage {}: it needs a storage to wrap, behind a comma; "
                    "example: {}",
                    info.name, info.example));
  }
  return OpenBackend(inner, settings);
}

}  // namespace

core::Result<Uri> ParseUri(std::string_view text) {
  if (text.empty()) {
    return BadUri(text, "empty; write a path or <name>:<place>");
  }
  std::string_view rest = text;
  Uri uri;
  if (const std::size_t comma = rest.find(',');
      comma != std::string_view::npos) {
    uri.inner = rest.substr(comma + 1);
    if (uri.inner.empty()) {
      return BadUri(text,
                    "nothing follows the comma; expected the storage "
                    "to wrap");
    }
    rest = rest.substr(0, comma);
  }
  uri.scheme = TakeScheme(rest);
  const std::size_t question = rest.find('?');
  uri.place = rest.substr(0, question);
  if (question != std::string_view::npos) {
    STOKER_TRY(ParseOptions(text, rest.substr(question + 1), uri));
  }
  return uri;
}

std::string FormatUri(const Uri& uri) {
  const bool is_folder = uri.scheme == "file" || uri.scheme == "direct" ||
                         uri.scheme == "mmap" || uri.scheme == "s3";
  std::string text =
      fmt::format("{}:{}{}", uri.scheme, is_folder ? "//" : "", uri.place);
  char separator = '?';
  for (const auto& [key, value] : uri.options) {
    text += fmt::format("{}{}={}", std::exchange(separator, '&'), key, value);
  }
  if (!uri.inner.empty()) {
    text += "," + uri.inner;
  }
  return text;
}

core::Status CheckUriOptions(const Uri& uri,
                             std::span<const BackendInfo> more) {
  const BackendInfo* const info = FindBackend(uri.scheme, more);
  return info == nullptr ? UnknownBackend(uri, more) : CheckOptions(*info, uri);
}

std::span<const BackendInfo> Backends() { return kBackends; }

core::Result<std::unique_ptr<Backend>> OpenBackend(
    std::string_view uri, const OpenSettings& settings) {
  STOKER_ASSIGN(const Uri parsed, ParseUri(uri));
  const BackendInfo* const info = FindBackend(parsed.scheme, settings.more);
  if (info == nullptr) {
    return UnknownBackend(parsed, settings.more);
  }
  STOKER_TRY(CheckOptions(*info, parsed));
  STOKER_ASSIGN(std::unique_ptr<Backend> inner,
                OpenInner(*info, parsed, settings));
  return info->open(parsed, settings, std::move(inner));
}

}  // namespace stoker::storage
