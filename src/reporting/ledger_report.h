#pragma once

// Where the bytes of a run came from: ledger.json, its short form for the
// record, and lines for people.

#include <string>

#include "core/status.h"
#include "metrics/ledger.h"
#include "metrics/run_record.h"
#include "reporting/json.h"

namespace stoker::reporting {

// Everything: the run, its epochs and their hosts, with every witness, and the
// latencies with all buckets. `hosts` names the nodes.
Json LedgerJson(const metrics::RunLedger& ledger,
                const std::vector<metrics::HostFacts>& hosts);

// The short form, for record.json: the run, and of each epoch where its bytes
// came from.
Json LedgerDigestJson(const metrics::RunLedger& ledger);

// LedgerJson as file `path`. Errors name the file.
core::Status WriteLedger(const std::string& path,
                         const metrics::RunLedger& ledger,
                         const std::vector<metrics::HostFacts>& hosts);

// "where bytes came from", "cache state", "read latency", and what is missing
// or was done about caches: three to six lines, each with its end; "" of a run
// without epochs.
std::string LedgerLines(const metrics::RunLedger& ledger);

}  // namespace stoker::reporting
