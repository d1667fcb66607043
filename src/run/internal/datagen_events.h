#pragma once

// What the phases of a dataset's life say at their end, to people and to
// programs. Figures are of all ranks.

#include <string>
#include <string_view>
#include <vector>

#include "generators/delete.h"
#include "generators/generate.h"
#include "generators/plan.h"
#include "generators/verify.h"
#include "run/console.h"

namespace stoker::run::internal {

// "datagen_done": its rate is that of writing, as GenerateResult::writing.
Event GeneratedEvent(const generators::GeneratePlan& plan,
                     const generators::GenerateResult& result,
                     std::string_view uri);
// "verify_done".
Event VerifiedEvent(const generators::VerifyResult& result);
// "bad_object".
Event ProblemEvent(const generators::Problem& problem);
// "delete_done".
Event DeletedEvent(const generators::DeleteResult& result,
                   std::string_view uri);

}  // namespace stoker::run::internal
