#pragma once

// ledger.json: where the bytes of a run came from, and how long its reads took.

#include <string>

#include "core/status.h"
#include "metrics/collect.h"
#include "metrics/ledger.h"
#include "reporting/json.h"

namespace stoker::reporting {

Json LedgerJson(const metrics::RunRecord& record,
                const metrics::Ledger& ledger);

// LedgerJson as file `path`, indent 2.
core::Status WriteLedger(const std::string& path,
                         const metrics::RunRecord& record,
                         const metrics::Ledger& ledger);

// The lines of the console's report about it.
std::string LedgerLines(const metrics::RunRecord& record,
                        const metrics::Ledger& ledger);

}  // namespace stoker::reporting
