#pragma once

// One listing of what lies in a dataset's folders, by rank 0, without keeping a
// name.

#include <cstdint>
#include <functional>
#include <string_view>

#include "comm/communicator.h"
#include "core/status.h"
#include "generators/internal/bits.h"
#include "generators/plan.h"
#include "storage/backend.h"

namespace stoker::generators::internal {

struct Found {
  Bits data;   // by generation index: the file and its sidecars, right in size
  Bits index;  // its record index is there
  std::uint64_t objects = 0;        // of this dataset, whatever their size
  std::uint64_t content_bytes = 0;  // of contents, not of links to them
};

// What does not belong, or not in this size.
struct Oddity {
  enum class Kind : std::uint8_t { kForeign, kOtherCount, kWrongSize } kind{};
  std::string_view name;
  std::uint64_t file = 0;    // kWrongSize: generation index
  std::uint64_t size = 0;    // bytes
  std::uint64_t wanted = 0;  // kWrongSize: bytes
  std::uint64_t total = 0;   // kOtherCount: files by its name
};
// False: stop.
using OnOddity = std::function<bool(const Oddity&)>;

// What killed writers left of a dataset: below train/, valid/ and index/, and
// of the manifest and the marker. Each host can tell its own dead from the
// living, so with kRemove one rank of each sweeps. Collective; the outcome is
// rank 0's, nothing elsewhere: bytes and objects of all hosts, `busy` of those
// that remain.
core::Result<storage::Unfinished> SweepPlace(comm::Communicator& comm,
                                             storage::Backend& backend,
                                             storage::Sweep sweep);

// Lists train/, valid/ and, for tfrecord, index/. Folders that are not there
// are empty.
core::Result<Found> Scan(storage::Backend& backend, const GeneratePlan& plan,
                         const OnOddity& on_oddity);

}  // namespace stoker::generators::internal
