#include "dataset/spec.h"

#include "core/check.h"

namespace stoker::dataset {

std::uint64_t ContentOf(const SpecSource& source, std::uint64_t index) {
  const std::uint64_t set_start =
      index < source.train_files ? 0 : source.train_files;
  return source.distinct > 0 ? set_start + (index - set_start) % source.distinct
                             : index;
}

formats::FileSpec SpecOfContent(const SpecSource& source, std::uint64_t content,
                                const Dims& dims) {
  return {.index = content,
          .samples = source.samples_per_file,
          .rows = dims.rows,
          .columns = dims.columns,
          .nominal_edge = source.nominal_edge,
          .record_bytes =
              source.record_bytes > 0 ? source.record_bytes : dims.bytes(),
          .chunk_edge = source.chunk_edge};
}

formats::FileSpec FileSpecOf(const SpecSource& source, std::uint64_t index) {
  STOKER_CHECK(index < source.shapes->files());
  const std::uint64_t content = ContentOf(source, index);
  return SpecOfContent(source, content, source.shapes->at(content));
}

}  // namespace stoker::dataset
