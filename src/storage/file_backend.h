#pragma once

// Files under a root folder, through the page cache.

#include <array>
#include <memory>

#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

inline constexpr std::array<OptionHelp, 2> kFileOptions{
    {{"engine", "auto|uring|threads",
      "how reads are done; auto takes io_uring where the kernel allows it"},
     {"io_threads", "1..256",
      "reader threads of a queue with engine=threads; as many as its depth, "
      "at most 256, unless set"}}};

// `uri.place` is the root folder; it need not exist yet. Objects are regular
// files, symbolic links to files included; symbolic links to folders are not
// followed below the folder that is listed. kInvalidArgument: a missing place
// or a bad option. kUnsupported: engine=uring where io_uring is refused.
//
// Queues do kernel I/O and so take real time, whatever clock they are given. A
// queue may be made in one thread and used by another. With ops in flight it is
// destroyed by the thread that submitted them, or after that has ended.
core::Result<std::unique_ptr<Backend>> OpenFileBackend(
    const Uri& uri, std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
