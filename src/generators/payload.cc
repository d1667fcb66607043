#include "generators/payload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

#include "core/check.h"

namespace stoker::generators {

namespace {

// Seed of numpy's global generator in each process of the reference.
constexpr std::uint32_t kReferenceSeed = dataset::kSizeSeed;
constexpr std::size_t kScratch = 64U << 10;

// Formats whose files hold the drawn bytes as they are. All but tfrecord draw a
// file's samples at once.
constexpr std::array<std::string_view, 6> kDlioFormats = {
    "npz", "npy", "hdf5", "tfrecord", "indexed_binary", "mmap_indexed_binary"};
// The reference fills larger files of these with the same block again and
// again, and writes with all processes where there are as few files.
constexpr std::string_view kIndexed = "indexed_binary";

}  // namespace

void CounterPayload::Fill(std::uint64_t file, std::uint32_t sample,
                          std::uint64_t offset, std::span<std::byte> out) {
  core::FillCounterStream(core::StreamKey(seed_, file, sample), offset, out);
}

DlioPayload::DlioPayload(const GeneratePlan& plan, std::uint64_t process)
    : sizes_(plan.sizes),
      files_(plan.names()),
      process_(process),
      processes_(plan.content.ranks),
      samples_(plan.samples_per_file),
      draw_per_sample_(plan.format->name() == "tfrecord"),
      any_order_(plan.chunk_edge > 0),
      random_(kReferenceSeed),
      shapes_(plan.sizes),
      scratch_(kScratch) {
  STOKER_CHECK(process < processes_);
  Restart();
}

void DlioPayload::Restart() {
  random_ = core::NumpyRandom(kReferenceSeed);
  if (sizes_.stdev > 0) {
    random_.SkipNormalPairs(files_);
  }
  BeginDraw(process_, 0);
}

void DlioPayload::BeginDraw(std::uint64_t file, std::uint64_t draw) {
  at_ = {.file = file, .draw = draw, .byte = 0};
  draw_bytes_ = shapes_.At(file).bytes() * (draw_per_sample_ ? 1 : samples_);
  random_.FillBelow255({});
}

void DlioPayload::Draw(std::span<std::byte> out) {
  random_.ContinueBelow255(out);
  at_.byte += out.size();
}

void DlioPayload::Discard(std::uint64_t bytes) {
  while (bytes > 0) {
    const auto piece = static_cast<std::size_t>(
        std::min<std::uint64_t>(bytes, scratch_.size()));
    Draw(std::span(scratch_).first(piece));
    bytes -= piece;
  }
}

void DlioPayload::MoveTo(const Position& to) {
  const auto key = [](const Position& at) {
    return std::tuple(at.file, at.draw, at.byte);
  };
  if (key(to) < key(at_)) {
    Restart();
  }
  const std::uint64_t draws = draw_per_sample_ ? samples_ : 1;
  while (at_.file != to.file || at_.draw != to.draw) {
    Discard(draw_bytes_ - at_.byte);
    if (at_.draw + 1 < draws) {
      BeginDraw(at_.file, at_.draw + 1);
    } else {
      BeginDraw(at_.file + processes_, 0);
    }
  }
  Discard(to.byte - at_.byte);
}

void DlioPayload::Fill(std::uint64_t file, std::uint32_t sample,
                       std::uint64_t offset, std::span<std::byte> out) {
  STOKER_CHECK(file % processes_ == process_ && file < files_);
  if (draw_per_sample_) {
    MoveTo({.file = file, .draw = sample, .byte = offset});
    Draw(out);
    return;
  }
  const std::uint64_t at = sample * shapes_.At(file).bytes() + offset;
  if (any_order_) {
    FillCached(file, at, out);
    return;
  }
  MoveTo({.file = file, .draw = 0, .byte = at});
  Draw(out);
}

void DlioPayload::FillCached(std::uint64_t file, std::uint64_t at,
                             std::span<std::byte> out) {
  const std::uint64_t bytes = shapes_.At(file).bytes();
  while (!out.empty()) {
    const std::uint64_t sample = at / bytes;
    const std::uint64_t key = file * samples_ + sample;
    if (key != sample_key_) {
      sample_.resize(bytes);
      MoveTo({.file = file, .draw = 0, .byte = sample * bytes});
      Draw(sample_);
      sample_key_ = key;
    }
    const auto piece = static_cast<std::size_t>(
        std::min<std::uint64_t>(out.size(), bytes - at % bytes));
    std::ranges::copy(std::span(sample_).subspan(at % bytes, piece),
                      out.begin());
    out = out.subspan(piece);
    at += piece;
  }
}

core::Status CheckContent(const GeneratePlan& plan) {
  const auto invalid = [](std::string message) {
    return core::Status(core::Code::kInvalidArgument, std::move(message));
  };
  if (plan.content.mode == kCounterMode) {
    return {};
  }
  if (plan.content.mode != kDlioMode) {
    return invalid(
        fmt::format("content mode '{}' is unknown; the known ones are counter "
                    "and dlio",
                    plan.content.mode));
  }
  const std::string_view name = plan.format->name();
  if (std::ranges::find(kDlioFormats, name) == kDlioFormats.end()) {
    return {core::Code::kUnsupported,
            fmt::format("--content dlio: the reference's {} files depend on "
                        "its encoder and cannot be made again; leave --content "
                        "out, or use one of {}",
                        name, fmt::join(kDlioFormats, ", "))};
  }
  if (plan.content.distinct > 0) {
    return invalid(
        "--content dlio: the reference writes every file; leave --distinct "
        "out");
  }
  if (!name.ends_with(kIndexed)) {
    return {};
  }
  if (plan.names() <= plan.content.ranks) {
    return {core::Code::kUnsupported,
            fmt::format("--content dlio: with {} {} files the reference's {} "
                        "processes write each of them together, in another "
                        "layout; use fewer processes than files",
                        plan.names(), name, plan.content.ranks)};
  }
  const std::uint64_t nominal =
      std::uint64_t{dataset::NominalEdge(plan.sizes)} *
      dataset::NominalEdge(plan.sizes) * plan.samples_per_file;
  if (nominal > plan.block_bytes) {
    return {core::Code::kUnsupported,
            fmt::format("--content dlio: {} files of {} bytes repeat one block "
                        "of dataset.generation_buffer_size={} in the "
                        "reference; set that key to {} at least, or lower "
                        "dataset.num_samples_per_file",
                        name, nominal, plan.block_bytes, nominal)};
  }
  return {};
}

std::uint64_t ContentStreams(const GeneratePlan& plan) {
  return plan.content.mode == kDlioMode ? plan.content.ranks : 1;
}

std::unique_ptr<formats::PayloadSource> NewPayload(const GeneratePlan& plan,
                                                   std::uint64_t stream) {
  if (plan.content.mode == kDlioMode) {
    return std::make_unique<DlioPayload>(plan, stream);
  }
  return std::make_unique<CounterPayload>(plan.content.seed);
}

}  // namespace stoker::generators
