#pragma once

// Looking after an S3 bucket outside of a run.

#include <chrono>
#include <string>

#include "core/status.h"
#include "run/console.h"

namespace stoker::run {

struct CleanUpRequest {
  std::string uri;                    // s3://bucket/prefix
  std::chrono::seconds older_than{};  // uploads begun so long ago or before
  bool what_if = false;               // only tells
};

// `s3 cleanup URI`: takes back uploads that were begun and never completed.
// Errors as storage::CleanS3Uploads.
core::Status CleanUpUploads(Console& console, const CleanUpRequest& request);

}  // namespace stoker::run
