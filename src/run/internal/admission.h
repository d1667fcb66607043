#pragma once

// From the rules' judgement to what a command does about it.

#include <string_view>

#include "rules/allowed.h"
#include "run/sizing_report.h"

namespace stoker::run::internal {

Admission AdmissionOf(const rules::Judgement& judgement, Division division,
                      bool allow_invalid);

// Simulated stores, memory and failures on purpose are not storage under test.
// True if no place is named.
bool IsRealStorage(std::string_view uri);
// Whether a cache on the way to the store knows what will be read.
bool Foresees(std::string_view uri);

}  // namespace stoker::run::internal
