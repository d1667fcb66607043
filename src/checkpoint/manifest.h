#pragma once

// What a saved checkpoint consists of. Written last, into the step folder; a
// folder without one is not a checkpoint.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/archive.h"
#include "checkpoint/content.h"
#include "checkpoint/model.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/backend.h"

namespace stoker::checkpoint {

inline constexpr std::string_view kManifestName = "stoker_checkpoint.json";
// The same text, without sums, under this name while the checkpoint is not
// whole: it names what saving or deleting may have left.
inline constexpr std::string_view kPartialName =
    "stoker_checkpoint.partial.json";

struct ManifestFile {
  std::string name;  // within the step folder
  std::uint32_t rank = 0;
  std::uint64_t bytes = 0;
  std::uint64_t payload_bytes = 0;
  std::uint32_t crc = 0;        // CRC-32 of the whole file
  std::uint32_t frame_crc = 0;  // CRC-32 of all but the tensors, end to end
};

struct Manifest {
  int version = 1;
  std::string tool;   // "stoker 0.1.0"
  std::string model;  // "llama3-8b"
  ModelSpec spec{};
  Layout layout{};
  FileFormat format = FileFormat::kTorchZip;
  ContentKey content{};
  std::uint64_t epoch = 1;
  std::uint64_t step = 1;
  std::vector<ManifestFile> files{};  // by rank, in the order written
};

// The manifest as it is stored, and back. Parse: kCorruption if the text or its
// hash is off, kUnsupported if another version wrote it.
std::string ManifestText(const Manifest& manifest);
core::Result<Manifest> ParseManifest(std::string_view text,
                                     std::string_view name);

// "folder/name", or "name" where `folder` is "".
std::string ObjectName(std::string_view folder, std::string_view name);

// `folder` is the step folder's name within the back end, "" for the back end's
// own place; `name` is kManifestName or kPartialName. `durable`: on stable
// storage on return.
core::Status WriteManifest(storage::Backend& backend, std::string_view folder,
                           const Manifest& manifest, bool durable,
                           core::Clock& clock,
                           std::string_view name = kManifestName);
// Empty if there is none.
core::Result<std::optional<Manifest>> ReadManifest(
    storage::Backend& backend, std::string_view folder, core::Clock& clock,
    std::string_view name = kManifestName);

// Whether both describe the same tensors on the same ranks under the same
// names.
bool SameShards(const ModelSpec& a, const Layout& layout_a, const ModelSpec& b,
                const Layout& layout_b);
// "transformer of 32 layers, 8 ranks as TP 1 x PP 1 x DP 8, ZeRO 3"
std::string DescribeShards(const ModelSpec& spec, const Layout& layout);

}  // namespace stoker::checkpoint
