#include "emulator/read_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/check.h"
#include "dataset/names.h"
#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/lane_order.h"
#include "emulator/internal/lean_order.h"
#include "emulator/internal/loader_model.h"
#include "emulator/internal/pass_plan.h"

namespace stoker::emulator {

namespace {

using storage::ReadOrder;
using storage::ReadPoint;

// Each of a file's samples is looked for.
constexpr std::uint64_t kMostSamples = 64;

// What the pipelines have in common.
class FileOrder : public ReadOrder {
 public:
  FileOrder(const LoaderData& data, const LoaderOptions& options,
            std::vector<bool> here)
      : naming_(data.naming), options_(options), here_(std::move(here)) {
    STOKER_CHECK(here_.size() == options.order.ranks && here_[options.rank]);
  }

  std::uint32_t epochs() const final { return options_.epochs; }
  std::uint64_t positions() const override {
    return options_.steps * options_.order.batch_size;
  }
  void BeginEpoch(std::uint32_t epoch) override { begun_ = epoch; }
  std::uint64_t NumberOf(std::string_view object_name) const final {
    const std::optional<dataset::ParsedName> parsed =
        dataset::ParseName(object_name);
    const bool ours =
        parsed.has_value() && parsed->set == naming_.set &&
        parsed->prefix == naming_.prefix && parsed->suffix == naming_.suffix &&
        parsed->total == naming_.total && parsed->index < options_.order.files;
    return ours ? parsed->index : kNone;
  }
  void NameOf(std::uint64_t number, std::string& object_name) const final {
    dataset::ObjectName(naming_, number, object_name);
  }
  std::optional<std::uint64_t> PositionOf(std::uint64_t number,
                                          std::uint32_t epoch,
                                          std::uint64_t position) const final {
    return First(number, epoch, position, Whose::kOwn);
  }
  std::optional<ReadPoint> NextUse(std::uint64_t number,
                                   ReadPoint now) const final {
    const std::uint32_t last = std::min(options_.epochs, KnownUpTo());
    for (std::uint32_t epoch = std::max(1U, now.epoch); epoch <= last;
         ++epoch) {
      const std::uint64_t from = epoch == now.epoch ? now.position + 1 : 0;
      if (const auto position = First(number, epoch, from, Whose::kHosts)) {
        return ReadPoint{.epoch = epoch, .position = *position};
      }
    }
    return std::nullopt;
  }

 protected:
  enum class Whose : std::uint8_t { kOwn, kHosts };

  // The first position from `from` on at which this rank, or one of this host,
  // reads the file.
  virtual std::optional<std::uint64_t> First(std::uint64_t file,
                                             std::uint32_t epoch,
                                             std::uint64_t from,
                                             Whose whose) const = 0;
  // The last epoch whose order can be asked for.
  virtual std::uint32_t KnownUpTo() const { return UINT32_MAX; }

  bool Counts(std::uint64_t rank, Whose whose) const {
    return whose == Whose::kOwn ? rank == options_.rank : here_[rank];
  }
  const LoaderOptions& options() const { return options_; }
  std::uint32_t begun() const { return begun_; }

 private:
  dataset::Naming naming_;
  LoaderOptions options_;
  std::vector<bool> here_;
  std::uint32_t begun_ = 0;
};

// The index-sampler pipelines. Holds this epoch's order and the next one's.
class LaneFileOrder final : public FileOrder {
 public:
  LaneFileOrder(PipelineShape shape, const LoaderData& data,
                const LoaderOptions& options, std::vector<bool> here)
      : FileOrder(data, options, std::move(here)),
        now_(shape, internal::LanesOf(shape, data, options), options),
        next_(now_) {}

  void BeginEpoch(std::uint32_t epoch) override {
    while (next_epoch_ <= epoch) {
      now_ = next_;
      if (++next_epoch_ <= epochs()) {
        next_.BeginEpoch(next_epoch_);
        next_.Invert();
      }
    }
    FileOrder::BeginEpoch(epoch);
  }
  std::uint64_t At(ReadPoint point) const override {
    const std::uint64_t batch = options().order.batch_size;
    return Of(point.epoch)
        .VisitOf(point.position / batch, point.position % batch)
        .file;
  }

 private:
  const internal::LaneOrder& Of(std::uint32_t epoch) const {
    return epoch == next_epoch_ ? next_ : now_;
  }
  std::uint32_t KnownUpTo() const override { return next_epoch_; }
  std::optional<std::uint64_t> First(std::uint64_t file, std::uint32_t epoch,
                                     std::uint64_t from,
                                     Whose whose) const override {
    std::optional<std::uint64_t> first;
    for (std::uint64_t k = 0; k < options().order.samples_per_file; ++k) {
      const auto place = Of(epoch).PlaceOf(file, k);
      if (place.has_value() && Counts(place->rank, whose) &&
          place->position >= from) {
        first = std::min(first.value_or(place->position), place->position);
      }
    }
    return first;
  }

  internal::LaneOrder now_;
  internal::LaneOrder next_;
  std::uint32_t next_epoch_ = 0;
};

// The record pipeline: each rank's files as they lie.
class RecordFileOrder final : public FileOrder {
 public:
  RecordFileOrder(const LoaderData& data, const LoaderOptions& options,
                  std::vector<bool> here)
      : FileOrder(data, options, std::move(here)),
        share_(dataset::TensorflowShare(options.order, options.rank)),
        files_(internal::PassPlan(options, share_, 0).files()) {}

  std::uint64_t positions() const override {
    // The share of rank 0, which has the most.
    return dataset::TensorflowShare(options().order, 0).files;
  }
  std::uint64_t At(ReadPoint point) const override {
    return point.position < files_ ? share_.File(point.position) : kNone;
  }

 private:
  std::optional<std::uint64_t> First(std::uint64_t file,
                                     std::uint32_t /*epoch*/,
                                     std::uint64_t from,
                                     Whose whose) const override {
    const std::uint64_t position = file / share_.stride;
    const bool reads = share_.by_record || Counts(file % share_.stride, whose);
    return reads && position >= from && position < files_
               ? std::optional(position)
               : std::nullopt;
  }

  dataset::ModuloShare share_;
  std::uint64_t files_;  // of a pass
};

class LeanFileOrder final : public FileOrder {
 public:
  using FileOrder::FileOrder;

  std::uint64_t At(ReadPoint point) const override {
    return internal::LeanOrder(options(), point.epoch)
        .SampleAt({.rank = options().rank, .position = point.position});
  }

 private:
  std::optional<std::uint64_t> First(std::uint64_t file, std::uint32_t epoch,
                                     std::uint64_t from,
                                     Whose whose) const override {
    const internal::LeanOrder::Place place =
        internal::LeanOrder(options(), epoch).PlaceOf(file);
    const bool reads = Counts(place.rank, whose) && place.position >= from &&
                       place.position < positions();
    return reads ? std::optional(place.position) : std::nullopt;
  }
};

}  // namespace

core::Result<std::unique_ptr<ReadOrder>> MakeReadOrder(
    PipelineShape shape, const LoaderData& data, const LoaderOptions& options,
    std::vector<bool> here) {
  const bool lean = shape == PipelineShape::kShuffled;
  const std::uint64_t samples = options.order.samples_per_file;
  if (shape != PipelineShape::kTfRecord &&
      samples > (lean ? 1 : kMostSamples)) {
    return core::Status(
        core::Code::kUnsupported,
        fmt::format("the order of reads of files of {} samples{}", samples,
                    lean ? " under lean" : ""));
  }
  switch (shape) {
    case PipelineShape::kTfRecord:
      return std::unique_ptr<ReadOrder>(
          std::make_unique<RecordFileOrder>(data, options, std::move(here)));
    case PipelineShape::kShuffled:
      return std::unique_ptr<ReadOrder>(
          std::make_unique<LeanFileOrder>(data, options, std::move(here)));
    case PipelineShape::kTorch:
    case PipelineShape::kTfGenerator:
      break;
  }
  return std::unique_ptr<ReadOrder>(
      std::make_unique<LaneFileOrder>(shape, data, options, std::move(here)));
}

std::uint64_t ReadOrderBytes(PipelineShape shape,
                             const LoaderOptions& options) {
  // Two epochs' tables and their inverses.
  return shape == PipelineShape::kTfGenerator
             ? 4 * internal::LaneTableBytes(shape, options)
             : 0;
}

}  // namespace stoker::emulator
