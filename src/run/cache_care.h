#pragma once

// Looking after the NVMe cache outside of a run.

#include <string>

#include "cache/directory.h"
#include "core/status.h"
#include "run/console.h"

namespace stoker::run {

// `cache format DIR`. Errors as cache::Directory::Format.
core::Status FormatCache(Console& console, const std::string& directory,
                         const cache::FormatOptions& options);

// `cache status DIR`. Errors as cache::OpenTier.
core::Status TellCacheStatus(Console& console, const std::string& directory);

// `cache verify DIR`: kCorruption if a block was not what it should be; it is
// let go of.
core::Status VerifyCache(Console& console, const std::string& directory);

// `cache measure DIR`: as cache::ProbeDevice, with 32 requests at once.
core::Status MeasureCache(Console& console, const std::string& directory);

// `cache drain URI`, of a cache and the place behind it. kCorruption: an object
// is damaged; what the store says, if it takes nothing for a minute.
core::Status DrainCache(Console& console, const std::string& uri);

// `cache clear DIR`. kUnavailable while others use it.
core::Status ClearCache(Console& console, const std::string& directory);

// `cache warm URI`: reads all objects of the place behind the cache through it.
// kInvalidArgument if the URI names no cache.
core::Status WarmCache(Console& console, const std::string& uri);

}  // namespace stoker::run
