#pragma once

// Names and facts that several reports of a checkpoint run use.

#include <string_view>

#include "metrics/checkpoint_record.h"
#include "metrics/run_facts.h"

namespace stoker::reporting {

std::string_view KindName(metrics::CheckpointKind kind);  // "save", "restore"
// As the reference calls them: "save", "load".
std::string_view ReferenceKindName(metrics::CheckpointKind kind);

// The dataset that the reference's reports tell of though a checkpoint run has
// none: its defaults, 8 files of one sample of 64 KiB.
metrics::RunFacts DefaultDataset(const metrics::CheckpointFacts& facts);

}  // namespace stoker::reporting
