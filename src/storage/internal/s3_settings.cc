#include "storage/internal/s3_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/text.h"
#include "core/units.h"
#include "storage/uri_options.h"

namespace stoker::storage::internal {

namespace {

using core::Code;
using core::Status;

Status BadS3(std::string_view reason) {
  return {Code::kInvalidArgument, fmt::format("storage s3: {}", reason)};
}

std::string_view WithoutSpaces(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) {
    return "";
  }
  return text.substr(first, text.find_last_not_of(" \t\r") + 1 - first);
}

std::optional<std::string> FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return std::nullopt;
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The value of the first of `names` that is set.
std::optional<std::string> FirstOf(const Environment& environment,
                                   std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    if (auto value = environment(name)) {
      return value;
    }
  }
  return std::nullopt;
}

// "~/.aws/credentials" and the like, or where `variable` says.
std::optional<std::string> SharedFile(const Environment& environment,
                                      const char* variable,
                                      std::string_view name) {
  if (const auto path = environment(variable)) {
    return FileText(*path);
  }
  const auto home = environment("HOME");
  return home ? FileText(fmt::format("{}/.aws/{}", *home, name)) : std::nullopt;
}

std::string ProfileOf(const Uri& uri, const Environment& environment) {
  const std::string_view given = TextOption(uri, "profile", "");
  if (!given.empty()) {
    return std::string(given);
  }
  return environment("AWS_PROFILE").value_or("default");
}

core::Result<std::optional<S3Credentials>> FindCredentials(
    const Uri& uri, const Environment& environment) {
  const std::string_view sign = TextOption(uri, "sign", "yes");
  if (sign != "yes" && sign != "no") {
    return BadOption(uri, "sign", "allowed are yes and no");
  }
  if (sign == "no") {
    return std::optional<S3Credentials>();
  }
  const bool named = uri.options.contains("profile");
  const auto key = environment("AWS_ACCESS_KEY_ID");
  const auto secret = environment("AWS_SECRET_ACCESS_KEY");
  if (!named && key && secret) {
    return std::optional(S3Credentials{
        .access_key = *key,
        .secret_key = *secret,
        .session_token = environment("AWS_SESSION_TOKEN").value_or("")});
  }
  const std::string profile = ProfileOf(uri, environment);
  if (const auto text = SharedFile(environment, "AWS_SHARED_CREDENTIALS_FILE",
                                   "credentials")) {
    const auto file_key = IniValue(*text, profile, "aws_access_key_id");
    const auto file_secret = IniValue(*text, profile, "aws_secret_access_key");
    if (file_key && file_secret) {
      return std::optional(S3Credentials{
          .access_key = *file_key,
          .secret_key = *file_secret,
          .session_token =
              IniValue(*text, profile, "aws_session_token").value_or("")});
    }
  }
  return BadS3(fmt::format(
      "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
      "write them for profile '{}' into ~/.aws/credentials (or the file that "
      "AWS_SHARED_CREDENTIALS_FILE names); sign=no for a public bucket",
      profile));
}

std::string FindRegion(const Uri& uri, const Environment& environment) {
  const std::string_view given = TextOption(uri, "region", "");
  if (!given.empty()) {
    return std::string(given);
  }
  if (const auto region =
          FirstOf(environment, {"AWS_REGION", "AWS_DEFAULT_REGION"})) {
    return *region;
  }
  const std::string profile = ProfileOf(uri, environment);
  if (const auto text = SharedFile(environment, "AWS_CONFIG_FILE", "config")) {
    const std::string section =
        profile == "default" ? profile : "profile " + profile;
    if (const auto region = IniValue(*text, section, "region")) {
      return *region;
    }
  }
  return S3Settings{}.region;
}

// "http://s3-{1...8}:9000" → eight texts; one without braces is itself.
core::Result<std::vector<std::string>> ExpandTemplate(std::string_view text) {
  constexpr std::int64_t kMost = 4096;
  const std::size_t open = text.find('{');
  const std::size_t close = text.find('}');
  if (open == std::string_view::npos && close == std::string_view::npos) {
    return std::vector<std::string>{std::string(text)};
  }
  const auto bad = [text] {
    return BadS3(
        fmt::format("endpoint template '{}': expected one range such "
                    "as {{1...8}}",
                    text));
  };
  if (open == std::string_view::npos || close == std::string_view::npos ||
      close < open) {
    return bad();
  }
  const std::string_view range = text.substr(open + 1, close - open - 1);
  const std::size_t dots = range.find("...");
  if (dots == std::string_view::npos) {
    return bad();
  }
  const auto first = core::ParseInt(range.substr(0, dots));
  const auto last = core::ParseInt(range.substr(dots + 3));
  if (!first.ok() || !last.ok() || first.value() < 0 ||
      last.value() < first.value() || last.value() - first.value() >= kMost) {
    return bad();
  }
  std::vector<std::string> texts;
  for (std::int64_t i = first.value(); i <= last.value(); ++i) {
    texts.push_back(
        fmt::format("{}{}{}", text.substr(0, open), i, text.substr(close + 1)));
  }
  return texts;
}

// Texts of endpoints, from the option or the environment.
core::Result<std::vector<std::string>> EndpointTexts(
    const Uri& uri, const Environment& environment) {
  std::string list(TextOption(uri, "endpoint", ""));
  if (list.empty()) {
    list = FirstOf(environment,
                   {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL",
                    "S3_ENDPOINT_URIS", "S3_ENDPOINT_TEMPLATE", "S3_ENDPOINT"})
               .value_or("");
  }
  if (list.empty()) {
    if (const auto path = environment("S3_ENDPOINT_FILE")) {
      const auto text = FileText(*path);
      if (!text) {
        return BadS3(
            fmt::format("S3_ENDPOINT_FILE names {}, which cannot be "
                        "read",
                        *path));
      }
      list = *text;
    }
  }
  std::ranges::replace_if(
      list, [](char c) { return c == ',' || c == '\n'; }, ';');
  std::vector<std::string> texts;
  for (const std::string_view one : core::Split(list, ';')) {
    const std::string_view text = WithoutSpaces(one);
    if (text.empty() || text.starts_with('#')) {
      continue;
    }
    STOKER_ASSIGN(std::vector<std::string> some, ExpandTemplate(text));
    std::ranges::move(some, std::back_inserter(texts));
  }
  return texts;
}

Status FindEndpoints(const Uri& uri, const Environment& environment,
                     S3Settings& settings) {
  STOKER_ASSIGN(std::vector<std::string> texts,
                EndpointTexts(uri, environment));
  const bool aws = texts.empty();
  if (aws) {
    texts.push_back(
        fmt::format("https://s3.{}.amazonaws.com", settings.region));
  }
  for (const std::string& text : texts) {
    STOKER_ASSIGN(S3Endpoint endpoint, ParseEndpoint(text));
    settings.endpoints.push_back(std::move(endpoint));
  }
  const std::string_view addressing = TextOption(uri, "addressing", "auto");
  if (addressing != "auto" && addressing != "path" && addressing != "virtual") {
    return BadOption(uri, "addressing", "allowed are auto, path and virtual");
  }
  // A name with dots does not fit the server's certificate.
  const bool dotted = settings.bucket.find('.') != std::string::npos;
  settings.virtual_host =
      addressing == "virtual" || (addressing == "auto" && aws && !dotted);

  const std::string balance =
      environment("S3_LOAD_BALANCE_STRATEGY").value_or("round_robin");
  const std::string_view given = TextOption(uri, "balance", balance);
  if (given == "least_connections") {
    settings.balance = S3Balance::kLeastConnections;
  } else if (given != "round_robin") {
    return BadOption(uri, "balance",
                     "allowed are round_robin and least_connections");
  }
  return {};
}

Status ReadLimitsOf(const Uri& uri, S3Settings& settings) {
  STOKER_ASSIGN(settings.connections,
                CountOption(uri, "connections", settings.connections,
                            {.lowest = 1, .highest = 1024}));
  STOKER_ASSIGN(settings.range_bytes,
                BytesOption(uri, "range", settings.range_bytes));
  if (settings.range_bytes < 4 * core::kKiB) {
    return BadOption(uri, "range", "at least 4 KiB");
  }
  STOKER_ASSIGN(settings.part_bytes,
                BytesOption(uri, "part", settings.part_bytes));
  if (settings.part_bytes < kSmallestS3Part ||
      settings.part_bytes > kLargestS3Part) {
    return BadOption(uri, "part", "S3 takes parts of 5 MiB to 5 GiB");
  }
  STOKER_ASSIGN(settings.uploads, CountOption(uri, "uploads", settings.uploads,
                                              {.lowest = 1, .highest = 64}));
  STOKER_ASSIGN(settings.retries, CountOption(uri, "retries", settings.retries,
                                              {.lowest = 0, .highest = 100}));
  STOKER_ASSIGN(
      settings.connect_timeout,
      DurationOption(uri, "connect_timeout", settings.connect_timeout));
  STOKER_ASSIGN(
      settings.attempt_timeout,
      DurationOption(uri, "attempt_timeout", settings.attempt_timeout));
  if (settings.connect_timeout <= core::Nanos{0} ||
      settings.attempt_timeout <= core::Nanos{0}) {
    return BadS3("connect_timeout and attempt_timeout are longer than 0 s");
  }
  return {};
}

}  // namespace

std::string S3Endpoint::host_header() const {
  const std::uint16_t own = tls ? 443 : 80;
  return port == own ? host : fmt::format("{}:{}", host, port);
}

core::Result<S3Endpoint> ParseEndpoint(std::string_view text) {
  const auto bad = [text](std::string_view reason) {
    return BadS3(fmt::format(
        "endpoint '{}': {}; example: "
        "http://10.0.0.1:9000",
        text.find('@') != std::string_view::npos ? "..." : text, reason));
  };
  S3Endpoint endpoint;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    endpoint.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad("it begins with neither http:// nor https://");
  }
  if (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  if (rest.find('@') != std::string_view::npos) {
    return bad(
        "user and password do not belong there; set AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY");
  }
  if (rest.empty() || rest.find('/') != std::string_view::npos) {
    return bad("expected a host and perhaps a port, nothing behind");
  }
  endpoint.port = endpoint.tls ? 443 : 80;
  // "[::1]:9000": the colons of an address are within brackets.
  const std::size_t bracket = rest.rfind(']');
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos &&
      (bracket == std::string_view::npos || colon > bracket)) {
    const auto port = core::ParseInt(rest.substr(colon + 1));
    if (!port.ok() || port.value() < 1 || port.value() > 65535) {
      return bad("the port is not a number of 1 to 65535");
    }
    endpoint.port = static_cast<std::uint16_t>(port.value());
    rest = rest.substr(0, colon);
  }
  if (rest.empty()) {
    return bad("the host is missing");
  }
  endpoint.host = rest;
  return endpoint;
}

std::optional<std::string> ProcessEnvironment(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing of ours sets variables
  const char* const value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> IniValue(std::string_view text,
                                    std::string_view section,
                                    std::string_view key) {
  bool inside = false;
  for (const std::string_view raw : core::Split(text, '\n')) {
    const std::string_view line = WithoutSpaces(raw);
    if (line.starts_with('[') && line.ends_with(']')) {
      inside = WithoutSpaces(line.substr(1, line.size() - 2)) == section;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (inside && !line.starts_with('#') && equals != std::string_view::npos &&
        WithoutSpaces(line.substr(0, equals)) == key) {
      return std::string(WithoutSpaces(line.substr(equals + 1)));
    }
  }
  return std::nullopt;
}

core::Result<S3Settings> ReadS3Settings(const Uri& uri,
                                        const OpenSettings& open,
                                        const Environment& environment) {
  S3Settings settings;
  std::string_view place = uri.place;
  while (place.ends_with('/')) {
    place.remove_suffix(1);
  }
  const std::size_t slash = place.find('/');
  settings.bucket = place.substr(0, slash);
  if (settings.bucket.empty()) {
    return BadS3("the bucket is missing; write s3://<bucket>/<prefix>");
  }
  if (slash != std::string_view::npos) {
    settings.prefix = std::string(place.substr(slash + 1)) + "/";
    STOKER_TRY(CheckObjectName(place.substr(slash + 1))
                   .WithContext("storage s3: prefix"));
  }
  settings.region = FindRegion(uri, environment);
  STOKER_TRY(FindEndpoints(uri, environment, settings));
  STOKER_ASSIGN(settings.credentials, FindCredentials(uri, environment));
  settings.ca_file =
      TextOption(uri, "ca", environment("AWS_CA_BUNDLE").value_or(""));
  if (!settings.ca_file.empty() && !FileText(settings.ca_file)) {
    return BadOption(uri, "ca",
                     fmt::format("cannot read {}", settings.ca_file));
  }
  const std::string_view payload = TextOption(uri, "payload", "unsigned");
  if (payload != "unsigned" && payload != "signed") {
    return BadOption(uri, "payload", "allowed are unsigned and signed");
  }
  settings.sign_payload = payload == "signed";
  settings.io_timeout = open.io_timeout;
  STOKER_TRY(ReadLimitsOf(uri, settings));
  return settings;
}

}  // namespace stoker::storage::internal
