#include "formats/npy_header.h"

#include <fmt/format.h>

#include <string>

#include "formats/byte_order.h"
#include "formats/npz_layout.h"

namespace stoker::formats {

std::vector<std::byte> NpyHeader(std::string_view descr,
                                 std::string_view shape) {
  std::string text = fmt::format(
      "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", descr, shape);
  constexpr std::size_t kBefore = 10;  // magic, version, length
  text.resize(npz::kNpyBytes - kBefore - 1, ' ');
  std::vector<std::byte> out;
  AppendText(out, "\x93NUMPY");
  AppendLe<std::uint16_t>(out, 1);  // version 1.0
  AppendLe(out, static_cast<std::uint16_t>(text.size() + 1));
  AppendText(out, text);
  AppendText(out, "\n");
  return out;
}

}  // namespace stoker::formats
