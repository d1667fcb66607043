#include "generators/internal/scan.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataset/names.h"
#include "generators/internal/phase.h"

namespace stoker::generators::internal {

namespace {

using core::Code;
using core::Status;

class Scanner {
 public:
  Scanner(const GeneratePlan& plan, const OnOddity& on_oddity)
      : plan_(plan),
        on_oddity_(on_oddity),
        source_(SpecSourceOf(plan)),
        kinds_(1 + plan.format->sidecars().size()) {}

  // An object in the folder of `naming`; false: stop.
  bool AddData(const dataset::Naming& naming, const storage::ObjectInfo& info) {
    const auto parsed = dataset::ParseName(info.name);
    if (parsed && parsed->index < naming.total) {
      const std::optional<std::size_t> kind =
          KindOf(naming, info.name, *parsed);
      if (kind) {
        return Count(SetStart(naming) + parsed->index, *kind, info);
      }
    }
    const bool other = parsed && parsed->prefix == naming.prefix &&
                       parsed->suffix == naming.suffix &&
                       parsed->total != naming.total;
    return on_oddity_(
        {.kind = other ? Oddity::Kind::kOtherCount : Oddity::Kind::kForeign,
         .name = info.name,
         .size = info.size,
         .total = other ? parsed->total : 0});
  }

  bool AddIndex(const dataset::Naming& naming,
                const storage::ObjectInfo& info) {
    std::string_view name = info.name;
    name.remove_prefix(name.rfind('/') + 1);
    const auto parsed = dataset::ParseName(name.substr(0, name.rfind('.')));
    if (parsed && parsed->index < naming.total) {
      dataset::IndexName(naming, parsed->index, expected_);
      if (expected_ == info.name) {
        if (found_.index.words().empty()) {
          found_.index = Bits(plan_.names());
        }
        found_.index.Set(SetStart(naming) + parsed->index);
        ++found_.objects;
        return true;
      }
    }
    return on_oddity_(
        {.kind = Oddity::Kind::kForeign, .name = info.name, .size = info.size});
  }

  Found Finish() {
    found_.data = std::move(kinds_.front());
    for (std::size_t kind = 1; kind < kinds_.size(); ++kind) {
      found_.data.KeepOnly(kinds_[kind]);
    }
    return std::move(found_);
  }

 private:
  std::uint64_t SetStart(const dataset::Naming& naming) const {
    return &naming == &plan_.valid ? plan_.train.total : 0;
  }

  // 0: a data file, k: its sidecar k - 1; nothing: not a name of ours.
  std::optional<std::size_t> KindOf(const dataset::Naming& naming,
                                    std::string_view name,
                                    const dataset::ParsedName& parsed) {
    dataset::ObjectName(naming, parsed.index, expected_);
    if (!name.starts_with(expected_)) {
      return std::nullopt;
    }
    name.remove_prefix(expected_.size());
    if (name.empty()) {
      return 0;
    }
    const auto sidecars = plan_.format->sidecars();
    for (std::size_t which = 0; which < sidecars.size(); ++which) {
      if (name == sidecars[which]) {
        return which + 1;
      }
    }
    return std::nullopt;
  }

  bool Count(std::uint64_t file, std::size_t kind,
             const storage::ObjectInfo& info) {
    if (!shapes_) {  // an empty place needs none
      shapes_ = ShapesOf(plan_);
      source_.shapes = &*shapes_;
      for (Bits& bits : kinds_) {
        bits = Bits(plan_.names());
      }
    }
    const formats::FileSpec spec = dataset::FileSpecOf(source_, file);
    const std::uint64_t wanted =
        kind == 0 ? plan_.format->FileBytes(spec)
                  : plan_.format->SidecarBytes(spec, kind - 1);
    ++found_.objects;
    if (spec.index == file) {
      found_.content_bytes += info.size;
    }
    if (info.size == wanted) {
      kinds_[kind].Set(file);
      return true;
    }
    return on_oddity_({.kind = Oddity::Kind::kWrongSize,
                       .name = info.name,
                       .file = file,
                       .size = info.size,
                       .wanted = wanted});
  }

  const GeneratePlan& plan_;
  const OnOddity& on_oddity_;
  dataset::SpecSource source_;
  std::optional<dataset::Shapes> shapes_;
  std::vector<Bits> kinds_;
  Found found_;
  std::string expected_;
};

// A folder that is missing is empty.
Status ListFolder(
    storage::Backend& backend, const std::string& folder,
    const std::function<bool(const storage::ObjectInfo&)>& visit) {
  const Status listed = backend.List(folder, visit);
  return listed.code() == Code::kNotFound ? Status() : listed;
}

core::Result<storage::Unfinished> SweepFolders(storage::Backend& backend,
                                               storage::Sweep sweep) {
  storage::Unfinished all;
  for (const std::string_view prefix :
       {"train/", "valid/", "index/", "stoker_dataset."}) {
    STOKER_ASSIGN(const storage::Unfinished some,
                  backend.SweepUnfinished(prefix, sweep));
    all.objects += some.objects;
    all.bytes += some.bytes;
    all.busy += some.busy;
  }
  return all;
}

}  // namespace

core::Result<storage::Unfinished> SweepPlace(comm::Communicator& comm,
                                             storage::Backend& backend,
                                             storage::Sweep sweep) {
  core::Result<storage::Unfinished> mine = storage::Unfinished{};
  if (comm.rank() == 0 ||
      (comm.local_rank() == 0 && sweep == storage::Sweep::kRemove)) {
    mine = SweepFolders(backend, sweep);
  }
  STOKER_TRY(EndPhase(comm, mine.status()));
  storage::Unfinished& found = mine.value();
  const std::array own = {found.objects, found.bytes};
  STOKER_ASSIGN(const std::vector<std::uint64_t> all, SumAtRoot(comm, own));
  if (comm.rank() != 0) {
    return storage::Unfinished{};
  }
  if (found.busy > 0 && comm.node_count() > 1) {
    // Of other hosts, which may have swept them meanwhile.
    STOKER_ASSIGN(const storage::Unfinished now,
                  SweepFolders(backend, storage::Sweep::kCount));
    found.busy = now.busy;
  }
  found.objects = all[0];
  found.bytes = all[1];
  return found;
}

core::Result<Found> Scan(storage::Backend& backend, const GeneratePlan& plan,
                         const OnOddity& on_oddity) {
  Scanner scanner(plan, on_oddity);
  for (const dataset::Naming* naming : {&plan.train, &plan.valid}) {
    STOKER_TRY(ListFolder(backend, fmt::format("{}/", naming->set),
                          [&](const storage::ObjectInfo& info) {
                            return scanner.AddData(*naming, info);
                          }));
    if (plan.format->name() == "tfrecord") {
      STOKER_TRY(ListFolder(backend, fmt::format("index/{}/", naming->set),
                            [&](const storage::ObjectInfo& info) {
                              return scanner.AddIndex(*naming, info);
                            }));
    }
  }
  return scanner.Finish();
}

}  // namespace stoker::generators::internal
