#pragma once

// How the kernel should schedule a thread where there are fewer cores than
// threads. Hints: a kernel that does not know one ignores it, and no privilege
// is needed.

namespace stoker::core {

// The calling thread mostly sleeps and must run at once when it wakes: an
// accelerator. Asks for the shortest time slice, so that it may interrupt
// threads with longer ones (Linux 6.12 and later).
void PreferPromptWakeUps();

// The calling thread works through queues and must not interrupt others when
// it wakes: a pump (SCHED_BATCH).
void PreferLongSlices();

}  // namespace stoker::core
