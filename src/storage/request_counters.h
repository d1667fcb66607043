#pragma once

// What a back end that talks to a server did.

#include <cstdint>

namespace stoker::storage {

// Of all queues, streams and calls of a back end since it was opened.
struct RequestCounters {
  std::uint64_t requests = 0;        // sent, repetitions included
  std::uint64_t repetitions = 0;     // of them
  std::uint64_t connections = 0;     // made
  std::uint64_t bytes_received = 0;  // of bodies
  std::uint64_t bytes_sent = 0;      // of bodies
  // Answers and ends that led to a repetition or an error.
  std::uint64_t throttled = 0;      // 429, 503
  std::uint64_t server_errors = 0;  // other 5xx
  std::uint64_t timed_out = 0;
  std::uint64_t disconnected = 0;  // refused, reset, name not found
  std::uint64_t damaged = 0;       // cut short, wrong length, another version
};

}  // namespace stoker::storage
