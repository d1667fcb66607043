#pragma once

// What a dataset is to be, and what its manifest will say.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/status.h"
#include "dataset/manifest.h"
#include "dataset/names.h"
#include "dataset/shape.h"
#include "dataset/spec.h"
#include "formats/format.h"

namespace stoker::generators {

// Values of ContentMode::mode.
inline constexpr std::string_view kCounterMode = "counter";
inline constexpr std::string_view kDlioMode = "dlio";

struct GeneratePlan {
  const formats::Format* format = nullptr;
  dataset::Naming train;
  dataset::Naming valid{.set = "valid"};  // total 0: none
  std::uint32_t samples_per_file = 1;
  dataset::SizeModel sizes;
  std::uint32_t chunk_edge = 0;  // hdf5; 0: contiguous
  // `ranks` 0 with mode dlio: as many as there are processes, or as an
  // unfinished or whole dataset in the place was made with.
  dataset::ContentMode content;
  bool write_index = false;  // tfrecord: index/<set>/<basename>.idx beside
  // Files of these names that nothing vouches for may be removed.
  bool replace = false;
  // dataset.generation_buffer_size, bytes: what the reference writes at once of
  // an indexed_binary file.
  std::uint64_t block_bytes = 2ULL << 30;
  std::string tool = "stoker";  // name and version, for the manifest

  std::uint64_t names() const { return train.total + valid.total; }
};

// `shapes` null.
dataset::SpecSource SpecSourceOf(const GeneratePlan& plan);

// FileSpec of a file (generation index: train files, then eval files) under
// `content.distinct`. `shapes` covers both sets.
formats::FileSpec SpecOf(const GeneratePlan& plan,
                         const dataset::Shapes& shapes, std::uint64_t index);

// Of both sets, under `content.distinct`: what SpecOf asks for.
dataset::Shapes ShapesOf(const GeneratePlan& plan);

// What Generate will write as the manifest, hash included. Goes over all
// contents where sizes vary, but stores nothing.
dataset::Manifest ManifestOf(const GeneratePlan& plan);

// The plan that makes the dataset of `manifest`; kUnsupported if its format is
// not known here.
core::Result<GeneratePlan> PlanOf(const dataset::Manifest& manifest);

// Bytes of a data file and its sidecars; the record index does not count.
std::uint64_t StoredBytes(const formats::Format& format,
                          const formats::FileSpec& spec);

// Specs of files in ascending order, without storing their shapes. Not owned:
// the plan.
class SpecCursor {
 public:
  explicit SpecCursor(const GeneratePlan& plan)
      : source_(SpecSourceOf(plan)), shapes_(plan.sizes) {}
  formats::FileSpec At(std::uint64_t index) {
    const std::uint64_t content = dataset::ContentOf(source_, index);
    return dataset::SpecOfContent(source_, content, shapes_.At(content));
  }

 private:
  dataset::SpecSource source_;
  dataset::ShapeCursor shapes_;
};

}  // namespace stoker::generators
