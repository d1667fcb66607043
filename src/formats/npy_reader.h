#pragma once

// How an npy file is read for one sample of it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/status.h"
#include "formats/buffered_file.h"
#include "formats/format.h"
#include "formats/npz_layout.h"
#include "formats/payload_io.h"
#include "formats/range_reader.h"

namespace stoker::formats {

// Header and array as their bytes arrive. What is inside the file counts (its
// shape, not the FileSpec's), except that the two must agree when the payload
// is compared. Nothing but the length guards the array.
class NpyContent final : public RangeContent {
 public:
  // Null: no comparison. Not owned.
  explicit NpyContent(PayloadSource* expect) : comparer_(expect) {}
  void Reset(const FileSpec& file, std::uint32_t sample) override;
  std::uint64_t FileBytes(const FileSpec& file) const override;
  Extent ExtentOf(const FileSpec& file,
                  std::uint32_t /*sample*/) const override {
    return {0, FileBytes(file)};
  }
  core::Status TakeSize(std::uint64_t size) override;
  // What was seen before is skipped.
  core::Status Take(std::uint64_t offset,
                    std::span<const std::byte> bytes) override;
  core::Result<std::uint64_t> Finish() override;

  // 0: not yet known.
  std::uint64_t header_bytes() const { return layout_.header_bytes; }
  std::uint64_t file_bytes() const { return layout_.member_bytes; }
  // What the start of the header says; 0: too little of it was seen.
  core::Result<std::uint64_t> AnnouncedHeaderBytes() const;

 private:
  core::Status TakeHeader(std::span<const std::byte> bytes);

  PayloadComparer comparer_;
  FileSpec file_;
  std::uint32_t sample_ = 0;
  npz::Layout layout_;      // its member is the whole file
  std::uint64_t next_ = 0;  // file offset of the first byte not yet seen
  std::array<std::byte, npz::kMaxNpyBytes> header_;
  std::size_t gathered_ = 0;
};

// Asks as numpy.load(name) does under CPython 3.11 and glibc: the header
// through a buffer of `unit` bytes, then the array by fread on a duplicate of
// the descriptor, whose stream seeks to the array with two more reads.
class NpyReferenceReader final : public ReaderProgram {
 public:
  explicit NpyReferenceReader(const ReaderOptions& options);
  void Reset(const FileSpec& file, std::uint32_t sample,
             std::string_view name) override;
  core::Result<Next> Step(const Event& event) override;
  std::uint64_t MaxRequest(const FileSpec& file) const override;

 private:
  enum class Stage : std::uint8_t {
    kPrefix,  // magic, version and length of the header
    kHeader,  // the rest of it
    kSeek,    // the stream's first seek reads up to the array
    kFill,    // the second one fills its buffer
    kData,
  };

  core::Result<Next> TakeSize(std::uint64_t size);
  core::Result<Next> TakeBytes(std::span<const std::byte> bytes);
  core::Result<Next> TakeHeaderBytes(std::uint64_t got);
  Next AskHeader();
  core::Result<Next> BeginArray();
  core::Result<Next> NextData();
  core::Result<Next> Deliver();
  Next Ask(std::uint64_t offset, std::uint64_t length);
  std::uint64_t header_bytes() const;
  std::uint64_t file_bytes() const;

  bool blind_;
  std::uint64_t unit_;
  std::uint64_t block_;  // of the stream's buffer
  NpyContent content_;
  std::string_view name_;
  std::uint32_t sample_ = 0;
  std::uint64_t sample_bytes_ = 0;  // by the spec
  Stage stage_ = Stage::kPrefix;
  BufferedFile buffered_;
  std::uint64_t at_ = 0;  // of the read under way
  std::uint64_t asked_ = 0;
};

}  // namespace stoker::formats
