#pragma once

// An engine of an S3 back end, for as long as this lives.

#include <memory>
#include <utility>

#include "core/clock.h"
#include "core/status.h"
#include "storage/internal/s3_engine.h"

namespace stoker::storage::internal {

// Used by one thread. `shared` outlives it.
class LentEngine {
 public:
  static core::Result<LentEngine> Take(S3Shared& shared, core::Clock& clock) {
    STOKER_ASSIGN(std::unique_ptr<S3Engine> engine, shared.TakeEngine(clock));
    return LentEngine(shared, std::move(engine));
  }
  ~LentEngine() {
    if (engine_ != nullptr) {
      shared_->GiveEngine(std::move(engine_));
    }
  }
  LentEngine(LentEngine&&) = default;
  LentEngine(const LentEngine&) = delete;
  LentEngine& operator=(const LentEngine&) = delete;
  LentEngine& operator=(LentEngine&&) = delete;

  S3Engine* operator->() const { return engine_.get(); }

 private:
  LentEngine(S3Shared& shared, std::unique_ptr<S3Engine> engine)
      : shared_(&shared), engine_(std::move(engine)) {}

  S3Shared* shared_;
  std::unique_ptr<S3Engine> engine_;
};

}  // namespace stoker::storage::internal
