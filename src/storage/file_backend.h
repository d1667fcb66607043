#pragma once

// Files under a root folder, through the page cache or past it.

#include <array>
#include <memory>

#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

inline constexpr std::array<OptionHelp, 3> kFileOptions{
    {{"engine", "auto|uring|threads",
      "how reads are done; auto takes io_uring where the kernel allows it"},
     {"io_threads", "1..256",
      "reader threads of a queue with engine=threads; as many as its depth, "
      "at most 256, unless set"},
     {"write_threads", "1..64",
      "writer threads of a file whose parts are sent while others are made; 1 "
      "unless set, more for file systems that write one file in parallel"}}};

// `uri.place` is the root folder; it need not exist yet. Objects are regular
// files, symbolic links to files included; symbolic links to folders are not
// followed below the folder that is listed. kInvalidArgument: a missing place
// or a bad option. kUnsupported: engine=uring where io_uring is refused.
//
// Queues do kernel I/O and so take real time, whatever clock they are given. A
// queue may be made in one thread and used by another. With ops in flight it is
// destroyed by the thread that submitted them, or after that has ended.
//
// Access::kDirect opens the files with O_DIRECT; limits() are those of the
// first file below the root, 4096 bytes where there is none or the kernel does
// not say. kUnsupported where the file system refuses O_DIRECT. Access::kMapped
// maps each file as a whole at its first read, until Release, and copies out of
// the mapping in reader threads, whatever the engine; what a file gains
// meanwhile is not seen, and a read of what it lost is kIoError, not a SIGBUS.
core::Result<std::unique_ptr<Backend>> OpenFileBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

// The same with Access::kDirect for kDefault. Writes go through the page cache.
core::Result<std::unique_ptr<Backend>> OpenDirectBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
