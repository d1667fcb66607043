#pragma once

// File formats by name.

#include <span>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

struct FormatInfo {
  std::string_view name;
  std::string_view summary;
  const Format* format;  // static storage
};

std::span<const FormatInfo> Formats();

// kUnsupported names the known formats.
core::Result<const Format*> FindFormat(std::string_view name);

}  // namespace stoker::formats
