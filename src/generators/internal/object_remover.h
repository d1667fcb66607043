#pragma once

// Removing the objects of data files.

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "generators/internal/walk.h"
#include "generators/plan.h"
#include "storage/backend.h"

namespace stoker::generators::internal {

// Gathers names, so that a store that takes many in one request gets many.
// Nothing is owned.
class ObjectRemover {
 public:
  ObjectRemover(const GeneratePlan& plan, storage::Backend& backend)
      : plan_(plan), backend_(backend) {}

  // The file, its sidecars and its record index, if they are there: now, or at
  // the latest by Flush.
  core::Status Remove(const Place& place);
  core::Status Flush();

  // After Flush, of what was there (as far as Backend::RemoveAll knows).
  std::uint64_t files() const { return files_; }
  std::uint64_t others() const { return others_; }  // sidecars, indexes too

 private:
  static constexpr std::size_t kGathered = 1000;

  const GeneratePlan& plan_;
  storage::Backend& backend_;
  std::uint64_t files_ = 0;
  std::uint64_t others_ = 0;
  std::vector<std::string> file_names_;
  std::vector<std::string> other_names_;
  std::string name_;
};

}  // namespace stoker::generators::internal
