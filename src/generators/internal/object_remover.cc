#include "generators/internal/object_remover.h"

#include <string_view>

#include "dataset/names.h"

namespace stoker::generators::internal {

using core::Status;

Status ObjectRemover::Remove(const Place& place) {
  dataset::ObjectName(*place.naming, place.index, name_);
  file_names_.push_back(name_);
  const std::size_t length = name_.size();
  for (const std::string_view sidecar : plan_.format->sidecars()) {
    name_.resize(length);
    name_ += sidecar;
    other_names_.push_back(name_);
  }
  if (plan_.format->name() == "tfrecord") {
    dataset::IndexName(*place.naming, place.index, name_);
    other_names_.push_back(name_);
  }
  return file_names_.size() + other_names_.size() < kGathered ? Status()
                                                              : Flush();
}

Status ObjectRemover::Flush() {
  STOKER_ASSIGN(const std::uint64_t files, backend_.RemoveAll(file_names_));
  file_names_.clear();
  files_ += files;
  STOKER_ASSIGN(const std::uint64_t others, backend_.RemoveAll(other_names_));
  other_names_.clear();
  others_ += others;
  return {};
}

}  // namespace stoker::generators::internal
