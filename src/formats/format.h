#pragma once

// How one file format lays samples out: writing, asking for, and checking its
// bytes live together, so that the layout is known in one place.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/status.h"
#include "storage/write_stream.h"

namespace stoker::formats {

// The shape of one file. Every sample of a file has the same size.
struct FileSpec {
  std::uint64_t index = 0;    // position in the dataset
  std::uint32_t samples = 1;  // samples in the file
  std::uint32_t rows = 1;     // d1 of the sample (uint8 elements)
  std::uint32_t columns = 1;  // d2
  // The nominal edge ⌊√record_length⌋ that tfrecord stores as "size".
  std::uint32_t nominal_edge = 1;
  // Bytes of the encoded file where the format pads to them (jpeg, png): the
  // whole part of record_length, or rows · columns where sizes vary.
  std::uint64_t record_bytes = 1;
  // hdf5: edge of a chunk (1, edge, edge), capped by each of the sample's
  // edges; 0: contiguous.
  std::uint32_t chunk_edge = 0;

  std::uint64_t sample_bytes() const { return std::uint64_t{rows} * columns; }
};

// Deterministic bytes; same (seed, file, sample, offset) gives the same bytes.
// Not safe for concurrent use.
class PayloadSource {
 public:
  virtual ~PayloadSource() = default;
  // Bytes [offset, offset + out.size()) of the sample's payload. For formats
  // that store all samples of a file as one array (npz), `sample` is 0 and the
  // offset runs over the whole array.
  virtual void Fill(std::uint64_t file, std::uint32_t sample,
                    std::uint64_t offset, std::span<std::byte> out) = 0;
};

struct ReaderOptions {
  // kReference: the reference's way of asking.
  // kLarge: the whole file front to back, in reads of `request` bytes.
  // kSample: what holds the wanted sample, in reads that end at multiples of
  //   `request`: the pages of 4096 bytes (hdf5, indexed_binary, npy, whose
  //   samples are all of the file) or all of these reads in whole (tfrecord).
  //   The file as kLarge where a sample has no place that the FileSpec tells
  //   (npz, csv, images).
  // kDirect: the whole file in one read rounded up to 4096 bytes, as the
  //   reference's O_DIRECT readers of npz and npy; no checksum is verified.
  enum class Style : std::uint8_t {
    kReference,
    kLarge,
    kSample,
    kDirect
  } style{};
  std::uint32_t unit = 4096;  // bytes, ReadLimits::preferred_unit
  // Bytes of a read; transfer_size. 0 with kLarge: the whole file in one.
  std::uint32_t request = 256U << 10;
  // Verify checksums the format carries.
  bool check = true;
  // Storage without real data: the layout comes from the FileSpec, nothing is
  // looked at.
  bool blind = false;
  // Compare the payload with this source (kCorruption where it differs). Not
  // owned; null: no comparison.
  PayloadSource* expect = nullptr;
};

// What to read next of one file, given what happened. Allocated once per lane
// and reset for each file: nothing is allocated per sample.
class ReaderProgram {
 public:
  struct Event {
    enum class Kind : std::uint8_t {
      kStart,   // after Reset
      kSize,    // answer to kSize
      kBytes,   // answer to kRead; fewer than asked: the file's end
      kResume,  // after kSampleReady: go on
    } kind = Kind::kStart;
    std::span<const std::byte> bytes;  // kBytes
    std::uint64_t size = 0;            // kSize, bytes of the file
  };
  struct Next {
    enum class Kind : std::uint8_t {
      kSize,         // ask for the file's size (fstat)
      kRead,         // read `length` bytes at `offset`
      kSampleReady,  // one more sample is whole
      kFileDone,
    } kind = Kind::kFileDone;
    std::uint64_t offset = 0;   // kRead: bytes from the file's start
    std::uint64_t length = 0;   // kRead: bytes wanted; 0 probes for the end
    std::uint64_t payload = 0;  // kSampleReady: bytes of the sample
    std::uint32_t sample = 0;   // kSampleReady: index in the file
  };
  virtual ~ReaderProgram() = default;
  // Begins file `file`; `sample` is the one wanted by formats that read a
  // single sample per visit (npz); the others deliver all. `name` is used in
  // messages and must stay valid until the next Reset.
  virtual void Reset(const FileSpec& file, std::uint32_t sample,
                     std::string_view name) = 0;
  // `bytes` of the event stay valid until Step answers kRead, kSize or
  // kFileDone. kCorruption names the file, the offset and what was expected
  // there.
  virtual core::Result<Next> Step(const Event& event) = 0;
  // No kRead of a file with this spec is longer, whichever sample is wanted, so
  // that buffers can be taken before the start. Does not depend on Reset.
  virtual std::uint64_t MaxRequest(const FileSpec& file) const = 0;
};

// Stateless; safe for concurrent use.
class Format {
 public:
  virtual ~Format() = default;
  virtual std::string_view name() const = 0;    // value of dataset.format
  virtual std::string_view suffix() const = 0;  // ".npz"
  // Exact size of the encoded file, bytes.
  virtual std::uint64_t FileBytes(const FileSpec& file) const = 0;
  // True if one visit of a file delivers all of its samples in order
  // (tfrecord); false if each visit is for one sample (npz).
  virtual bool streams_samples() const = 0;
  // False where `style` is not for this format (kDirect is for npz and npy).
  virtual bool Supports(ReaderOptions::Style style) const {
    return style != ReaderOptions::Style::kDirect;
  }
  // True: the reference maps the files into memory and so do its readers.
  virtual bool maps_files() const { return false; }
  // Objects that belong to each file, by what is appended to its name
  // (".off.idx"); made by EncodeSidecar, read once by a reader at its start.
  virtual std::span<const std::string_view> sidecars() const { return {}; }
  virtual std::uint64_t SidecarBytes(const FileSpec& /*file*/,
                                     std::size_t /*which*/) const {
    return 0;
  }
  // `which` is an index into sidecars(). Does not Commit.
  virtual core::Status EncodeSidecar(const FileSpec& /*file*/,
                                     std::size_t /*which*/,
                                     storage::WriteStream& /*out*/) const {
    return {};
  }
  // Does not Commit.
  virtual core::Status Encode(const FileSpec& file, PayloadSource& payload,
                              storage::WriteStream& out) const = 0;
  virtual std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const = 0;
};

}  // namespace stoker::formats
