#pragma once

// STOKER_CHECK(condition): for our own bugs only, never for input. In every
// build it prints file, line and the condition to stderr and aborts.

namespace stoker::core {

[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* condition);

}  // namespace stoker::core

#define STOKER_CHECK(condition) \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::stoker::core::CheckFailed(__FILE__, __LINE__, #condition))
