#pragma once

// Local time as a test wants it.

#include <stdlib.h>
#include <time.h>

namespace stoker::testing {

// Two and a half hours ahead of UTC, all year. One thread; stays for the rest
// of the program, so every test that shows times calls it.
inline void UseTestZone() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the tests have one thread
  ::setenv("TZ", "TEST-2:30", 1);
  ::tzset();
}

}  // namespace stoker::testing
