#pragma once

// A mutex in shared memory that survives the death of its owner.

#include <pthread.h>

#include <cerrno>

#include "core/check.h"

namespace stoker::cache::internal {

// Makes `mutex`, which lies in memory that processes share, ready for use.
inline void MakeRobust(pthread_mutex_t& mutex) {
  pthread_mutexattr_t attributes;
  STOKER_CHECK(::pthread_mutexattr_init(&attributes) == 0);
  STOKER_CHECK(
      ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  STOKER_CHECK(
      ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  STOKER_CHECK(::pthread_mutex_init(&mutex, &attributes) == 0);
  STOKER_CHECK(::pthread_mutexattr_destroy(&attributes) == 0);
}

// Holds the mutex. Where its last owner died within, `repair()` makes good what
// the mutex guards, with the mutex held.
class RobustLock {
 public:
  template <class Repair>
  RobustLock(pthread_mutex_t& mutex, Repair repair) : mutex_(mutex) {
    const int result = ::pthread_mutex_lock(&mutex_);
    STOKER_CHECK(result == 0 || result == EOWNERDEAD);
    if (result == EOWNERDEAD) {
      // Not yet consistent: who dies in here leaves the repair to the next.
      repair();
      STOKER_CHECK(::pthread_mutex_consistent(&mutex_) == 0);
    }
  }
  ~RobustLock() { STOKER_CHECK(::pthread_mutex_unlock(&mutex_) == 0); }
  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;

 private:
  pthread_mutex_t& mutex_;
};

}  // namespace stoker::cache::internal
