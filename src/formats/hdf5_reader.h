#pragma once

// How an hdf5 file is read for one sample of it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "formats/format.h"
#include "formats/hdf5_layout.h"
#include "formats/hdf5_metadata.h"
#include "formats/payload_io.h"
#include "formats/range_reader.h"

namespace stoker::formats {

// For a sample alone the places come from the FileSpec, and nothing but the
// length is checked. Of a whole file the metadata is looked at: its shape
// counts; chunks must lie as Hdf5Format puts them.
class Hdf5Content final : public RangeContent {
 public:
  // Null: no comparison. Not owned.
  explicit Hdf5Content(PayloadSource* expect) : comparer_(expect) {}
  void Reset(const FileSpec& file, std::uint32_t sample) override;
  std::uint64_t FileBytes(const FileSpec& file) const override;
  Extent ExtentOf(const FileSpec& file, std::uint32_t sample) const override;
  core::Status TakeSize(std::uint64_t size) override;
  core::Status Take(std::uint64_t offset,
                    std::span<const std::byte> bytes) override;
  core::Result<std::uint64_t> Finish() override;

 private:
  core::Status TakeFront(std::uint64_t offset, hdf5::Bytes bytes);
  core::Status TakeTree(std::uint64_t offset, hdf5::Bytes bytes);
  core::Status TakeNode();

  PayloadComparer comparer_;
  std::uint64_t file_ = 0;
  std::uint32_t sample_ = 0;
  hdf5::Plan plan_;
  // Of the file: planned until its metadata is read.
  hdf5::Shape shape_;
  std::uint64_t data_ = 0;  // of the array or the first chunk
  bool whole_ = false;      // the metadata is read, too
  std::uint64_t size_ = 0;
  // An object being put together, and the node that comes next.
  std::array<std::byte, hdf5::kNodeBytes> gathered_;
  std::size_t gathered_bytes_ = 0;
  int level_ = 0;
  std::uint64_t node_ = 0;
};

// Asks as h5py's File(name)["records"][sample] does with libhdf5 1.10: the
// objects on the way to the dataset one by one, then the sample. Contiguous
// samples of at most 64 KiB are read with what follows them, up to that size.
// Chunks are found through their index, whose nodes are read as needed; those
// above 1 MiB are not cached by the library and read row by row where they are
// narrower than the sample.
class Hdf5ReferenceReader final : public ReaderProgram {
 public:
  explicit Hdf5ReferenceReader(const ReaderOptions& options);
  void Reset(const FileSpec& file, std::uint32_t sample,
             std::string_view name) override;
  core::Result<Next> Step(const Event& event) override;
  std::uint64_t MaxRequest(const FileSpec& file) const override;

 private:
  enum class Stage : std::uint8_t {
    kSignature,
    kSuperblockStart,
    kSuperblock,
    kRootHeader,
    kHeap,
    kGroupTree,
    kSymbols,
    kRecordsHeader,
    kArray,  // contiguous: the sample
    kNode,   // of the chunk index
    kChunk,
  };
  // A node of the chunk index that was read, by its depth below the root.
  struct Node {
    std::uint64_t address = hdf5::kUndefined;
    std::array<std::byte, hdf5::kNodeBytes> bytes;
  };

  core::Result<Next> TakeSize(std::uint64_t size);
  core::Result<Next> TakeBytes(hdf5::Bytes bytes);
  core::Status Look(hdf5::Bytes bytes);
  core::Result<Next> Proceed();
  core::Result<Next> BeginSample();
  core::Result<Next> NextChunk();
  core::Result<hdf5::Child> ChildOf(std::size_t depth) const;
  core::Result<Next> NextOfChunk();
  core::Result<Next> Ask(Stage stage, std::uint64_t offset,
                         std::uint64_t length);
  core::Result<Next> Probe(Stage stage, std::uint64_t offset);
  Next Ready() const;

  bool blind_;
  PayloadComparer comparer_;
  FileSpec file_;
  std::uint32_t sample_ = 0;
  std::string_view name_;
  hdf5::Plan plan_;
  hdf5::Metadata metadata_;
  std::uint64_t size_ = 0;
  Stage stage_ = Stage::kSignature;
  std::uint64_t at_ = 0;  // of the read under way
  std::uint64_t asked_ = 0;
  std::array<std::byte, hdf5::kSuperblockBytes> superblock_;
  // Chunks.
  std::vector<Node> nodes_;
  std::size_t depth_ = 0;           // of the node under way
  std::uint64_t chunk_ = 0;         // the one under way
  std::uint64_t chunk_end_ = 0;     // behind the sample's last one
  std::uint64_t chunk_offset_ = 0;  // its place in the file
  std::uint64_t chunk_done_ = 0;    // bytes of it that were asked for
};

}  // namespace stoker::formats
