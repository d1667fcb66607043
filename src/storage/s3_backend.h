#pragma once

// Objects of a bucket of an S3 server.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

inline constexpr std::array<OptionHelp, 17> kS3Options{
    {{"endpoint", "URL;URL;...",
      "servers; {1...8} in one stands for eight. Unless set: "
      "AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, S3_ENDPOINT_URIS, "
      "S3_ENDPOINT_TEMPLATE, S3_ENDPOINT, S3_ENDPOINT_FILE, else AWS"},
     {"balance", "round_robin|least_connections",
      "which of several servers gets a request; S3_LOAD_BALANCE_STRATEGY"},
     {"addressing", "auto|path|virtual",
      "where the bucket's name goes; auto: into the host's for AWS, else into "
      "the path"},
     {"region", "name",
      "AWS_REGION, AWS_DEFAULT_REGION or ~/.aws/config, else us-east-1"},
     {"profile", "name",
      "of ~/.aws/credentials; else AWS_ACCESS_KEY_ID and its like, then "
      "AWS_PROFILE"},
     {"sign", "yes|no", "no: without credentials, for public buckets"},
     {"payload", "unsigned|signed",
      "signed: the server checks a SHA-256 of all data that is written, which "
      "costs 0.7 s of a core per GB"},
     {"ca", "file", "certificates to trust for https; AWS_CA_BUNDLE"},
     {"connections", "1..1024", "of each rank to read with, at most; 64"},
     {"range", "bytes", "of one GET at most, larger reads are split; 8MiB"},
     {"part", "bytes", "of an upload's part, 5MiB to 5GiB; 8MiB"},
     {"uploads", "1..64", "parts of an object under way at once; 4"},
     {"retries", "0..100",
      "repetitions of a request that failed for a reason that may pass; 5"},
     {"connect_timeout", "duration", "10s"},
     {"attempt_timeout", "duration",
      "a try without any progress for so long has failed; 20s"},
     {"copy", "yes|no",
      "no: a server that cannot copy objects; several names for the same "
      "content are then refused"},
     {"stale", "duration",
      "an unfinished upload older than this is taken to be a dead writer's; "
      "24h"}}};

// "s3://bucket/prefix?options". Object names are below the prefix. Reads are
// ranged GETs, writes one PUT or a multipart upload; Link is a copy by the
// server. Credentials come from the environment or AWS's shared files, never
// from the URI, and go nowhere but into requests' signatures. Nothing is asked
// of the server yet. kInvalidArgument: no bucket, bad options, no credentials.
core::Result<std::unique_ptr<Backend>> OpenS3Backend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

// An upload that was neither completed nor taken back.
struct StaleUpload {
  std::string_view object_name;
  std::chrono::system_clock::time_point initiated{};
};

// Takes back the uploads below an s3 URI that began `older_than` ago or before;
// `visit` sees each. With `only_count` nothing is taken back. Returns their
// number.
core::Result<std::uint64_t> CleanS3Uploads(
    std::string_view uri, std::chrono::seconds older_than, bool only_count,
    const std::function<void(const StaleUpload&)>& visit);

}  // namespace stoker::storage
