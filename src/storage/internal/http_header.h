#pragma once

#include <optional>
#include <string_view>

namespace stoker::storage::internal {

// "name: value" → value where the line has that name (lower case).
inline std::optional<std::string_view> HeaderValue(std::string_view line,
                                                   std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = line[i];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (lower != name[i]) {
      return std::nullopt;
    }
  }
  line.remove_prefix(name.size() + 1);
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return "";
  }
  return line.substr(first, line.find_last_not_of(" \t\r\n") + 1 - first);
}

}  // namespace stoker::storage::internal
