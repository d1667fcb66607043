#pragma once

// indexed_binary: the samples one after the other, nothing else. Two sidecars
// hold the offset and the size of each as native-endian u64; documented in
// docs/formats.md. mmap_indexed_binary is the same, read through mappings.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// One visit of a file is for one sample and reads only that. Each sample has a
// payload of its own.
class IndexedBinaryFormat final : public Format {
 public:
  // `mapped`: mmap_indexed_binary.
  explicit IndexedBinaryFormat(bool mapped) : mapped_(mapped) {}
  std::string_view name() const override { return suffix().substr(1); }
  std::string_view suffix() const override {
    return mapped_ ? ".mmap_indexed_binary" : ".indexed_binary";
  }
  std::uint64_t FileBytes(const FileSpec& file) const override;
  bool streams_samples() const override { return false; }
  bool maps_files() const override { return mapped_; }
  // Offsets, sizes.
  std::span<const std::string_view> sidecars() const override {
    return kSidecars;
  }
  std::uint64_t SidecarBytes(const FileSpec& file,
                             std::size_t which) const override;
  core::Status EncodeSidecar(const FileSpec& file, std::size_t which,
                             storage::WriteStream& out) const override;
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  // Reference style: one read of the sample; mapped, in reads of `request`
  // bytes from its start, each of which touches its pages.
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;

 private:
  static constexpr std::array<std::string_view, 2> kSidecars{".off.idx",
                                                             ".sz.idx"};
  bool mapped_;
};

}  // namespace stoker::formats
