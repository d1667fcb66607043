#pragma once

// Objects in the memory of this process, for tests.

#include <memory>

#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

// "mem:" is a place of its own, gone with the back end. "mem:<name>" is one
// place for all of the process, kept until it ends. Reads copy while they are
// submitted. A link shares the content of the object at that moment.
core::Result<std::unique_ptr<Backend>> OpenMemBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
