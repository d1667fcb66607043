#pragma once

// The times of a simulated store where all processes of a host see them.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/status.h"
#include "storage/internal/model_limits.h"

namespace stoker::storage::internal {

// Names of all segments, in /dev/shm.
inline constexpr std::string_view kSegmentPrefix = "stoker-model-";

// A POSIX shared memory segment. Whoever has it open holds a shared lock
// (flock) on it, which the kernel gives up with the process however that ends;
// who finds a segment that nobody holds removes it. The last one to close takes
// it away, and every opening sweeps what killed runs left.
class ModelSegment {
 public:
  // The segment `name` (letters, digits, '-', '_'; at most 200), made if there
  // is none. kInvalidArgument: there is one with other caps. Else errors of
  // /dev/shm.
  static core::Result<std::unique_ptr<ModelSegment>> Open(
      std::string_view name, const ModelCaps& caps);
  ~ModelSegment();
  ModelSegment(const ModelSegment&) = delete;
  ModelSegment& operator=(const ModelSegment&) = delete;

  ModelTimes& times();
  std::span<ModelSlot> slots();

 private:
  struct Layout;
  ModelSegment(std::string file, int fd, void* memory, std::size_t bytes);

  Layout& layout();

  const std::string file_;  // as shm_open takes it
  const int fd_;
  void* const memory_;
  const std::size_t bytes_;
};

// Removes the segments that no process holds.
void SweepModelSegments();

}  // namespace stoker::storage::internal
