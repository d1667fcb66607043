#pragma once

// CPU time as the kernel counts it. A system call each.

#include "core/clock.h"

namespace stoker::core {

Nanos ThreadCpuTime();   // of the calling thread
Nanos ProcessCpuTime();  // of all threads, those that ended included

}  // namespace stoker::core
