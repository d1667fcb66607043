#include "generators/internal/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "core/units.h"
#include "generators/internal/scan.h"
#include "generators/payload.h"

namespace stoker::generators::internal {

namespace {

using core::Code;
using core::Status;

constexpr std::string_view kOtherPlace =
    "choose another data folder, or delete what is there (datagen --delete "
    "removes a dataset of ours)";

Status Invalid(const storage::Backend& backend, std::string_view what) {
  return {Code::kInvalidArgument,
          fmt::format("generate {}: {}", backend.uri(), what)};
}

Status CheckPlan(const storage::Backend& backend, const GeneratePlan& plan) {
  STOKER_CHECK(plan.format != nullptr && plan.samples_per_file > 0);
  STOKER_CHECK(plan.train.set == "train" && plan.valid.set == "valid");
  if (plan.names() == 0) {
    return Invalid(backend,
                   "there is nothing to make; set dataset.num_files_train");
  }
  if (plan.write_index && plan.format->name() != "tfrecord") {
    return Invalid(backend, fmt::format("a record index belongs to tfrecord, "
                                        "dataset.format is {}",
                                        plan.format->name()));
  }
  return CheckContent(plan).WithContext("generate " + backend.uri());
}

Status CheckLinks(const storage::Backend& backend, const GeneratePlan& plan) {
  const std::uint64_t distinct = plan.content.distinct;
  const std::uint64_t names = std::max(plan.train.total, plan.valid.total);
  if (distinct == 0 || distinct >= names) {
    return {};
  }
  const storage::Capabilities can = backend.capabilities();
  if (!can.links) {
    return {Code::kUnsupported,
            fmt::format("generate {}: --distinct {} needs second names for "
                        "the same bytes, which '{}' cannot make; leave "
                        "--distinct out",
                        backend.uri(), distinct, backend.scheme())};
  }
  const std::uint64_t least =
      names / can.max_links + (names % can.max_links == 0 ? 0 : 1);
  if (distinct < least) {
    return Invalid(
        backend,
        fmt::format("--distinct {} is too small: an object can have at most {} "
                    "names here, so {} files need --distinct {} at least",
                    distinct, can.max_links, names, least));
  }
  return {};
}

// The names of other datasets and of nobody's are in the way.
core::Result<Found> ScanForRoom(storage::Backend& backend,
                                const GeneratePlan& plan) {
  Status in_the_way;
  STOKER_ASSIGN(
      Found found, Scan(backend, plan, [&](const Oddity& oddity) {
        const bool in_index = oddity.name.starts_with("index/");
        const bool train = oddity.name.starts_with(plan.train.set);
        const std::uint64_t files = train ? plan.train.total : plan.valid.total;
        if (oddity.kind == Oddity::Kind::kWrongSize || in_index || files == 0) {
          return true;
        }
        in_the_way = Invalid(
            backend,
            oddity.kind == Oddity::Kind::kOtherCount
                ? fmt::format("{} belongs to a dataset of {} files, not {}; {}",
                              oddity.name, oddity.total, files, kOtherPlace)
                : fmt::format("foreign file in the way: {} is not a name of "
                              "this dataset; {}",
                              oddity.name, kOtherPlace));
        return false;
      }));
  STOKER_TRY(in_the_way);
  return found;
}

// Whether files whose content nothing vouches for may go.
Status CheckUnvouched(const storage::Backend& backend, const GeneratePlan& plan,
                      std::uint64_t objects) {
  if (objects == 0 || plan.replace) {
    return {};
  }
  return Invalid(
      backend,
      fmt::format("{} files of this dataset's names are there, but neither {} "
                  "nor {} says what they hold: another tool may have made "
                  "them; choose another --data-dir, remove them, or let "
                  "--replace remove and write them anew",
                  objects, dataset::kManifestName, dataset::kPartialName));
}

Status CheckSpace(storage::Backend& backend, std::uint64_t stored,
                  std::uint64_t there) {
  STOKER_ASSIGN(const std::uint64_t free, backend.FreeBytes());
  const std::uint64_t needed = stored - std::min(stored, there);
  if (needed <= free) {
    return {};
  }
  return {
      Code::kIoError,
      fmt::format("generate {}: {} ({} bytes) are needed, {} ({} bytes) "
                  "are free; make room, lower dataset.num_files_train, or "
                  "store fewer contents with --distinct",
                  backend.uri(), core::FormatBytes(static_cast<double>(needed)),
                  needed, core::FormatBytes(static_cast<double>(free)), free),
      ENOSPC};
}

struct Descriptions {
  std::optional<dataset::Manifest> whole;
  std::optional<dataset::Manifest> partial;
  const std::optional<dataset::Manifest>& any() const {
    return whole ? whole : partial;
  }
};

core::Result<Descriptions> ReadDescriptions(storage::Backend& backend,
                                            core::Clock& clock) {
  Descriptions found;
  STOKER_ASSIGN(found.whole, dataset::ReadManifest(backend, clock));
  STOKER_ASSIGN(found.partial,
                dataset::ReadManifest(backend, clock, dataset::kPartialName));
  return found;
}

// The reference's content depends on the number of its processes: a dataset
// that was begun goes on with the number it was begun with.
void SettleStreams(GeneratePlan& plan, const Descriptions& old,
                   std::uint64_t processes) {
  if (plan.content.mode != kDlioMode) {
    plan.content.ranks = 0;
    return;
  }
  if (plan.content.ranks > 0) {
    return;
  }
  const auto& begun = old.any();
  plan.content.ranks = begun && begun->content.mode == kDlioMode
                           ? begun->content.ranks
                           : processes;
}

Status CheckSame(const storage::Backend& backend, const Descriptions& old,
                 const dataset::Manifest& wanted) {
  const auto& other = old.any();
  if (!other || other->hash == wanted.hash) {
    return {};
  }
  return Invalid(
      backend,
      fmt::format("{} describes another dataset{} ({}); wanted is {}; {}",
                  old.whole ? dataset::kManifestName : dataset::kPartialName,
                  old.whole ? "" : ", begun and not finished",
                  dataset::DescribeManifest(*other),
                  dataset::DescribeManifest(wanted), kOtherPlace));
}

}  // namespace

core::Result<Prepared> LookAtPlace(storage::Backend& backend,
                                   GeneratePlan& plan, std::uint64_t processes,
                                   core::Clock& clock) {
  STOKER_ASSIGN(const Descriptions old, ReadDescriptions(backend, clock));
  SettleStreams(plan, old, processes);
  STOKER_TRY(CheckPlan(backend, plan));
  STOKER_TRY(CheckLinks(backend, plan));
  Prepared prepared;
  prepared.wanted = ManifestOf(plan);
  Todo& todo = prepared.todo;
  if (!backend.capabilities().stores_data) {
    todo.index = plan.write_index;
    return prepared;
  }
  STOKER_TRY(CheckSame(backend, old, prepared.wanted));
  STOKER_ASSIGN(Found found, ScanForRoom(backend, plan));
  if (!old.any()) {
    STOKER_TRY(CheckUnvouched(backend, plan, found.objects));
  }
  todo.data = !old.whole || found.data.Count() != plan.names();
  todo.index = plan.write_index && found.index.Count() != plan.names();
  prepared.replaces_manifest = old.whole && todo.data;
  prepared.removes_partial = old.whole && old.partial && !todo.data;
  if (todo.data) {
    STOKER_TRY(
        CheckSpace(backend, prepared.wanted.stored_bytes, found.content_bytes));
  }
  if (old.any()) {
    todo.kept = std::move(found.data);
    todo.kept_index = std::move(found.index);
  } else {
    prepared.cleared = found.objects;
    todo.clear = found.objects > 0;
    todo.index = plan.write_index;
  }
  return prepared;
}

Status Announce(storage::Backend& backend, const Prepared& prepared,
                core::Clock& clock) {
  if (prepared.todo.data && backend.capabilities().stores_data) {
    STOKER_TRY(dataset::WriteManifest(backend, prepared.wanted, clock,
                                      dataset::kPartialName));
    if (prepared.replaces_manifest) {
      STOKER_TRY(backend.Remove(dataset::kManifestName));
    }
  }
  STOKER_TRY(backend.EnsureFolder("train/"));
  return backend.EnsureFolder("valid/");
}

Status Conclude(storage::Backend& backend, const Prepared& prepared,
                core::Clock& clock) {
  if (prepared.todo.data) {
    STOKER_TRY(dataset::WriteManifest(backend, prepared.wanted, clock));
  }
  const bool marked =
      prepared.removes_partial ||
      (prepared.todo.data && backend.capabilities().stores_data);
  return marked ? backend.Remove(dataset::kPartialName) : Status();
}

}  // namespace stoker::generators::internal
