#include "generators/internal/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/units.h"
#include "dataset/names.h"

namespace stoker::generators::internal {

namespace {

using core::Code;
using core::Status;

constexpr std::string_view kOtherPlace =
    "choose another data folder, or delete what is there";

Status Invalid(const storage::Backend& backend, std::string_view what) {
  return {Code::kInvalidArgument,
          fmt::format("generate {}: {}", backend.uri(), what)};
}

Status CheckPlan(const storage::Backend& backend, const GeneratePlan& plan) {
  STOKER_CHECK(plan.format != nullptr && plan.samples_per_file > 0);
  STOKER_CHECK(plan.train.set == "train" &&
               (plan.valid.total == 0 || plan.valid.set == "valid"));
  if (plan.train.total + plan.valid.total == 0) {
    return Invalid(backend,
                   "there is nothing to make; set dataset.num_files_train");
  }
  if (plan.content.mode != "counter") {
    return Invalid(backend, fmt::format("content mode '{}' is unknown; the "
                                        "known one is counter",
                                        plan.content.mode));
  }
  if (plan.write_index && plan.format->name() != "tfrecord") {
    return Invalid(backend, fmt::format("a record index belongs to tfrecord, "
                                        "dataset.format is {}",
                                        plan.format->name()));
  }
  return {};
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

// What is in the folders already.
struct Found {
  std::uint64_t whole = 0;          // names of this dataset with the right size
  std::uint64_t content_bytes = 0;  // of names that will be written, not linked
};

// Takes in the names of one set.
class SetScan {
 public:
  SetScan(const storage::Backend& backend, const GeneratePlan& plan,
          const dataset::Shapes& shapes, const dataset::Naming& naming,
          Found& found)
      : backend_(backend),
        plan_(plan),
        shapes_(shapes),
        naming_(naming),
        set_start_(&naming == &plan.valid ? plan.train.total : 0),
        found_(found) {}

  bool Add(const storage::ObjectInfo& info) {
    const auto parsed = dataset::ParseName(info.name);
    if (parsed && parsed->index < naming_.total) {
      dataset::ObjectName(naming_, parsed->index, expected_);
      if (expected_ == info.name) {
        Count(parsed->index, info.size);
        return true;
      }
    }
    const bool other_count = parsed && parsed->prefix == naming_.prefix &&
                             parsed->suffix == naming_.suffix &&
                             parsed->total != naming_.total;
    status_ = Invalid(
        backend_,
        other_count
            ? fmt::format("{} belongs to a dataset of {} files, not {}; {}",
                          info.name, parsed->total, naming_.total, kOtherPlace)
            : fmt::format("foreign file in the way: {} is not a name of this "
                          "dataset; {}",
                          info.name, kOtherPlace));
    return false;
  }

  const Status& status() const { return status_; }

 private:
  void Count(std::uint64_t index, std::uint64_t size) {
    const formats::FileSpec spec = SpecOf(plan_, shapes_, set_start_ + index);
    if (size == plan_.format->FileBytes(spec)) {
      ++found_.whole;
    }
    if (spec.index == set_start_ + index) {
      found_.content_bytes += size;
    }
  }

  const storage::Backend& backend_;
  const GeneratePlan& plan_;
  const dataset::Shapes& shapes_;
  const dataset::Naming& naming_;
  std::uint64_t set_start_;
  Found& found_;
  std::string expected_;
  Status status_;
};

core::Result<Found> Scan(storage::Backend& backend, const GeneratePlan& plan,
                         const dataset::Shapes& shapes) {
  Found found;
  for (const dataset::Naming* naming : {&plan.train, &plan.valid}) {
    if (naming->total == 0) {
      continue;
    }
    SetScan scan(backend, plan, shapes, *naming, found);
    const Status listed = backend.List(
        fmt::format("{}/", naming->set),
        [&](const storage::ObjectInfo& info) { return scan.Add(info); });
    STOKER_TRY(scan.status());
    if (listed.code() != Code::kNotFound) {
      STOKER_TRY(listed);
    }
  }
  return found;
}

// True if every file has its record index.
core::Result<bool> IndexIsWhole(storage::Backend& backend,
                                const GeneratePlan& plan) {
  for (const dataset::Naming* naming : {&plan.train, &plan.valid}) {
    std::uint64_t there = 0;
    std::string expected;
    const Status listed =
        backend.List(fmt::format("index/{}/", naming->set),
                     [&](const storage::ObjectInfo& info) {
                       std::string_view name = info.name;
                       name.remove_prefix(name.rfind('/') + 1);
                       name = name.substr(0, name.rfind('.'));
                       const auto parsed = dataset::ParseName(name);
                       if (parsed && parsed->index < naming->total) {
                         dataset::IndexName(*naming, parsed->index, expected);
                         there += expected == info.name ? 1U : 0U;
                       }
                       return true;
                     });
    if (listed.code() != Code::kNotFound) {
      STOKER_TRY(listed);
    }
    if (there != naming->total) {
      return false;
    }
  }
  return true;
}

std::string Describe(const dataset::Manifest& manifest) {
  return fmt::format(
      "{}, {} train and {} eval files of {} samples, record "
      "length {} (stdev {}), content seed {}, distinct {}",
      manifest.format, manifest.train.total, manifest.valid.total,
      manifest.samples_per_file, manifest.sizes.record_length,
      manifest.sizes.stdev, manifest.content.seed, manifest.content.distinct);
}

Status CheckSpace(storage::Backend& backend, std::uint64_t stored,
                  std::uint64_t replaced) {
  STOKER_ASSIGN(const std::uint64_t free, backend.FreeBytes());
  const std::uint64_t needed = stored - std::min(stored, replaced);
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

}  // namespace

core::Result<Todo> PreparePlace(storage::Backend& backend,
                                const GeneratePlan& plan,
                                const dataset::Shapes& shapes,
                                const dataset::Manifest& wanted,
                                core::Clock& clock) {
  STOKER_TRY(CheckPlan(backend, plan));
  STOKER_TRY(CheckLinks(backend, plan));
  if (!backend.capabilities().stores_data) {
    return Todo{.data = true, .index = plan.write_index};
  }
  STOKER_ASSIGN(const std::optional<dataset::Manifest> old,
                dataset::ReadManifest(backend, clock));
  if (old && old->hash != wanted.hash) {
    return Invalid(backend,
                   fmt::format("{} describes another dataset ({}); wanted is "
                               "{}; {}",
                               dataset::kManifestName, Describe(*old),
                               Describe(wanted), kOtherPlace));
  }
  STOKER_ASSIGN(const Found found, Scan(backend, plan, shapes));
  Todo todo;
  todo.data = !old || found.whole != plan.train.total + plan.valid.total;
  if (plan.write_index) {
    STOKER_ASSIGN(const bool whole, IndexIsWhole(backend, plan));
    todo.index = todo.data || !whole;
  }
  if (todo.data) {
    STOKER_TRY(CheckSpace(backend, wanted.stored_bytes, found.content_bytes));
    if (old) {
      STOKER_TRY(backend.Remove(dataset::kManifestName));
    }
  }
  STOKER_TRY(backend.EnsureFolder("train/"));
  STOKER_TRY(backend.EnsureFolder("valid/"));
  return todo;
}

}  // namespace stoker::generators::internal
