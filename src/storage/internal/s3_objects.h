#pragma once

// The objects of an S3 back end that are being read.

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "core/status.h"
#include "storage/object_table.h"

namespace stoker::storage::internal {

// One resolved object. Safe for concurrent use.
struct S3Object {
  std::string key;  // with the back end's prefix

  // That the object is still the one that was met first, by its ETag; ""
  // matches. kCorruption if not.
  core::Status CheckVersion(std::string_view seen);
  void Reset(std::string_view new_key) {
    key = new_key;
    etag_.clear();
  }

 private:
  std::mutex mutex_;  // guards etag_
  std::string etag_;
};

using S3Objects = ObjectTable<S3Object>;

// "bytes 0-99/1234" or "bytes */1234".
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t bytes = 0;  // 0 for "*"
  std::uint64_t total = 0;  // of the object
};
// kCorruption: not of that form.
core::Result<ContentRange> ParseContentRange(std::string_view text);

}  // namespace stoker::storage::internal
