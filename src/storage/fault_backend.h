#pragma once

// Scripted failures over another back end, for tests.

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
  // reads that cover it match the rule.
  struct Flip {
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
  std::variant<Error, Short, Flip, Delay> action;
};

// Every rule counts its matches by itself, over all queues and streams of the
// back end. The first rule of the script that hits an operation acts.
using FaultScript = std::vector<FaultRule>;

// kInvalidArgument: an action that its operation cannot have.
core::Result<std::unique_ptr<Backend>> NewFaultBackend(
    FaultScript script, std::unique_ptr<Backend> inner);

inline constexpr std::array<OptionHelp, 8> kFaultOptions{
    {{"op", "read|size|create|write|commit|list|link|remove",
      "the operation that fails; read unless set"},
     {"object", "text", "part of the object's name; all objects unless set"},
     {"nth", "0, 1, ...", "the first matching operation that is hit; 0"},
     {"count", "1, 2, ... or all", "how many in a row are hit; 1"},
     {"error", "EIO|ENOSPC|ENOENT|EACCES|EDQUOT|ESTALE|ETIMEDOUT|EAGAIN",
      "fails with this error; EAGAIN may be tried again"},
     {"short", "bytes", "reads report at most so many"},
     {"flip", "bytes", "the byte at this offset of the object is read wrong"},
     {"delay", "duration", "takes so much longer"}}};

// "fault:?op=read&object=img_3&nth=10&error=EIO,<inner>": a script of one rule,
// with exactly one of error, short, flip and delay; of none without options.
core::Result<std::unique_ptr<Backend>> OpenFaultBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
