#include "run/s3_care.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "core/units.h"
#include "storage/s3_backend.h"

namespace stoker::run {

core::Status CleanUpUploads(Console& console, const CleanUpRequest& request) {
  const std::string_view doing =
      request.what_if ? "would be taken back" : "taken back";
  const auto tell = [&](const storage::StaleUpload& upload) {
    const std::string begun = fmt::format(
        "{:%Y-%m-%dT%H:%M:%SZ}",
        fmt::gmtime(std::chrono::system_clock::to_time_t(upload.initiated)));
    console.Info({.name = "upload",
                  .text = fmt::format("{}, begun {}: {}", upload.object_name,
                                      begun, doing),
                  .fields = {{"object", std::string(upload.object_name)},
                             {"begun", begun}}});
  };
  STOKER_ASSIGN(const std::uint64_t count,
                storage::CleanS3Uploads(request.uri, request.older_than,
                                        request.what_if, tell));
  console.Info(
      {.name = "cleanup_done",
       .text = fmt::format(
           "{}: {} unfinished upload(s) older than {} {}", request.uri, count,
           core::FormatSeconds(
               std::chrono::duration<double>(request.older_than).count()),
           doing),
       .fields = {{"uploads", count}}});
  return {};
}

}  // namespace stoker::run
