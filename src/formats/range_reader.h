#pragma once

// Reads a range of a file front to back. Who asks (the whole file, or where the
// wanted sample is) is apart from who knows what the bytes mean.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// Which bytes are read, and how they are cut into requests.
enum class RangeRule : std::uint8_t {
  kFile,          // the whole file, cut at multiples of the request
  kFileAtOnce,    // the whole file in one request rounded up to 4096 bytes
  kSamplePages,   // the sample, out to multiples of 4096, cut as kFile
  kSampleExactly  // the sample, cut from its first byte on
};

// Looks at the bytes of one visit. Where storage has no real data only Reset,
// FileBytes and ExtentOf are called.
class RangeContent {
 public:
  struct Extent {
    std::uint64_t begin = 0;  // [begin, end) of the file, bytes
    std::uint64_t end = 0;
  };

  virtual ~RangeContent() = default;
  virtual void Reset(const FileSpec& file, std::uint32_t sample) = 0;
  // Bytes of a file with this spec. Neither this nor the next depends on Reset.
  virtual std::uint64_t FileBytes(const FileSpec& file) const = 0;
  // What must be read for a sample alone: never empty, and equally long for all
  // samples of a file.
  virtual Extent ExtentOf(const FileSpec& file, std::uint32_t sample) const = 0;
  // The whole file will be read, and has `size` bytes.
  virtual core::Status TakeSize(std::uint64_t size) = 0;
  // `bytes` of the file at `offset`, where the last ones ended.
  virtual core::Status Take(std::uint64_t offset,
                            std::span<const std::byte> bytes) = 0;
  // After the last byte: bytes of the sample.
  virtual core::Result<std::uint64_t> Finish() = 0;
};

// One sample a visit, delivered once the whole range is read. Reading a whole
// file begins with a size query.
class RangeReader final : public ReaderProgram {
 public:
  // `request`: bytes of a request, 0: all in one (kFileAtOnce: always).
  RangeReader(const ReaderOptions& options, RangeRule rule,
              std::uint64_t request, std::unique_ptr<RangeContent> content);
  void Reset(const FileSpec& file, std::uint32_t sample,
             std::string_view name) override;
  core::Result<Next> Step(const Event& event) override;
  std::uint64_t MaxRequest(const FileSpec& file) const override;

 private:
  bool reads_file() const;
  core::Result<Next> TakeSize(std::uint64_t size);
  Next BeginFile(std::uint64_t size);
  Next BeginSample();
  Next Ask();
  core::Status TakeBytes(std::span<const std::byte> bytes);
  core::Result<Next> Deliver();

  RangeRule rule_;
  bool blind_;
  std::uint64_t request_;
  std::unique_ptr<RangeContent> content_;
  std::string_view name_;
  FileSpec file_;
  std::uint32_t sample_ = 0;
  std::uint64_t at_ = 0;  // of the request under way
  std::uint64_t asked_ = 0;
  std::uint64_t needed_end_ = 0;  // bytes up to here must be there
  std::uint64_t end_ = 0;         // and up to here are asked for
};

// The program of `options.style`, which must not be kReference.
std::unique_ptr<ReaderProgram> NewRangeReader(
    const ReaderOptions& options, std::unique_ptr<RangeContent> content);

// kCorruption where a file has more bytes than its spec says; requests as large
// as that file would not fit the buffers.
core::Status CheckNotLarger(std::uint64_t found, std::uint64_t planned);

// kCorruption where one read of a whole file, whose size was asked for, gave
// another number of bytes.
core::Status CheckOneRead(std::uint64_t found, std::uint64_t size, bool direct);

// kCorruption: `found` bytes arrived at `offset` where `wanted` must be.
core::Status EndsEarly(std::uint64_t offset, std::uint64_t wanted,
                       std::uint64_t found);

}  // namespace stoker::formats
