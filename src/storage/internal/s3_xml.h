#pragma once

// The XML that S3 sends and takes (API version 2006-03-01).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace stoker::storage::internal {

// What an <Error> says; empty fields where `text` is no such document.
struct S3Error {
  std::string code;     // "NoSuchKey"
  std::string message;  // may be ""
  std::string region;   // of answers that name the right one
};
S3Error ParseS3Error(std::string_view text);

struct S3ListedObject {
  std::string key;
  std::uint64_t size = 0;  // bytes
};
// ListObjectsV2, asked with encoding-type=url.
struct S3ListPage {
  std::vector<S3ListedObject> objects;
  std::string next_token;  // "": the last page
};
// All of these: kCorruption if `text` is not such a document.
core::Result<S3ListPage> ParseListPage(std::string_view text);

struct S3Upload {
  std::string key;
  std::string id;
  std::string initiated;  // "2026-11-28T16:30:00.000Z"
};
// ListMultipartUploads, asked with encoding-type=url.
struct S3UploadPage {
  std::vector<S3Upload> uploads;
  std::string next_key;  // both "": the last page
  std::string next_id;
};
core::Result<S3UploadPage> ParseUploadPage(std::string_view text);

// The id that CreateMultipartUpload gave.
core::Result<std::string> ParseUploadId(std::string_view text);

// The keys that DeleteObjects could not delete, with what was said of each.
struct S3NotDeleted {
  std::string key;
  S3Error error;
};
core::Result<std::vector<S3NotDeleted>> ParseDeleteResult(
    std::string_view text);

// Element i is the ETag of part i + 1.
std::string CompleteUploadBody(std::span<const std::string> etags);
std::string DeleteObjectsBody(std::span<const std::string> keys);

}  // namespace stoker::storage::internal
