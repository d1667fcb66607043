#pragma once

// What is looked at of a csv file as its bytes go by.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/status.h"
#include "formats/file_comparer.h"
#include "formats/format.h"
#include "formats/whole_file.h"

namespace stoker::formats {

// What pandas' parser asks its text file for at once, characters.
inline constexpr std::uint64_t kPandasChunk = 256U << 10;

// With `check`: a header and a line per sample, each with a comma before every
// value and a newline at its end. The values themselves are not looked at: the
// format has no checksum. Asks as pandas.read_csv does through a text file of
// CPython 3.11.
class CsvContent final : public FileContent {
 public:
  CsvContent(const ReaderOptions& options, const Format& format);
  core::Status Begin(const FileSpec& file, std::uint32_t sample,
                     std::uint64_t planned) override;
  core::Status Take(std::uint64_t offset,
                    std::span<const std::byte> bytes) override;
  bool MayEnd() const override { return ended_line_; }
  core::Status Finish(std::uint64_t size) override;
  std::uint64_t payload() const override { return file_.sample_bytes(); }
  FileAsk NextAsk(const FileAsked& last) override;

 private:
  core::Status EndLine(std::uint64_t offset);

  bool check_;
  bool blind_;
  FileComparer comparer_;
  FileSpec file_;
  std::uint32_t sample_ = 0;
  std::uint64_t lines_ = 0;       // whole ones
  std::uint64_t commas_ = 0;      // of the line that has begun
  bool ended_line_ = false;       // the last byte was a newline
  std::uint64_t chunk_left_ = 0;  // of the chunk that pandas is asking for
};

}  // namespace stoker::formats
