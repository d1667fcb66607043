#pragma once

#include <cstddef>
#include <span>

namespace stoker::core {

// Copies to memory that nobody reads before much else was copied: past the
// caches where the machine can (x86-64), which spares reading what is
// overwritten. `to` has at least the size of `from`, and they do not overlap.
// Safe for concurrent use; what was copied is visible to whom it is handed.
void StreamCopy(std::span<std::byte> to, std::span<const std::byte> from);

}  // namespace stoker::core
