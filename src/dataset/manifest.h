#pragma once

// What a generated dataset is, written last and beside (not inside) the data
// folders: <data_folder>/stoker_dataset.json.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "dataset/names.h"
#include "dataset/shape.h"
#include "storage/backend.h"

namespace stoker::dataset {

inline constexpr std::string_view kManifestName = "stoker_dataset.json";
// The same text under this name while the dataset is not whole: written before
// its first file, removed once the manifest is there. Files of its names and
// sizes belong to it.
inline constexpr std::string_view kPartialName = "stoker_dataset.partial.json";

// How payload bytes were made; a reader can make them again.
struct ContentMode {
  // "counter": FillCounterStream keyed by (seed, content id, sample). "dlio":
  // the reference's bytes, drawn file after file by each of `ranks` processes.
  std::string mode = "counter";
  std::uint64_t seed = 0;
  // > 0: file i of a set holds the content (and dims) of file i mod distinct of
  // that set, as a further name of the same bytes.
  std::uint64_t distinct = 0;
  std::uint64_t ranks = 0;  // dlio only: process r drew files r, r + ranks, …
  friend bool operator==(const ContentMode&, const ContentMode&) = default;
};

struct Manifest {
  int version = 1;
  std::string tool;  // "stoker 0.1.0"
  std::string format;
  Naming train;
  Naming valid;  // total 0: none
  std::uint64_t samples_per_file = 1;
  SizeModel sizes;
  ContentMode content;
  std::uint32_t chunk_edge = 0;  // hdf5; 0: contiguous
  // Of all samples under all names, links counted each time.
  std::uint64_t payload_bytes = 0;
  // Of the data files and their sidecars on storage, links counted once.
  std::uint64_t stored_bytes = 0;
  // Of everything above but `tool` (16 hex digits): two datasets with the same
  // hash hold the same bytes under the same names.
  std::string hash;
};

// The hash that belongs to the other fields; docs/formats.md defines it.
std::string ManifestHash(const Manifest& manifest);

// The manifest as it is stored, and back. Parse: kCorruption if the text or its
// hash is off, kUnsupported if another version wrote it; `name` is for the
// message.
std::string ManifestText(const Manifest& manifest);
core::Result<Manifest> ParseManifest(std::string_view text,
                                     std::string_view name = kManifestName);

// Fills in the hash. `name` is kManifestName or kPartialName.
core::Status WriteManifest(storage::Backend& backend, const Manifest& manifest,
                           core::Clock& clock,
                           std::string_view name = kManifestName);
// Empty if there is none; errors of ParseManifest.
core::Result<std::optional<Manifest>> ReadManifest(
    storage::Backend& backend, core::Clock& clock,
    std::string_view name = kManifestName);

// One line for people: format, counts, sizes, content.
std::string DescribeManifest(const Manifest& manifest);

// What lies in the store, found at the start of a run by one rank: by the
// manifest where there is one (and the sizes of a few files are checked), else
// by listing. The files below are needed; more may be there. A set of which no
// file is needed is not looked at, and its naming has total 0.
struct DiscoverOptions {
  std::string format;  // suffix without the dot
  std::uint64_t files_train = 0;
  std::uint64_t files_eval = 0;
  std::uint64_t subfolders_train = 0;
  std::uint64_t subfolders_eval = 0;
};
struct Discovered {
  Naming train;
  Naming valid;
  std::uint64_t samples_per_file = 0;  // 0: unknown (no manifest)
  std::optional<Manifest> manifest;
  std::vector<std::string> warnings;
};
// Storage without data (Capabilities::stores_data) is not asked: the namings
// are the options'. kNotFound: folder or files missing (remedy: datagen).
// kInvalidArgument: fewer files than wanted, a dataset that is not whole, two
// datasets in one folder, another format, naming or subfolder count, a file (of
// the first, the last and 64 between them) with bytes that nobody wrote.
// kCorruption: a file has another size than the manifest calls for.
core::Result<Discovered> Discover(storage::Backend& backend,
                                  const DiscoverOptions& options,
                                  core::Clock& clock);

}  // namespace stoker::dataset
