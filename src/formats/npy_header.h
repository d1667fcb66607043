#pragma once

// The header of a numpy array, version 1.0 of numpy's NEP 1.

#include <cstddef>
#include <string_view>
#include <vector>

namespace stoker::formats {

// npz::kNpyBytes bytes. `shape` as Python prints a tuple.
std::vector<std::byte> NpyHeader(std::string_view descr,
                                 std::string_view shape);

}  // namespace stoker::formats
