#pragma once

// Files under a root folder, through the page cache or past it.

#include <array>
#include <memory>

#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

inline constexpr OptionHelp kEngineOption{
    "engine", "auto|uring|threads",
    "how reads are done; auto takes io_uring where the kernel allows it"};
inline constexpr OptionHelp kIoThreadsOption{
    "io_threads", "1..256",
    "reader threads of a queue that reads by threads; as many as its depth, at "
    "most 256, unless set"};
inline constexpr OptionHelp kWriteThreadsOption{
    "write_threads", "1..64",
    "writer threads of a file whose parts are sent while others are made; 1 "
    "unless set, more for file systems that write one file in parallel"};
inline constexpr OptionHelp kDepthOption{
    "depth", "1..16384",
    "reads that a queue has in the kernel at most; unless set, what the loader "
    "asks for"};
inline constexpr OptionHelp kFadviseOption{
    "fadvise", "normal|sequential|random|noreuse|dontneed",
    "what the kernel is told of the page cache; dontneed drops a file's pages "
    "once it was read"};
inline constexpr OptionHelp kReadAheadOption{
    "readahead", "on|off",
    "whether the kernel may read more than is asked for"};

inline constexpr std::array<OptionHelp, 7> kFileOptions{
    {kEngineOption,
     kIoThreadsOption,
     kWriteThreadsOption,
     kDepthOption,
     {"block", "bytes",
      "larger reads are split into blocks of this size, which are under way at "
      "once; 0 (not split) unless set; 1 MiB past the page cache by io_uring"},
     kFadviseOption,
     kReadAheadOption}};
inline constexpr std::array<OptionHelp, 5> kDirectOptions{
    {kEngineOption,
     kIoThreadsOption,
     kWriteThreadsOption,
     kDepthOption,
     {"block", "bytes",
      "larger reads are split into blocks of this size, which are under way at "
      "once; 1 MiB with io_uring and 0 (not split) with threads unless set"}}};
inline constexpr std::array<OptionHelp, 4> kMmapOptions{
    {kIoThreadsOption, kWriteThreadsOption, kFadviseOption, kReadAheadOption}};

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
// not say. kUnsupported where the file system refuses O_DIRECT. Memory that is
// registered is then known to io_uring, if the limit of locked memory allows.
// Access::kMapped maps each file as a whole at its first read, until Release,
// and copies out of the mapping in reader threads, whatever the engine; what a
// file gains meanwhile is not seen, and a read of what it lost is kIoError, not
// a SIGBUS.
core::Result<std::unique_ptr<Backend>> OpenFileBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

// The same with Access::kDirect for kDefault. Writes go past the page cache as
// well, but for what fills no block of 4096 bytes: the end of an object, and
// parts at other offsets (WriteStream::Cut).
core::Result<std::unique_ptr<Backend>> OpenDirectBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

// The same with Access::kMapped for kDefault; written as files are.
core::Result<std::unique_ptr<Backend>> OpenMmapBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
