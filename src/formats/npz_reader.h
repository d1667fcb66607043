#pragma once

// How an npz file is read for one sample of it.

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

namespace stoker::formats {

// The array's member as its bytes arrive: checksum, header and payload. What is
// inside the file counts (its shape, not the FileSpec's), except that the two
// must agree when the payload is compared.
class NpzMember {
 public:
  explicit NpzMember(const ReaderOptions& options);
  void Reset(const FileSpec& file, std::uint32_t sample);
  // The member's place is known from here on.
  void Begin(const npz::Layout& layout);
  // Bytes at `offset` of the file; what was seen before is skipped. `header` is
  // what is known of the member's start.
  core::Status Take(std::uint64_t offset, npz::Bytes bytes, npz::Bytes header,
                    npz::Layout& layout);
  // After the last byte: the checksum, and that the sample exists.
  core::Status Finish(const npz::Layout& layout) const;
  bool header_known() const { return header_known_; }

 private:
  core::Status TakeHeader(npz::Bytes header, npz::Layout& layout);

  bool check_;
  PayloadComparer comparer_;
  FileSpec file_;
  std::uint32_t sample_ = 0;
  bool begun_ = false;
  bool header_known_ = false;
  std::uint64_t next_ = 0;  // file offset of the first byte not yet seen
  std::uint32_t crc_ = 0;
};

// Asks as numpy.load(name)["x"] does under CPython 3.11: the magic, the end of
// the archive, its directory, the array's header twice, then 256 KiB at a time
// through a buffer of `unit` bytes; each read waits for the one before.
class NpzReferenceReader final : public ReaderProgram {
 public:
  explicit NpzReferenceReader(const ReaderOptions& options);
  void Reset(const FileSpec& file, std::uint32_t sample,
             std::string_view name) override;
  core::Result<Next> Step(const Event& event) override;
  std::uint64_t MaxRequest(const FileSpec& file) const override;

 private:
  // The read of the file object that is under way, or was the last.
  enum class Stage : std::uint8_t {
    kSniff,      // numpy looks for "PK"
    kSize,       // zipfile seeks to the end
    kEnd,        // end-of-directory record
    kLocator,    // is there a zip64 locator?
    kEnd64,      // zip64 end-of-directory record
    kDirectory,  // all of it
    kLocal,      // local header
    kName,       // its name
    kExtra,      // its extra fields
    kHeader,     // zipfile's first 4 KiB of the member: array header and more
    kData,       // the rest
    kDone,
  };

  core::Result<Next> Advance();
  core::Result<Next> AskForSize();
  core::Status TakeBytes(npz::Bytes bytes);
  core::Status TakeSpan();
  // The read of stage_ is complete: looks at it and begins the next one.
  core::Status Proceed();
  core::Status ProceedInMember();
  void Await(Stage stage, std::uint64_t bytes);
  void Collect(std::uint64_t offset, std::uint64_t bytes);
  core::Status TakeSize(std::uint64_t size);
  core::Status TakeDirectory();
  void OpenMember();
  core::Status TakeHeader();
  core::Status NextData();
  npz::Bytes collected() const;
  core::Status Wrap(const core::Status& status) const;

  ReaderOptions options_;
  std::string_view name_;
  std::uint32_t sample_ = 0;
  npz::Layout layout_;
  BufferedFile file_;
  BufferedFile::RawRead asked_;
  NpzMember member_;
  npz::Bytes span_;  // arrived at asked_.offset, not yet given to member_
  // A record being put together, from collect_at_ of the file on.
  std::array<std::byte, 8192> record_;
  std::uint64_t collect_at_ = 0;
  std::size_t collect_bytes_ = 0;
  std::size_t collected_ = 0;
  Stage stage_ = Stage::kSniff;
  bool opened_before_ = false;
  std::uint64_t unzipped_ = 0;   // payload bytes in zipfile's own buffer
  std::uint64_t delivered_ = 0;  // payload bytes numpy has
};

}  // namespace stoker::formats
