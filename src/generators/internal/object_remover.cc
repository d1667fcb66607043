#include "generators/internal/object_remover.h"

#include <string_view>

#include "dataset/names.h"

namespace stoker::generators::internal {

using core::Status;

Status ObjectRemover::Remove(const Place& place) {
  dataset::ObjectName(*place.naming, place.index, name_);
  STOKER_TRY(RemoveOne(files_));
  const std::size_t length = name_.size();
  for (const std::string_view sidecar : plan_.format->sidecars()) {
    name_.resize(length);
    name_ += sidecar;
    STOKER_TRY(RemoveOne(others_));
  }
  if (plan_.format->name() == "tfrecord") {
    dataset::IndexName(*place.naming, place.index, name_);
    STOKER_TRY(RemoveOne(others_));
  }
  return {};
}

// The object `name_`.
Status ObjectRemover::RemoveOne(std::uint64_t& count) {
  const Status removed = backend_.Remove(name_);
  count += removed.ok() ? 1U : 0U;
  return removed.code() == core::Code::kNotFound ? Status() : removed;
}

}  // namespace stoker::generators::internal
