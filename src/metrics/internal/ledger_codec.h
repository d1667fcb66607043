#pragma once

// What a rank knows for the ledger, as packed bytes.

#include "metrics/internal/packed.h"
#include "metrics/ledger_gather.h"

namespace stoker::metrics {

void PackLedger(const RankLedger& ledger, PackedWriter& out);
// False if that is none; `ledger` is then of no use.
bool UnpackLedger(PackedReader& in, RankLedger& ledger);

}  // namespace stoker::metrics
