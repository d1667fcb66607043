#include "generators/plan.h"

#include "formats/registry.h"

namespace stoker::generators {

dataset::SpecSource SpecSourceOf(const GeneratePlan& plan) {
  return {.shapes = nullptr,
          .train_files = plan.train.total,
          .distinct = plan.content.distinct,
          .samples_per_file = plan.samples_per_file,
          .nominal_edge = dataset::NominalEdge(plan.sizes),
          .record_bytes = dataset::RecordBytes(plan.sizes),
          .chunk_edge = plan.chunk_edge};
}

formats::FileSpec SpecOf(const GeneratePlan& plan,
                         const dataset::Shapes& shapes, std::uint64_t index) {
  dataset::SpecSource source = SpecSourceOf(plan);
  source.shapes = &shapes;
  return dataset::FileSpecOf(source, index);
}

dataset::Shapes ShapesOf(const GeneratePlan& plan) {
  return dataset::Shapes::Make(plan.sizes, {.train_files = plan.train.total,
                                            .valid_files = plan.valid.total,
                                            .distinct = plan.content.distinct});
}

std::uint64_t StoredBytes(const formats::Format& format,
                          const formats::FileSpec& spec) {
  std::uint64_t bytes = format.FileBytes(spec);
  for (std::size_t which = 0; which < format.sidecars().size(); ++which) {
    bytes += format.SidecarBytes(spec, which);
  }
  return bytes;
}

dataset::Manifest ManifestOf(const GeneratePlan& plan) {
  dataset::Manifest manifest;
  manifest.tool = plan.tool;
  manifest.format = plan.format->name();
  manifest.train = plan.train;
  manifest.valid = plan.valid;
  manifest.samples_per_file = plan.samples_per_file;
  manifest.sizes = plan.sizes;
  manifest.content = plan.content;
  manifest.chunk_edge = plan.chunk_edge;
  SpecCursor specs(plan);
  const auto add = [&](std::uint64_t files, std::uint64_t set_start) {
    const std::uint64_t contents =
        dataset::DistinctFiles(files, plan.content.distinct);
    for (std::uint64_t c = 0; c < contents; ++c) {
      const formats::FileSpec spec = specs.At(set_start + c);
      const std::uint64_t names =
          files / contents + (c < files % contents ? 1 : 0);
      manifest.payload_bytes += names * spec.samples * spec.sample_bytes();
      manifest.stored_bytes += StoredBytes(*plan.format, spec);
    }
  };
  add(plan.train.total, 0);
  add(plan.valid.total, plan.train.total);
  manifest.hash = dataset::ManifestHash(manifest);
  return manifest;
}

core::Result<GeneratePlan> PlanOf(const dataset::Manifest& manifest) {
  GeneratePlan plan;
  STOKER_ASSIGN(plan.format, formats::FindFormat(manifest.format));
  plan.train = manifest.train;
  plan.valid = manifest.valid;
  plan.samples_per_file = static_cast<std::uint32_t>(manifest.samples_per_file);
  plan.sizes = manifest.sizes;
  plan.chunk_edge = manifest.chunk_edge;
  plan.content = manifest.content;
  plan.tool = manifest.tool;
  plan.block_bytes = UINT64_MAX;  // it was large enough when they were made
  return plan;
}

}  // namespace stoker::generators
