#pragma once

// core/byte_order.h under this module's name.

#include "core/byte_order.h"

namespace stoker::formats {

using core::AppendLe;
using core::AppendText;
using core::AsText;
using core::LoadLe;
using core::StoreLe;

}  // namespace stoker::formats
