#pragma once

// Readers of files that are read whole. Who asks (front to back in equal
// requests, or as a file object under the reference's library) is apart from
// who looks at the bytes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/status.h"
#include "formats/buffered_file.h"
#include "formats/format.h"

namespace stoker::formats {

// What a library asks of its file object next.
struct FileAsk {
  enum class Kind : std::uint8_t {
    kRead,    // read(bytes) through the buffer
    kRaw,     // a system read of `bytes`, past the buffer
    kRewind,  // seek(0)
    kEnd,     // nothing more
  } kind = Kind::kEnd;
  std::uint64_t bytes = 0;
};

// What was last asked, and what it gave.
struct FileAsked {
  std::uint64_t position = 0;  // behind it
  std::uint64_t asked = 0;     // bytes; 0 at the start and after kRewind
  std::uint64_t got = 0;       // fewer than asked: the file's end
  bool at_planned_end = false;
};

// Looks at the bytes of a file as they go by, each of them once and in order.
class FileContent {
 public:
  virtual ~FileContent() = default;
  // `planned` is Format::FileBytes.
  virtual core::Status Begin(const FileSpec& file, std::uint32_t sample,
                             std::uint64_t planned) = 0;
  virtual core::Status Take(std::uint64_t offset,
                            std::span<const std::byte> bytes) = 0;
  // In place of Take where storage has no real data.
  virtual void Skip(std::uint64_t /*bytes*/) {}
  // Asked where as many bytes as planned went by: false if there must be more.
  virtual bool MayEnd() const = 0;
  // The file has ended after `size` bytes.
  virtual core::Status Finish(std::uint64_t size) = 0;
  // Bytes of the sample, once finished.
  virtual std::uint64_t payload() const = 0;
  // For Style::kReference.
  virtual FileAsk NextAsk(const FileAsked& last) = 0;
};

// One sample a visit, delivered after the last byte. kLarge and kSample need no
// size query except with request 0.
class WholeFileReader final : public ReaderProgram {
 public:
  // `format` must outlive the reader. `reference_max`: the largest read that
  // `content` makes the file object issue.
  WholeFileReader(const ReaderOptions& options, const Format& format,
                  std::uint64_t reference_max,
                  std::unique_ptr<FileContent> content);
  void Reset(const FileSpec& file, std::uint32_t sample,
             std::string_view name) override;
  core::Result<Next> Step(const Event& event) override;
  std::uint64_t MaxRequest(const FileSpec& file) const override;

 private:
  using Style = ReaderOptions::Style;

  bool needs_size() const;
  core::Result<Next> TakeSize(std::uint64_t size);
  core::Result<Next> TakeWhole(std::span<const std::byte> bytes);
  core::Result<Next> TakeRequest(std::span<const std::byte> bytes);
  core::Result<Next> TakeAnswer(std::span<const std::byte> bytes);
  core::Result<Next> Advance();
  core::Status Deliver();
  bool BeginAsk();
  std::uint64_t Arrived(std::span<const std::byte> bytes) const;
  core::Result<Next> Read(std::uint64_t offset, std::uint64_t length);
  core::Result<Next> End(std::uint64_t size);

  ReaderOptions options_;
  const Format& format_;
  std::uint64_t reference_max_;
  std::unique_ptr<FileContent> content_;
  std::string_view name_;
  std::uint32_t sample_ = 0;
  std::uint64_t planned_ = 0;
  core::Status begun_;
  std::uint64_t size_ = 0;       // answer to the size query
  BufferedFile::RawRead asked_;  // the system read under way
  std::uint64_t position_ = 0;   // bytes given to content_, from the start
  // kReference.
  BufferedFile file_;
  FileAsked last_;
  bool raw_ = false;                 // the ask under way goes past the buffer
  std::span<const std::byte> span_;  // arrived at span_offset_
  std::uint64_t span_offset_ = 0;
};

}  // namespace stoker::formats
