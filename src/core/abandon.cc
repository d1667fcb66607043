#include "core/abandon.h"

#include <mutex>
#include <utility>
#include <vector>

namespace stoker::core {

namespace {

struct Abandoned {
  std::mutex mutex;  // guards objects
  std::vector<std::shared_ptr<void>> objects;
};

}  // namespace

void Abandon(std::shared_ptr<void> object) {
  // Reached until the very end, and never destroyed.
  static auto* const all = new Abandoned;
  const std::scoped_lock lock(all->mutex);
  all->objects.push_back(std::move(object));
}

}  // namespace stoker::core
