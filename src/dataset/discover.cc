#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <utility>

#include "core/units.h"
#include "dataset/manifest.h"
#include "dataset/spec.h"
#include "formats/registry.h"

namespace stoker::dataset {

namespace {

// Files of a set whose size is asked for when a manifest vouches for the rest.
constexpr std::uint64_t kSampled = 16;
// Files of a set that are looked at for bytes nobody wrote: the first, the last
// and 64 between them.
constexpr std::uint64_t kWrittenSampled = 66;
// Total that a name may state: its bitmap takes 128 MiB.
constexpr std::uint64_t kMaxTotal = 1ULL << 30;
constexpr core::Nanos kSizeTimeout = std::chrono::seconds(60);

// One set as the configuration wants it.
struct Wanted {
  std::string_view set;
  std::uint64_t files = 0;
  std::uint64_t subfolders = 0;  // at least 1
  std::string_view files_key;
  std::string_view subfolders_key;
};

std::uint64_t Folders(std::uint64_t subfolders) {
  return std::max<std::uint64_t>(subfolders, 1);
}

Wanted WantedTrain(const DiscoverOptions& options) {
  return {"train", options.files_train, Folders(options.subfolders_train),
          "dataset.num_files_train", "dataset.num_subfolders_train"};
}

Wanted WantedValid(const DiscoverOptions& options) {
  return {"valid", options.files_eval, Folders(options.subfolders_eval),
          "dataset.num_files_eval", "dataset.num_subfolders_eval"};
}

std::string Remedy(const Wanted& wanted) {
  return fmt::format(
      "generate the dataset with 'stoker training datagen' and "
      "{}={}",
      wanted.files_key, wanted.files);
}

core::Status Fault(core::Code code, const storage::Backend& backend,
                   const Wanted& wanted, std::string_view what) {
  return {code,
          fmt::format("dataset {}, {}/: {}", backend.uri(), wanted.set, what)};
}

std::string MoreWarning(const Wanted& wanted, std::uint64_t found) {
  return fmt::format("{}/ holds {} files, {}={}: only the first {} are used",
                     wanted.set, core::FormatCount(found), wanted.files_key,
                     wanted.files, wanted.files);
}

core::Status TooFew(const storage::Backend& backend, const Wanted& wanted,
                    std::uint64_t found) {
  return Fault(core::Code::kInvalidArgument, backend, wanted,
               fmt::format("{} of the {} files wanted are there; {}, or lower "
                           "that key",
                           found, wanted.files, Remedy(wanted)));
}

// Which file of a sample of `count` spread over the first `files`, the last one
// included; grouped so that it does not overflow.
std::uint64_t SampledFile(std::uint64_t files, std::uint64_t count,
                          std::uint64_t k) {
  const std::uint64_t steps = std::max<std::uint64_t>(count - 1, 1);
  return (files - 1) / steps * k + (files - 1) % steps * k / steps;
}

// What nobody wrote is read at the speed of memory, whatever the storage.
core::Status CheckWritten(storage::Backend& backend, const Wanted& wanted,
                          const Naming& naming) {
  const std::uint64_t count = std::min(kWrittenSampled, wanted.files);
  for (std::uint64_t k = 0; k < count; ++k) {
    const std::string name =
        ObjectName(naming, SampledFile(wanted.files, count, k));
    const auto unwritten = backend.UnwrittenBytes(name);
    if (unwritten.status().code() == core::Code::kNotFound) {
      return Fault(core::Code::kNotFound, backend, wanted,
                   fmt::format("{} is missing; {}", name, Remedy(wanted)));
    }
    STOKER_TRY(unwritten.status().WithContext("look at " + name));
    if (unwritten.value().value_or(0) != 0) {
      return Fault(
          core::Code::kInvalidArgument, backend, wanted,
          fmt::format("{} bytes of {} were never written (holes, or space "
                      "reserved by fallocate), so that reading them asks the "
                      "storage for nothing; delete such files and {}, or write "
                      "them anew, as cp --sparse=never does",
                      *unwritten.value(), name, Remedy(wanted)));
    }
  }
  return {};
}

// --- With a manifest --------------------------------------------------------

core::Status CheckNaming(const storage::Backend& backend, const Wanted& wanted,
                         const Naming& naming) {
  if (naming.total < wanted.files) {
    return TooFew(backend, wanted, naming.total);
  }
  if (Folders(naming.subfolders) != wanted.subfolders) {
    return Fault(
        core::Code::kInvalidArgument, backend, wanted,
        fmt::format("the dataset has {0} subfolders, wanted are {1}; set "
                    "{2}={0}, or generate it again in another folder",
                    naming.subfolders, wanted.subfolders,
                    wanted.subfolders_key));
  }
  return {};
}

// Compares the sizes of up to kSampled of the wanted files with what their
// specs call for.
core::Status CheckSizes(storage::Backend& backend, const Wanted& wanted,
                        const Naming& naming,
                        const std::function<std::uint64_t(std::uint64_t)>& size,
                        core::Clock& clock) {
  STOKER_ASSIGN(const std::unique_ptr<storage::ReadQueue> queue,
                backend.NewReadQueue({.depth = 1}, clock));
  const std::uint64_t count = std::min(kSampled, wanted.files);
  for (std::uint64_t k = 0; k < count; ++k) {
    const std::uint64_t file = SampledFile(wanted.files, count, k);
    const std::string name = ObjectName(naming, file);
    const storage::ObjectId object = backend.Resolve(name);
    const core::Result<std::uint64_t> bytes =
        storage::AskSize(*queue, object, clock, kSizeTimeout);
    if (bytes.status().code() != core::Code::kTimedOut) {
      backend.Release(object);  // not while the question is in flight
    }
    if (bytes.status().code() == core::Code::kNotFound) {
      return Fault(core::Code::kNotFound, backend, wanted,
                   fmt::format("{} is missing although {} lists it; {}", name,
                               kManifestName, Remedy(wanted)));
    }
    STOKER_TRY(bytes.status().WithContext(fmt::format("size of {}", name)));
    if (bytes.value() != size(file)) {
      return Fault(core::Code::kCorruption, backend, wanted,
                   fmt::format("{} has {} bytes, {} calls for {}; {}", name,
                               bytes.value(), kManifestName, size(file),
                               Remedy(wanted)));
    }
  }
  return {};
}

core::Result<Discovered> ByManifest(storage::Backend& backend,
                                    const DiscoverOptions& options,
                                    Manifest manifest, core::Clock& clock) {
  if (manifest.format != options.format) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("dataset {}: its format is {}, dataset.format is {}; use "
                    "the format it was generated with, or another folder",
                    backend.uri(), manifest.format, options.format));
  }
  STOKER_ASSIGN(const formats::Format* const format,
                formats::FindFormat(manifest.format));
  Discovered found;
  found.samples_per_file = manifest.samples_per_file;
  const Shapes shapes =
      Shapes::Make(manifest.sizes, {.train_files = manifest.train.total,
                                    .valid_files = manifest.valid.total,
                                    .distinct = manifest.content.distinct,
                                    .train_used = options.files_train,
                                    .valid_used = options.files_eval});
  const SpecSource source = {
      .shapes = &shapes,
      .train_files = manifest.train.total,
      .distinct = manifest.content.distinct,
      .samples_per_file = static_cast<std::uint32_t>(manifest.samples_per_file),
      .nominal_edge = NominalEdge(manifest.sizes),
      .record_bytes = RecordBytes(manifest.sizes),
      .chunk_edge = manifest.chunk_edge};
  const auto check = [&](const Wanted& wanted, const Naming& naming,
                         std::uint64_t set_start, Naming& out) -> core::Status {
    if (wanted.files == 0) {
      return {};
    }
    STOKER_TRY(CheckNaming(backend, wanted, naming));
    const auto size = [&](std::uint64_t file) {
      return format->FileBytes(FileSpecOf(source, set_start + file));
    };
    STOKER_TRY(CheckSizes(backend, wanted, naming, size, clock));
    STOKER_TRY(CheckWritten(backend, wanted, naming));
    if (naming.total > wanted.files) {
      found.warnings.push_back(MoreWarning(wanted, naming.total));
    }
    out = naming;
    return {};
  };
  STOKER_TRY(check(WantedTrain(options), manifest.train, 0, found.train));
  STOKER_TRY(check(WantedValid(options), manifest.valid, manifest.train.total,
                   found.valid));
  found.manifest = std::move(manifest);
  return found;
}

// --- Without one ------------------------------------------------------------

// Takes in the names of one set, one at a time, without keeping them.
class Listing {
 public:
  Listing(const storage::Backend& backend, const Wanted& wanted,
          std::string_view suffix, std::span<const std::string_view> sidecars)
      : backend_(backend),
        wanted_(wanted),
        suffix_(suffix),
        ending_(fmt::format(".{}", suffix)) {
    for (const std::string_view sidecar : sidecars) {
      sidecar_endings_.push_back(ending_ + std::string(sidecar));
    }
  }

  // False: the set cannot be used, see Finish.
  bool Add(std::string_view name) {
    if (!name.ends_with(ending_)) {
      if (IsSidecar(name)) {
        return true;
      }
      if (ignored_++ == 0) {
        first_ignored_ = name;
      }
      return true;
    }
    status_ = AddFile(name);
    return status_.ok();
  }

  core::Result<Naming> Finish(std::vector<std::string>& warnings) const {
    STOKER_TRY(status_);
    if (count_ == 0) {
      return Fault(
          core::Code::kNotFound, backend_, wanted_,
          fmt::format("there is no file '*{}'; {}", ending_, Remedy(wanted_)));
    }
    if (count_ < wanted_.files) {
      return TooFew(backend_, wanted_, count_);
    }
    for (std::uint64_t i = 0; i < wanted_.files; ++i) {
      if (!seen_[i]) {
        return Fault(core::Code::kNotFound, backend_, wanted_,
                     fmt::format("{} is missing; {}", ObjectName(naming_, i),
                                 Remedy(wanted_)));
      }
    }
    if (count_ > wanted_.files) {
      warnings.push_back(MoreWarning(wanted_, count_));
    }
    if (ignored_ > 0) {
      warnings.push_back(fmt::format(
          "{}/ holds {} objects that do not end in '{}', for example {}: "
          "ignored",
          wanted_.set, ignored_, ending_, first_ignored_));
    }
    return naming_;
  }

 private:
  bool IsSidecar(std::string_view name) const {
    return std::ranges::any_of(
        sidecar_endings_,
        [&](const std::string& ending) { return name.ends_with(ending); });
  }

  core::Status AddFile(std::string_view name) {
    const std::optional<ParsedName> parsed = ParseName(name);
    if (!parsed || parsed->set != wanted_.set || parsed->suffix != suffix_ ||
        parsed->total > kMaxTotal) {
      return Fault(core::Code::kInvalidArgument, backend_, wanted_,
                   fmt::format("{} is not named like a data file "
                               "(<prefix>_<i>_of_<files>{}); move it away",
                               name, ending_));
    }
    if (count_ == 0) {
      Begin(name, *parsed);
    } else if (parsed->total != naming_.total ||
               parsed->prefix != naming_.prefix) {
      return Fault(core::Code::kInvalidArgument, backend_, wanted_,
                   fmt::format("two datasets in one folder: {} and {}; delete "
                               "one, or use another folder",
                               first_, name));
    }
    ObjectName(naming_, parsed->index, expected_);
    if (expected_ != name) {
      return Fault(core::Code::kInvalidArgument, backend_, wanted_,
                   fmt::format("with {}={} {} would be {}; set that key to the "
                               "number of folders (0 for none)",
                               wanted_.subfolders_key, naming_.subfolders, name,
                               expected_));
    }
    seen_[parsed->index] = true;
    ++count_;
    return {};
  }

  void Begin(std::string_view name, const ParsedName& parsed) {
    first_ = name;
    naming_ = {.set = std::string(wanted_.set),
               .prefix = std::string(parsed.prefix),
               .suffix = std::string(suffix_),
               .total = parsed.total,
               .subfolders = wanted_.subfolders > 1 ? wanted_.subfolders : 0};
    seen_.assign(parsed.total, false);
  }

  const storage::Backend& backend_;
  const Wanted& wanted_;
  std::string_view suffix_;
  std::string ending_;
  std::vector<std::string> sidecar_endings_;
  Naming naming_;
  std::string first_;
  std::string expected_;
  std::vector<bool> seen_;
  std::uint64_t count_ = 0;
  std::uint64_t ignored_ = 0;
  std::string first_ignored_;
  core::Status status_;
};

core::Result<Naming> ListSet(storage::Backend& backend, const Wanted& wanted,
                             std::string_view suffix,
                             std::vector<std::string>& warnings) {
  const auto format = formats::FindFormat(suffix);
  Listing listing(backend, wanted, suffix,
                  format.ok() ? format.value()->sidecars()
                              : std::span<const std::string_view>());
  const core::Status listed = backend.List(
      fmt::format("{}/", wanted.set),
      [&](const storage::ObjectInfo& info) { return listing.Add(info.name); });
  if (listed.code() == core::Code::kNotFound) {
    return Fault(core::Code::kNotFound, backend, wanted,
                 fmt::format("the folder does not exist; {}", Remedy(wanted)));
  }
  STOKER_TRY(listed);
  return listing.Finish(warnings);
}

core::Result<Discovered> ByListing(storage::Backend& backend,
                                   const DiscoverOptions& options) {
  Discovered found;
  for (const auto& [wanted, naming] :
       {std::pair{WantedTrain(options), &found.train},
        std::pair{WantedValid(options), &found.valid}}) {
    if (wanted.files > 0) {
      STOKER_ASSIGN(*naming,
                    ListSet(backend, wanted, options.format, found.warnings));
      STOKER_TRY(CheckWritten(backend, wanted, *naming));
    }
  }
  return found;
}

// Storage without data has every file one could wish for.
Discovered ByWish(const DiscoverOptions& options) {
  const auto wish = [&](const Wanted& wanted) {
    return Naming{.set = std::string(wanted.set),
                  .suffix = options.format,
                  .total = wanted.files,
                  .subfolders = wanted.subfolders > 1 ? wanted.subfolders : 0};
  };
  Discovered found;
  found.train = wish(WantedTrain(options));
  found.valid = wish(WantedValid(options));
  return found;
}

}  // namespace

core::Result<Discovered> Discover(storage::Backend& backend,
                                  const DiscoverOptions& options,
                                  core::Clock& clock) {
  if (!backend.capabilities().stores_data) {
    return ByWish(options);
  }
  STOKER_ASSIGN(std::optional<Manifest> manifest, ReadManifest(backend, clock));
  if (manifest) {
    return ByManifest(backend, options, *std::move(manifest), clock);
  }
  STOKER_ASSIGN(const std::optional<Manifest> partial,
                ReadManifest(backend, clock, kPartialName));
  if (partial) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("dataset {}: it is not whole ({} says so): generating or "
                    "deleting it was interrupted; the same 'stoker training "
                    "datagen' again completes it, with --delete it goes",
                    backend.uri(), kPartialName));
  }
  return ByListing(backend, options);
}

}  // namespace stoker::dataset
