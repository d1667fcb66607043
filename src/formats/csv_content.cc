#include "formats/csv_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace stoker::formats {
namespace {

constexpr std::uint64_t kTextChunk = 8192;  // io.TextIOWrapper's smallest read

// Eight bytes at a time: a byte of `differs` is 0 where there is a comma, and
// the highest bit of each byte of `others` is set where it is not.
std::uint64_t CountCommas(std::span<const std::byte> bytes) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kLow = 0x7F * kOnes;
  std::uint64_t commas = 0;
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    const std::uint64_t differs = word ^ (',' * kOnes);
    const std::uint64_t others = ((differs & kLow) + kLow) | differs;
    commas += static_cast<std::uint64_t>(std::popcount(~others & ~kLow));
  }
  return commas + static_cast<std::uint64_t>(
                      std::ranges::count(bytes.subspan(at), std::byte{','}));
}

}  // namespace

CsvContent::CsvContent(const ReaderOptions& options, const Format& format)
    : check_(options.check),
      blind_(options.blind),
      comparer_(format, options.expect) {}

core::Status CsvContent::Begin(const FileSpec& file, std::uint32_t sample,
                               std::uint64_t) {
  file_ = file;
  sample_ = sample;
  lines_ = commas_ = 0;
  ended_line_ = false;
  return blind_ ? core::Status() : comparer_.Begin(file);
}

core::Status CsvContent::Take(std::uint64_t offset,
                              std::span<const std::byte> bytes) {
  STOKER_TRY(comparer_.Compare(offset, bytes));
  if (bytes.empty()) {
    return {};
  }
  ended_line_ = bytes.back() == std::byte{'\n'};
  while (check_ && !bytes.empty()) {
    const void* found = std::memchr(bytes.data(), '\n', bytes.size());
    const std::size_t length =
        found == nullptr
            ? bytes.size()
            : static_cast<std::size_t>(static_cast<const std::byte*>(found) -
                                       bytes.data());
    commas_ += CountCommas(bytes.first(length));
    if (found == nullptr) {
      break;
    }
    STOKER_TRY(EndLine(offset + length));
    offset += length + 1;
    bytes = bytes.subspan(length + 1);
  }
  return {};
}

core::Status CsvContent::EndLine(std::uint64_t offset) {
  const std::uint64_t found = commas_;
  commas_ = 0;
  if (found != file_.sample_bytes()) {
    return {core::Code::kCorruption,
            fmt::format("line {} ends at offset {} after {} commas, expected "
                        "{}: one before each value",
                        lines_, offset, found, file_.sample_bytes())};
  }
  ++lines_;
  return {};
}

core::Status CsvContent::Finish(std::uint64_t size) {
  STOKER_TRY(comparer_.Finish(size));
  if (!ended_line_) {
    return {core::Code::kCorruption,
            fmt::format("the file ends at offset {} within line {}, expected a "
                        "newline",
                        size, lines_)};
  }
  const std::uint64_t expected = std::uint64_t{file_.samples} + 1;
  if (check_ && lines_ != expected) {
    return {core::Code::kCorruption,
            fmt::format("the file ends at offset {} after {} lines, expected "
                        "{}: a header and one per sample",
                        size, lines_, expected)};
  }
  return {};
}

FileAsk CsvContent::NextAsk(const FileAsked& last) {
  if (last.asked == 0) {
    chunk_left_ = kPandasChunk;
  } else if (last.got == 0) {
    if (chunk_left_ == kPandasChunk) {
      return {};
    }
    chunk_left_ = kPandasChunk;
  } else {
    chunk_left_ -= std::min(chunk_left_, last.got);
    chunk_left_ = chunk_left_ == 0 ? kPandasChunk : chunk_left_;
  }
  return {FileAsk::Kind::kRaw, std::max(chunk_left_, kTextChunk)};
}

}  // namespace stoker::formats
