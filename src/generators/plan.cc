#include "dataset/spec.h"
#include "generators/generate.h"

namespace stoker::generators {

formats::FileSpec SpecOf(const GeneratePlan& plan,
                         const dataset::Shapes& shapes, std::uint64_t index) {
  return dataset::FileSpecOf({.shapes = &shapes,
                              .train_files = plan.train.total,
                              .distinct = plan.content.distinct,
                              .samples_per_file = plan.samples_per_file,
                              .nominal_edge = dataset::NominalEdge(plan.sizes)},
                             index);
}

dataset::Manifest ManifestOf(const GeneratePlan& plan,
                             const dataset::Shapes& shapes) {
  dataset::Manifest manifest;
  manifest.tool = plan.tool;
  manifest.format = plan.format->name();
  manifest.train = plan.train;
  manifest.valid = plan.valid;
  manifest.samples_per_file = plan.samples_per_file;
  manifest.sizes = plan.sizes;
  manifest.content = plan.content;
  const auto add = [&](std::uint64_t files, std::uint64_t set_start) {
    const std::uint64_t contents =
        dataset::DistinctFiles(files, plan.content.distinct);
    for (std::uint64_t c = 0; c < contents; ++c) {
      const formats::FileSpec spec = SpecOf(plan, shapes, set_start + c);
      const std::uint64_t names =
          files / contents + (c < files % contents ? 1 : 0);
      manifest.payload_bytes += names * spec.samples * spec.sample_bytes();
      manifest.stored_bytes += plan.format->FileBytes(spec);
    }
  };
  add(plan.train.total, 0);
  add(plan.valid.total, plan.train.total);
  manifest.hash = dataset::ManifestHash(manifest);
  return manifest;
}

}  // namespace stoker::generators
