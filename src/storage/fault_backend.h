#pragma once

// Failures, damage and delays put in on purpose, over another back end:
// scripted for tests, by schedule for whoever wants to see what a run makes of
// them.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

// Since the back end was opened (OpenSettings::clock), or first asked where it
// was opened without a clock. Calls that are handed no clock are outside of
// every window but the whole, then.
struct FaultWindow {
  core::Nanos from{};
  core::Nanos lasts = core::Nanos::max();

  bool whole() const {
    return from == core::Nanos{0} && lasts == core::Nanos::max();
  }
  bool Covers(core::Nanos at) const { return at >= from && at - from < lasts; }
};

struct FaultRule {
  // kWrite: one part sent to the back end. kCreate: Backend::Create.
  enum class Operation : std::uint8_t {
    kRead,
    kSize,
    kCreate,
    kWrite,
    kCommit,
    kList,
    kLink,
    kRemove,
  };
  static constexpr std::uint64_t kAlways = UINT64_MAX;

  // The operation is not done and ends with this.
  struct Error {
    core::Status status;
  };
  // kRead: at most so many bytes are reported.
  struct Short {
    std::uint64_t bytes = 0;
  };
  // kRead: the lowest bit of the object's byte at `offset` is turned over. Only
  // reads that cover it match the rule. kAnywhere: a bit of the read is, drawn
  // by seed, object and offset.
  struct Flip {
    static constexpr std::uint64_t kAnywhere = UINT64_MAX;
    std::uint64_t offset = 0;
  };
  // kRead, kSize: reported no earlier than `time` after it was submitted.
  // kCreate, kWrite, kCommit: begins `time` later.
  struct Delay {
    core::Nanos time{};
  };

  Operation operation = Operation::kRead;
  std::string object{};     // part of the name (kList: the prefix; kLink: the
                            // new name); "" matches all
  std::uint64_t first = 0;  // the first matching operation that is hit
  std::uint64_t count = 1;  // how many in a row are hit
  std::uint64_t every = 1;  // from `first` on, only the last of so many
  // This part of the matching operations is hit, drawn by seed, object, offset
  // and kind alone: what is hit once is hit again when it is asked for again.
  double rate = 1;  // 0 to 1
  std::uint64_t seed = 0;
  FaultWindow window{};
  std::variant<Error, Short, Flip, Delay> action;
};

// Every rule counts its matches by itself, over all queues and streams of the
// back end: operations in its window, of its kind and object, that its rate has
// drawn. The first rule of the script that hits an operation acts.
using FaultScript = std::vector<FaultRule>;

// What every operation goes through. Of this back end alone: each rank of a run
// has its own.
struct FaultShape {
  // kRead, kSize: answered no earlier than this after they were asked. kCreate,
  // kWrite, kCommit: begin this later.
  core::Nanos latency{};
  double bytes_per_second = 0;  // read, and written, at most; 0: unlimited
  FaultWindow window{};
};

// kInvalidArgument: an action that its operation cannot have.
core::Result<std::unique_ptr<Backend>> NewFaultBackend(
    FaultScript script, std::unique_ptr<Backend> inner);

inline constexpr std::array<OptionHelp, 15> kFaultOptions{
    {{"op", "read|size|create|write|commit|list|link|remove",
      "the operation that fails; read unless set"},
     {"object", "text", "part of the object's name; all objects unless set"},
     {"nth", "0, 1, ...", "the first matching operation that is hit; 0"},
     {"count", "1, 2, ... or all", "how many in a row are hit; 1"},
     {"error", "EIO|ENOSPC|ENOENT|EACCES|EDQUOT|ESTALE|ETIMEDOUT|EAGAIN",
      "fails with this error; EAGAIN may be tried again"},
     {"short", "bytes", "reads report at most so many"},
     {"flip", "bytes or any",
      "the byte at this offset of the object is read wrong; any: a bit of the "
      "read, by chance"},
     {"delay", "duration", "takes no less than this: a stall"},
     {"every", "1, 2, ...",
      "only the last of every so many is hit, to the end"},
     {"rate", "0..1", "this part is hit, by chance, to the end"},
     {"seed", "0, 1, ...", "of rate and of flip=any; 0"},
     {"latency", "duration", "no read or write takes less; 0"},
     {"bandwidth", "bytes per second, 500MiB",
      "of this process, in each direction; unlimited unless set"},
     {"from", "duration, 10s", "nothing is done before, since the opening; 0"},
     {"for", "duration, 5s",
      "nothing is done this long after `from`; forever"}}};

// "fault:?op=read&object=img_3&nth=10&error=EIO,<inner>": a script of one rule,
// with one of error, short, flip and delay, and a shape; of neither without
// options. nth and count, every, and rate are three ways to say which
// operations are hit.
core::Result<std::unique_ptr<Backend>> OpenFaultBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
