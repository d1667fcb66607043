#pragma once

// torch's names of our data types.

#include <optional>
#include <string_view>

#include "checkpoint/model.h"

namespace stoker::checkpoint {

// "HalfStorage"
std::string_view StorageClassOf(DataType type);
std::optional<DataType> TypeOfStorageClass(std::string_view name);

}  // namespace stoker::checkpoint
