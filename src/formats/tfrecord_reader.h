#pragma once

// How a tfrecord file is read: front to back, all records.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/status.h"
#include "formats/example_wire.h"
#include "formats/format.h"
#include "formats/payload_io.h"

namespace stoker::formats {

inline constexpr std::uint64_t kRecordHeaderBytes = 12;  // length and its CRC
inline constexpr std::uint64_t kRecordFooterBytes = 4;   // CRC of the message

// Reference style: requests of `request` bytes at consecutive offsets whatever
// the records' size, as a buffered stream asks, and one more at the end of the
// file that returns nothing. Large style: the same without the last one; with
// request 0 the size, then the whole file in one read. Sample style: the
// requests, at multiples of their size, that hold the wanted record, whose
// place follows from the FileSpec. Records are parsed as their bytes arrive and
// never put together.
class TfrecordReader final : public ReaderProgram {
 public:
  explicit TfrecordReader(const ReaderOptions& options);
  void Reset(const FileSpec& file, std::uint32_t sample,
             std::string_view name) override;
  core::Result<Next> Step(const Event& event) override;
  std::uint64_t MaxRequest(const FileSpec& file) const override;

 private:
  // The part of a record that comes next.
  enum class Part : std::uint8_t { kHeader, kHead, kBody, kFooter };

  bool reference() const;
  bool one_record() const;
  bool one_read() const;
  core::Result<Next> BeginSample();
  bool Satisfied() const;
  core::Result<Next> Begin();
  core::Result<Next> TakeSize(std::uint64_t size);
  core::Result<Next> TakeBytes(std::span<const std::byte> bytes);
  core::Result<Next> Resume();
  core::Result<Next> Parse();
  core::Result<Next> NextBlind();
  core::Result<Next> Refill();
  core::Result<Next> AtEnd();
  core::Result<Next> Truncated(std::uint64_t end) const;
  Next Ready(std::uint64_t payload);
  // Moves bytes to scratch_ until it holds `bytes`; false: more must arrive.
  bool Gather(std::size_t bytes);
  core::Status TakeHeader();
  core::Status TakeHead();
  core::Status TakeBody();
  core::Status TakeFooter();
  // Compares what lies at message offset `at` with the expected payload.
  core::Status CompareImage(std::uint64_t at, std::span<const std::byte> bytes);
  std::uint64_t parsed() const { return next_offset_ - span_.size(); }
  core::Status Corrupt(std::string_view what) const;

  ReaderOptions options_;
  PayloadComparer comparer_;
  FileSpec file_;
  std::string_view name_;
  std::uint32_t end_record_ = 0;     // behind the last one wanted
  std::uint64_t record_bytes_ = 0;   // planned, of each record, framed
  std::uint64_t skip_ = 0;           // bytes before the wanted record
  std::uint64_t next_offset_ = 0;    // of the next request
  std::uint64_t asked_ = 0;          // bytes of the last request
  bool at_end_ = false;              // no more bytes will come
  std::span<const std::byte> span_;  // arrived and not yet parsed

  std::uint32_t record_ = 0;  // index of the one being parsed
  std::uint64_t record_offset_ = 0;
  Part part_ = Part::kHeader;
  std::array<std::byte, kExampleHead> scratch_;
  std::size_t gathered_ = 0;
  std::uint64_t message_bytes_ = 0;
  std::uint64_t message_done_ = 0;
  ImageField image_;
  std::uint32_t crc_ = 0;
};

}  // namespace stoker::formats
