#include "emulator/internal/loader_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "core/pages.h"
#include "emulator/loader.h"

namespace stoker::emulator {

namespace {

constexpr std::array<LoaderModelInfo, 3> kModels{{
    {LoaderModel::kDlioV2, "dlio-v2",
     "the pipelines of MLPerf Storage v2.0: pytorch worker lanes or the "
     "tensorflow record pipeline, small sequential requests, checksums "
     "verified"},
    {LoaderModel::kDlioV3, "dlio-v3",
     "those of v3.0 on local files: the same order and lanes, whole files "
     "front to back, nothing of a sample kept, workers warmed up before epoch "
     "1"},
    {LoaderModel::kLean, "lean",
     "what a good pipeline would do: a true global shuffle each epoch, single "
     "samples by large aligned requests, as many ahead as a byte budget "
     "holds"},
}};

}  // namespace

std::span<const LoaderModelInfo> LoaderModels() { return kModels; }

core::Result<LoaderModel> FindLoaderModel(std::string_view name) {
  std::string known;
  for (const LoaderModelInfo& info : kModels) {
    if (info.name == name) {
      return info.model;
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", info.name);
  }
  return core::Status(
      core::Code::kInvalidArgument,
      fmt::format("reader.loader_model '{}' is unknown; known: {}", name,
                  known));
}

storage::Access AccessOf(const LoaderData& data, const LoaderOptions& options) {
  if (options.direct) {
    return storage::Access::kDirect;
  }
  return options.model == LoaderModel::kDlioV2 && data.format->maps_files()
             ? storage::Access::kMapped
             : storage::Access::kDefault;
}

namespace {

// Bytes that a visit for one sample of `file` reads.
std::uint64_t VisitBytes(const formats::Format& format,
                         const formats::FileSpec& file,
                         formats::ReaderProgram& program) {
  using Event = formats::ReaderProgram::Event;
  using Next = formats::ReaderProgram::Next;
  std::uint64_t total = 0;
  std::vector<std::byte> buffer;
  program.Reset(file, 0, format.name());
  Event event{.kind = Event::Kind::kStart, .bytes = {}};
  while (true) {
    const core::Result<Next> next = program.Step(event);
    if (!next.ok() || next.value().kind == Next::Kind::kFileDone) {
      return total;
    }
    const std::uint64_t size = format.FileBytes(file);
    event = {.kind = Event::Kind::kResume, .bytes = {}};
    if (next.value().kind == Next::Kind::kSize) {
      event = {.kind = Event::Kind::kSize, .bytes = {}, .size = size};
    } else if (next.value().kind == Next::Kind::kRead) {
      const std::uint64_t left = size - std::min(size, next.value().offset);
      buffer.resize(next.value().length);
      event = {.kind = Event::Kind::kBytes, .bytes = buffer};
      total += std::min(left, next.value().length);
    }
  }
}

}  // namespace

bool AsksForSingleSamples(const formats::Format& format, LoaderModel model) {
  constexpr std::uint32_t kEdge = 1024;
  const formats::FileSpec file{.samples = 4,
                               .rows = kEdge,
                               .columns = kEdge,
                               .nominal_edge = kEdge,
                               .record_bytes = std::uint64_t{kEdge} * kEdge};
  if (format.streams_samples() && model != LoaderModel::kLean) {
    return true;
  }
  LoaderOptions options;
  options.model = model;
  const storage::ReadLimits null{.real_data = false};
  const auto program =
      format.NewReader(internal::ReaderOptionsOf(options, null));
  const std::uint64_t bytes = VisitBytes(format, file, *program);
  return bytes == 0 || bytes < format.FileBytes(file);
}

namespace internal {

namespace {

// Samples in flight of one rank, at most.
constexpr std::uint64_t kLeanLanes = 32;
constexpr std::uint64_t kLeanBatchesAhead = 1024;

LookAhead TorchLookAhead(const LoaderOptions& options) {
  const std::uint64_t threads = options.read_threads;
  const std::uint64_t prefetch = options.prefetch_size;
  if (threads == 0) {
    return {.batches = 1, .on_demand = true};
  }
  const std::uint64_t factor =
      prefetch == 0 ? 2 : (prefetch + threads - 1) / threads;
  return {.batches = threads * factor};
}

// The next batch, and as many more as the budget holds of nominal size.
LookAhead LeanLookAhead(const LoaderData& data, const LoaderOptions& options) {
  const std::uint64_t edge = data.specs.nominal_edge;
  const std::uint64_t batch = edge * edge * options.order.batch_size;
  return {.batches =
              std::min(1 + options.byte_budget / batch, kLeanBatchesAhead)};
}

// The longest request over the files in use; an index is read in one.
std::uint64_t LongestRequest(const LoaderData& data,
                             const LoaderOptions& options,
                             const formats::ReaderProgram& program) {
  const std::size_t sidecars =
      ReadsSidecars(data, options) ? data.format->sidecars().size() : 0;
  std::uint64_t files =
      dataset::DistinctFiles(options.order.files, data.specs.distinct);
  if (!data.specs.shapes->vary()) {
    files = std::min<std::uint64_t>(files, 1);
  }
  std::uint64_t longest = 0;
  for (std::uint64_t file = 0; file < files; ++file) {
    const formats::FileSpec spec = data.SpecOf(file);
    longest = std::max(longest, program.MaxRequest(spec));
    for (std::size_t i = 0; i < sidecars; ++i) {
      longest = std::max(longest, data.format->SidecarBytes(spec, i));
    }
  }
  return longest;
}

}  // namespace

std::size_t LanesOf(PipelineShape shape, const LoaderData& data,
                    const LoaderOptions& options) {
  const std::size_t threads = std::max(1U, options.read_threads);
  switch (shape) {
    case PipelineShape::kTfRecord:
      return 3 * threads;
    case PipelineShape::kShuffled: {
      const std::uint64_t requests =
          options.byte_budget / std::max(1U, options.request_bytes);
      const std::uint64_t samples =
          LookAheadOf(shape, data, options).batches * options.order.batch_size;
      return std::clamp<std::uint64_t>(requests, 1,
                                       std::min(kLeanLanes, samples));
    }
    case PipelineShape::kTorch:
    case PipelineShape::kTfGenerator:
      break;
  }
  return threads;
}

LookAhead LookAheadOf(PipelineShape shape, const LoaderData& data,
                      const LoaderOptions& options) {
  const std::uint64_t prefetch = options.prefetch_size;
  switch (shape) {
    case PipelineShape::kTfRecord:
      return {.batches = prefetch + std::max(1U, options.computation_threads)};
    case PipelineShape::kTfGenerator:
      return {.batches = prefetch + std::max(1U, options.read_threads)};
    case PipelineShape::kShuffled:
      return LeanLookAhead(data, options);
    case PipelineShape::kTorch:
      break;
  }
  return TorchLookAhead(options);
}

dataset::Share ShareOf(const LoaderOptions& options) {
  return options.model == LoaderModel::kDlioV3
             ? dataset::EvenShare(options.order, options.rank)
             : dataset::ContiguousShare(options.order, options.rank,
                                        options.steps);
}

formats::ReaderOptions ReaderOptionsOf(const LoaderOptions& options,
                                       const storage::ReadLimits& limits) {
  using Style = formats::ReaderOptions::Style;
  formats::ReaderOptions reader{.style = Style::kReference,
                                .unit = limits.preferred_unit,
                                .request = options.transfer_size,
                                .check = options.check && limits.real_data,
                                .blind = !limits.real_data,
                                .expect = nullptr};
  if (options.model == LoaderModel::kLean) {
    reader.style = Style::kSample;
    reader.request = options.request_bytes;
  } else if (options.direct) {
    reader.style = Style::kDirect;
  } else if (options.model == LoaderModel::kDlioV3) {
    reader.style = Style::kLarge;
  }
  return reader;
}

bool ReadsSidecars(const LoaderData& data, const LoaderOptions& options) {
  // The lean model works their content out.
  return options.model != LoaderModel::kLean &&
         !data.format->sidecars().empty();
}

bool WarmsUp(const LoaderOptions& options) {
  return options.model == LoaderModel::kDlioV3;
}

std::uint64_t LaneBufferBytes(const LoaderData& data,
                              const LoaderOptions& options,
                              const storage::ReadLimits& limits) {
  const formats::ReaderOptions reader = ReaderOptionsOf(options, limits);
  const auto program = data.format->NewReader(reader);
  std::uint64_t bytes = LongestRequest(data, options, *program);
  // Rounding out to the alignment may add to both ends.
  const std::uint64_t align = limits.offset_align;
  const bool whole = reader.style == formats::ReaderOptions::Style::kDirect;
  if (align > 1 && !(whole && align <= core::kPageBytes)) {
    bytes += 2 * align;
  }
  return core::PagesUp(std::max(bytes, core::kPageBytes));
}

std::uint64_t TensorBytes(PipelineShape shape, const LoaderData& data,
                          const LoaderOptions& options) {
  // Every batch of dlio-v3 is the same constant tensor.
  const std::uint64_t batches =
      options.model == LoaderModel::kDlioV3
          ? 1
          : LookAheadOf(shape, data, options).batches + 1;
  return batches * options.order.batch_size * data.returned_bytes;
}

}  // namespace internal

}  // namespace stoker::emulator
