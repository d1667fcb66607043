#pragma once

// Which S3 server, as whom, and how: from a URI, the environment and the
// shared files of AWS's tools.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "storage/internal/s3_sign.h"
#include "storage/open_settings.h"
#include "storage/registry.h"

namespace stoker::storage::internal {

// A server: "http://127.0.0.1:9000".
struct S3Endpoint {
  bool tls = false;
  std::string host;  // without the port
  std::uint16_t port = 0;
  // As the Host header has it: the port only where it is not the scheme's own.
  std::string host_header() const;
};
// "http(s)://host(:port)" and no more; kInvalidArgument with the reason.
core::Result<S3Endpoint> ParseEndpoint(std::string_view text);

// What S3 takes as a part of an upload (the last may be smaller).
inline constexpr std::uint64_t kSmallestS3Part = 5ULL << 20;  // bytes
inline constexpr std::uint64_t kLargestS3Part = 5ULL << 30;   // bytes

enum class S3Balance : std::uint8_t { kRoundRobin, kLeastConnections };

struct S3Settings {
  std::string bucket;
  std::string prefix;  // "" or "a/b/": before every object's name
  std::vector<S3Endpoint> endpoints;  // at least one
  S3Balance balance = S3Balance::kRoundRobin;
  bool virtual_host = false;  // bucket.host/key instead of host/bucket/key
  std::string region = "us-east-1";
  std::optional<S3Credentials> credentials;  // none: requests are not signed
  bool sign_payload = false;
  std::string ca_file;                   // "": the system's
  std::size_t connections = 64;          // of a queue at most
  std::uint64_t range_bytes = 8U << 20;  // of one GET at most
  std::uint64_t part_bytes = 8U << 20;   // of an upload's part, at least 5 MiB
  std::size_t uploads = 4;               // parts of an object on their way
  std::uint64_t retries = 5;             // repetitions of a request
  core::Nanos connect_timeout = std::chrono::seconds(10);
  core::Nanos attempt_timeout = std::chrono::seconds(20);  // without progress
  core::Nanos io_timeout = std::chrono::seconds(60);  // of a request in all
};

// An environment variable's value; nothing where it is not set or "".
using Environment = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> ProcessEnvironment(const char* name);

// kInvalidArgument: no bucket, a bad option, no credentials.
core::Result<S3Settings> ReadS3Settings(const Uri& uri,
                                        const OpenSettings& settings,
                                        const Environment& environment);

// `key` of `section` in the text of an INI file of AWS's tools.
std::optional<std::string> IniValue(std::string_view text,
                                    std::string_view section,
                                    std::string_view key);

}  // namespace stoker::storage::internal
