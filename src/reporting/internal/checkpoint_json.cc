#include "reporting/internal/checkpoint_json.h"

namespace stoker::reporting {

std::string_view KindName(metrics::CheckpointKind kind) {
  return kind == metrics::CheckpointKind::kSave ? "save" : "restore";
}

std::string_view ReferenceKindName(metrics::CheckpointKind kind) {
  return kind == metrics::CheckpointKind::kSave ? "save" : "load";
}

metrics::RunFacts DefaultDataset(const metrics::CheckpointFacts& facts) {
  metrics::RunFacts dataset;
  dataset.num_accelerators = facts.num_processes;
  dataset.num_hosts = facts.num_hosts;
  dataset.num_files_train = 8;
  dataset.num_samples_per_file = 1;
  dataset.record_length_bytes = 65536;
  return dataset;
}

}  // namespace stoker::reporting
