#include "formats/registry.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "formats/csv_format.h"
#include "formats/hdf5_format.h"
#include "formats/indexed_binary_format.h"
#include "formats/jpeg_format.h"
#include "formats/npy_format.h"
#include "formats/npz_format.h"
#include "formats/png_format.h"
#include "formats/synthetic_format.h"
#include "formats/tfrecord_format.h"

namespace stoker::formats {

std::span<const FormatInfo> Formats() {
  static const CsvFormat kCsv;
  static const JpegFormat kJpeg;
  static const Hdf5Format kHdf5;
  static const IndexedBinaryFormat kIndexedBinary(/*mapped=*/false);
  static const IndexedBinaryFormat kMmapIndexedBinary(/*mapped=*/true);
  static const NpyFormat kNpy;
  static const NpzFormat kNpz;
  static const PngFormat kPng;
  static const SyntheticFormat kSynthetic;
  static const TfrecordFormat kTfrecord;
  static const auto kFormats = std::to_array<FormatInfo>({
      {"hdf5", "HDF5: one dataset with the samples of a file, or its chunks",
       &kHdf5},
      {"indexed_binary", "samples end to end, their places in two index files",
       &kIndexedBinary},
      {"mmap_indexed_binary", "as indexed_binary, read through mappings",
       &kMmapIndexedBinary},
      {"npy", "numpy array with the samples of a file", &kNpy},
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
