#pragma once

// Reading a dataset back and comparing every byte with what was to be written.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "dataset/manifest.h"
#include "generators/progress.h"
#include "storage/backend.h"

namespace stoker::generators {

// How many problems a rank tells in words.
inline constexpr std::size_t kTellAtMost = 20;

// One object that is not as it should be.
struct Problem {
  std::string object;
  std::optional<std::uint64_t> offset;  // of the first byte that differs
  std::string reason;                   // "it is missing"
};

// Of all ranks, at rank 0; elsewhere the rank's own.
struct VerifyResult {
  std::uint64_t names = 0;     // data files the manifest names
  std::uint64_t contents = 0;  // data files that were read
  // Names of a file that was read: the storage says that they are the same
  // object. Where it does not, they are read and counted above.
  std::uint64_t linked = 0;
  std::uint64_t indexes = 0;      // record indexes read
  std::uint64_t bytes = 0;        // read
  std::uint64_t bad = 0;          // objects missing, of another size or content
  std::uint64_t extra = 0;        // objects in the folders that do not belong
  std::vector<Problem> problems;  // by rank, cut off
  storage::Unfinished unfinished;  // of killed writers, hidden; at rank 0
  core::Nanos elapsed{};
  dataset::Manifest manifest;  // on every rank

  bool whole() const { return bad == 0 && extra == 0; }
};

// Collective. Rank 0 reads the manifest and lists the folders: every name must
// be there in its size, and nothing else. Then the ranks share the contents as
// Generate does: each file, its sidecars and its record index (if any file has
// one) are encoded again and compared with what is read. Further names of a
// content must be the very objects, or are read as well. A read that takes
// longer than `io_timeout` ends it. A dataset that is not whole is a result,
// not an error. kNotFound: no manifest. kInvalidArgument:
// the dataset is not finished, or the back end keeps no data. kCorruption: the
// manifest is damaged. kCancelled, kTimedOut.
core::Result<VerifyResult> Verify(comm::Communicator& comm,
                                  storage::Backend& backend, core::Clock& clock,
                                  const core::CancelFlag& cancel,
                                  const OnProgress& progress,
                                  core::Nanos io_timeout);

}  // namespace stoker::generators
