#include "run/internal/datagen_events.h"

#include <fmt/format.h>

#include "core/units.h"
#include "dataset/manifest.h"
#include "run/internal/rate.h"

namespace stoker::run::internal {

namespace {

std::string Rate(std::uint64_t bytes, core::Nanos elapsed) {
  return fmt::format("{} ({} bytes) in {}, {:.2f} GiB/s",
                     core::FormatBytes(static_cast<double>(bytes)), bytes,
                     core::FormatSeconds(core::Seconds(elapsed)),
                     GibPerSecond(bytes, elapsed));
}

std::string DescribeMade(const generators::GeneratePlan& plan,
                         const generators::GenerateResult& result,
                         std::string_view uri) {
  std::string text = fmt::format("{} {} files", core::FormatCount(plan.names()),
                                 plan.format->name());
  if (plan.content.distinct > 0) {
    text += fmt::format(" ({} distinct contents, the rest hard links)",
                        plan.content.distinct);
  }
  if (result.streams > 0) {
    text += fmt::format(" (the reference's bytes for {} processes)",
                        result.streams);
  }
  return fmt::format("dataset: {} in {}: ", text, uri);
}

}  // namespace

Event GeneratedEvent(const generators::GeneratePlan& plan,
                     const generators::GenerateResult& result,
                     std::string_view uri) {
  const core::Nanos writing = result.reused ? core::Nanos{} : result.writing;
  Event event{.name = "datagen_done", .text = DescribeMade(plan, result, uri)};
  event.text += result.reused ? "already there, nothing to do"
                              : "wrote " + Rate(result.all_bytes, writing);
  event.fields = {{"files", result.all_files},
                  {"files_total", plan.names()},
                  {"files_kept", result.kept},
                  {"bytes", result.all_bytes},
                  {"seconds", core::Seconds(writing)},
                  {"gib_per_s", GibPerSecond(result.all_bytes, writing)},
                  {"total_s", core::Seconds(result.elapsed)},
                  {"storage_uri", uri}};
  return event;
}

Event VerifiedEvent(const generators::VerifyResult& result) {
  std::string what = fmt::format("{} files", core::FormatCount(result.names));
  if (result.linked > 0) {
    what += fmt::format(" ({} read, {} are hard links to these)",
                        core::FormatCount(result.contents),
                        core::FormatCount(result.linked));
  } else if (result.contents != result.names) {
    what += fmt::format(" ({} read)", core::FormatCount(result.contents));
  }
  if (result.indexes > 0) {
    what +=
        fmt::format(", {} record indexes", core::FormatCount(result.indexes));
  }
  Event event{.name = "verify_done"};
  event.text = fmt::format("verify: {}: read {}{}", what,
                           Rate(result.bytes, result.elapsed),
                           result.whole() ? ", every byte as generated" : "");
  event.fields = {{"whole", result.whole()},
                  {"files_total", result.names},
                  {"files", result.contents},
                  {"files_linked", result.linked},
                  {"indexes", result.indexes},
                  {"bytes", result.bytes},
                  {"seconds", core::Seconds(result.elapsed)},
                  {"gib_per_s", GibPerSecond(result.bytes, result.elapsed)},
                  {"bad", result.bad},
                  {"extra", result.extra}};
  return event;
}

Event ProblemEvent(const generators::Problem& problem) {
  Event event{.name = "bad_object"};
  event.text = fmt::format("verify: {}: {}", problem.object, problem.reason);
  event.fields = {{"object", problem.object}, {"reason", problem.reason}};
  if (problem.offset) {
    event.fields.emplace_back("offset", *problem.offset);
  }
  return event;
}

Event DeletedEvent(const generators::DeleteResult& result,
                   std::string_view uri) {
  const std::uint64_t total =
      result.manifest.train.total + result.manifest.valid.total;
  Event event{.name = "delete_done"};
  event.text = fmt::format(
      "delete: {} in {} is gone: {} of its {} files were there, and {} "
      "sidecars and indexes; {}",
      dataset::DescribeManifest(result.manifest), uri,
      core::FormatCount(result.names), core::FormatCount(total),
      core::FormatCount(result.others),
      core::FormatSeconds(core::Seconds(result.elapsed)));
  event.fields = {{"files", result.names},
                  {"files_total", total},
                  {"others", result.others},
                  {"foreign", result.foreign},
                  {"unfinished", result.swept.objects},
                  {"busy", result.swept.busy},
                  {"seconds", core::Seconds(result.elapsed)}};
  return event;
}

}  // namespace stoker::run::internal
