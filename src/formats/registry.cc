#include "formats/registry.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "formats/npz_format.h"
#include "formats/tfrecord_format.h"

namespace stoker::formats {

std::span<const FormatInfo> Formats() {
  static const NpzFormat kNpz;
  static const TfrecordFormat kTfrecord;
  static const std::array<FormatInfo, 2> kFormats = {{
      {"npz", "numpy archive: one array with the samples of a file, CRC-32",
       &kNpz},
      {"tfrecord", "TensorFlow records: one framed Example a sample, CRC-32C",
       &kTfrecord},
  }};
  return kFormats;
}

core::Result<const Format*> FindFormat(std::string_view name) {
  std::string known;
  for (const FormatInfo& info : Formats()) {
    if (info.name == name) {
      return info.format;
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", info.name);
  }
  return core::Status(
      core::Code::kUnsupported,
      fmt::format("file format \"{}\" is not known; use one of: {}", name,
                  known));
}

}  // namespace stoker::formats
