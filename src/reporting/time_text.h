#pragma once

// Wall-clock times as text, in the zone of the process (TZ).

#include <string>

#include "metrics/run_facts.h"

namespace stoker::reporting {

// "2025-08-01T12:00:00.123456": as the reference writes times, without a zone.
std::string LocalTime(metrics::WallTime at);
// "2025-08-01T12:00:00.123456+02:00"
std::string ZonedTime(metrics::WallTime at);
// "20250801_120000": names of run folders.
std::string FolderTime(metrics::WallTime at);

}  // namespace stoker::reporting
