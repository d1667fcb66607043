#pragma once

// What every communicator must do, checked by each rank of a running one. All
// ranks make these calls together; a failed check is reported by the rank that
// sees it and ends nothing, so that the ranks stay in step.

#include "comm/communicator.h"

namespace stoker::comm::testing {

void CheckPlaces(Communicator& comm);
void CheckBroadcast(Communicator& comm);
void CheckGather(Communicator& comm);
void CheckAllGather(Communicator& comm);
void CheckBarrierMax(Communicator& comm);
void CheckAgree(Communicator& comm);

}  // namespace stoker::comm::testing
