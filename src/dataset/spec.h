#pragma once

// The shape and the content of a file, by its place in the dataset.

#include <cstdint>

#include "dataset/manifest.h"
#include "dataset/shape.h"
#include "formats/format.h"

namespace stoker::dataset {

// What the files of a dataset have in common.
struct SpecSource {
  // Not owned; train files, then eval files. Null where SpecOfContent is told
  // the dims.
  const Shapes* shapes = nullptr;
  std::uint64_t train_files = 0;
  std::uint64_t distinct = 0;  // ContentMode::distinct
  std::uint32_t samples_per_file = 1;
  std::uint32_t nominal_edge = 1;  // NominalEdge of the size model
  // ⌊record_length⌋ where all files have it (stdev 0); 0: rows · columns.
  std::uint64_t record_bytes = 0;
  std::uint32_t chunk_edge = 0;  // hdf5; 0: contiguous
};

// Spec of the file with generation index `index` (train files first, then eval
// files; below shapes->files()). Its `index` is the content's: in each set file
// j holds the content of file j mod distinct of that set. A PayloadSource that
// is given this index makes the bytes the file holds.
formats::FileSpec FileSpecOf(const SpecSource& source, std::uint64_t index);

// Generation index of the file whose content file `index` holds.
std::uint64_t ContentOf(const SpecSource& source, std::uint64_t index);
// The same spec from its parts.
formats::FileSpec SpecOfContent(const SpecSource& source, std::uint64_t content,
                                const Dims& dims);

}  // namespace stoker::dataset
