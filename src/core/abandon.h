#pragma once

// What must outlive everybody who could free it.

#include <memory>

namespace stoker::core {

// Keeps `object` until the process ends, because something out of our reach (a
// read that hangs in the kernel) may still use it. Safe for concurrent use.
void Abandon(std::shared_ptr<void> object);

}  // namespace stoker::core
