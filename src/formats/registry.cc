#include "formats/registry.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "formats/csv_format.h"
#include "formats/jpeg_format.h"
#include "formats/npz_format.h"
#include "formats/png_format.h"
#include "formats/synthetic_format.h"
#include "formats/tfrecord_format.h"

namespace stoker::formats {

std::span<const FormatInfo> Formats() {
  static const CsvFormat kCsv;
  static const JpegFormat kJpeg;
  static const NpzFormat kNpz;
  static const PngFormat kPng;
  static const SyntheticFormat kSynthetic;
  static const TfrecordFormat kTfrecord;
  static const auto kFormats = std::to_array<FormatInfo>({
      {"npz", "numpy archive: one array with the samples of a file, CRC-32",
       &kNpz},
      {"tfrecord", "TensorFlow records: one framed Example a sample, CRC-32C",
       &kTfrecord},
      {"jpeg", "one greyscale image a file, padded to the record's size",
       &kJpeg},
      {"png", "one greyscale image a file, padded to the record's size, CRC-32",
       &kPng},
      {"csv", "text: a header and a line of decimal values a sample", &kCsv},
      {"synthetic", "files that nobody reads: samples without storage",
       &kSynthetic},
  });
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
