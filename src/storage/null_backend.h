#pragma once

// Answers at once and keeps nothing: what is left is our own overhead.

#include <memory>

#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

// "null:". Reads are done at once with their full length and leave the buffer
// as it was; every object's size is 0; writes are swallowed; lists are empty.
core::Result<std::unique_ptr<Backend>> OpenNullBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
