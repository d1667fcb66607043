#pragma once

// A run of known numbers for the tests of reports.
//
// Two ranks on one host, two epochs, batch 7, nominal record 1 MiB. Each epoch
// of each rank: one block of 3.6 s with steps of 2.0, 0.5, 0.5, 0.5 s, compute
// 0.4 s each, so that AU is 75 % and throughput 8.75 samples/s a rank; the
// second epoch of rank 1 computes 0.48 s a step: AU 90 %. The run clock starts
// at 1000 s; wall time is 2025-03-01T12:00:00.25 UTC then. Epoch e starts 10 e
// seconds later, its block 0.1 s after that. Evaluation (if asked for) in both
// epochs, 1 s, two steps of 0.6 and 0.4 s, compute 0.3 s: AU 75 %, 2/1.0·3 = 6
// samples/s a rank.
//
// With checkpoints: one of 2 GiB behind the block of each epoch, 5 s after the
// epoch's start: 0.5 s on rank 0 in epoch 1, 0.25 s in epoch 2, and 1 s on rank
// 1; rank 0 has a file, rank 1 none.

#include <filesystem>
#include <string>
#include <vector>

#include "metrics/collect.h"
#include "metrics/recorder.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"

namespace stoker::testing {

metrics::RunFacts SyntheticFacts(bool evaluation);
metrics::TimeAnchor SyntheticAnchor();
metrics::HostFacts SyntheticHost();
// `epoch` and `rank` as above.
metrics::EpochRecord SyntheticEpoch(std::uint32_t rank, std::uint32_t epoch,
                                    bool evaluation);
metrics::RunRecord SyntheticRun(bool evaluation);
metrics::TrainingCheckpoints SyntheticCheckpointPlan();
metrics::CheckpointOp SyntheticSave(std::uint32_t rank, std::uint32_t epoch);
// Without evaluation.
metrics::RunRecord SyntheticRunWithCheckpoints();
// All epochs of a rank, spilled into `folder`.
metrics::RankRecorder SyntheticRecorder(std::uint32_t rank, bool evaluation,
                                        const std::string& folder);

// The text of a file; "" if it cannot be read.
std::string Slurp(const std::filesystem::path& path);

}  // namespace stoker::testing
