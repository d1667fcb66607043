#pragma once

// A checkpoint run of known numbers for the tests of reports.
//
// Four ranks on two hosts; two saves and two restores of 4 GiB, each rank with
// 1 GiB and 1000 bytes around it. On rank 0's clock the saves begin at 1010 and
// 1030 s, rank r 0.1 r s later, and take 2 s; rank 3 takes 4 and 5 s. So the
// longest are 4 and 5 s, the least 1 and 0.8 GiB/s, the strict spans 4.3 and
// 5.3 s; rank 0 has 2 s and 2 GiB/s. Rank 3 alone bounds the saves. The
// restores begin at 1100 and 1120 s, all ranks at once, and take 1 s; rank 3
// takes 1.25 s: 3.2 GiB/s. Of the second the first host had all bytes in its
// page cache, and a half of all bytes was cached. Of the saves each rank spent
// 0.05 s stalled, 0.1 s on content, 0.3 s on checksums, 0.15 s in fsync; of the
// restores 0.1 s stalled and 0.2 s comparing. CPU: 0.7 s each.
//
// Run clocks: 1000 s at 2025-03-01T12:00:00.25 UTC on the first host, as in
// synthetic_run.h; that of the second is 100 s ahead, known to 5 us.

#include "metrics/checkpoint_record.h"
#include "metrics/economics.h"

namespace stoker::testing {

metrics::CheckpointFacts SyntheticCheckpointFacts();
metrics::CheckpointRecord SyntheticCheckpoints();
// The same without its saves.
metrics::CheckpointRecord SyntheticRestores();
// Of 1024 accelerators that fail once in 10 h.
metrics::CheckpointEconomics SyntheticEconomics();

}  // namespace stoker::testing
