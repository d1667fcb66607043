#pragma once

// Removing the objects of a data file.

#include <cstdint>
#include <string>

#include "core/status.h"
#include "generators/internal/walk.h"
#include "generators/plan.h"
#include "storage/backend.h"

namespace stoker::generators::internal {

// Nothing is owned.
class ObjectRemover {
 public:
  ObjectRemover(const GeneratePlan& plan, storage::Backend& backend)
      : plan_(plan), backend_(backend) {}

  // The file, its sidecars and its record index, if they are there.
  core::Status Remove(const Place& place);

  std::uint64_t files() const { return files_; }    // that were there
  std::uint64_t others() const { return others_; }  // sidecars, indexes too

 private:
  core::Status RemoveOne(std::uint64_t& count);

  const GeneratePlan& plan_;
  storage::Backend& backend_;
  std::uint64_t files_ = 0;
  std::uint64_t others_ = 0;
  std::string name_;
};

}  // namespace stoker::generators::internal
