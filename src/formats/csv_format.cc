#include "formats/csv_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "formats/csv_content.h"
#include "formats/whole_file.h"

namespace stoker::formats {
namespace {

constexpr std::uint64_t kValueBytes = 4;   // a comma and three digits
constexpr std::size_t kPiece = 16U << 10;  // values made at once

using Word = std::array<char, kValueBytes>;

// ",100" … ",254": byte b of the content is 100 + ⌊155 b / 256⌋.
constexpr std::array<Word, 256> MakeWords() {
  std::array<Word, 256> words{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const unsigned value = 100 + 155 * byte / 256;
    words[byte] = {',', static_cast<char>('0' + value / 100),
                   static_cast<char>('0' + value / 10 % 10),
                   static_cast<char>('0' + value % 10)};
  }
  return words;
}

constexpr std::array<Word, 256> kWords = MakeWords();

// Text in pieces.
class TextWriter {
 public:
  explicit TextWriter(storage::WriteStream& out) : out_(out) {
    text_.reserve(kValueBytes * kPiece);
  }

  core::Status Put(std::string_view text) {
    if (text_.size() + text.size() > text_.capacity()) {
      STOKER_TRY(Flush());
    }
    text_ += text;
    return {};
  }
  core::Status Flush() {
    STOKER_TRY(out_.Write(std::as_bytes(std::span(text_))));
    text_.clear();
    return {};
  }

 private:
  storage::WriteStream& out_;
  std::string text_;
};

// ",0,1,2,…"
core::Status PutLabels(std::uint64_t count, TextWriter& text) {
  std::string label = ",0";
  for (std::uint64_t i = 0; i < count; ++i) {
    STOKER_TRY(text.Put(label));
    std::size_t digit = label.size() - 1;
    for (; digit > 0 && label[digit] == '9'; --digit) {
      label[digit] = '0';
    }
    if (digit == 0) {
      label.insert(1, 1, '1');
    } else {
      ++label[digit];
    }
  }
  return text.Put("\n");
}

core::Status WriteValues(const FileSpec& file, PayloadSource& payload,
                         storage::WriteStream& out) {
  std::vector<std::byte> content(kPiece);
  std::vector<char> text(kPiece * kValueBytes);
  for (std::uint64_t at = 0; at < file.sample_bytes();) {
    const std::size_t count =
        std::min<std::uint64_t>(kPiece, file.sample_bytes() - at);
    payload.Fill(file.index, 0, at, std::span(content).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(text.data() + kValueBytes * i,
                  kWords[std::to_integer<std::size_t>(content[i])].data(),
                  kValueBytes);
    }
    STOKER_TRY(
        out.Write(std::as_bytes(std::span(text).first(kValueBytes * count))));
    at += count;
  }
  return {};
}

}  // namespace

std::uint64_t CsvFormat::FileBytes(const FileSpec& file) const {
  const std::uint64_t columns = file.sample_bytes();
  const std::uint64_t labels = columns + DigitsBelow(columns) + 1;
  return labels + DigitsBelow(file.samples) +
         file.samples * (kValueBytes * columns + 1);
}

core::Status CsvFormat::Encode(const FileSpec& file, PayloadSource& payload,
                               storage::WriteStream& out) const {
  TextWriter text(out);
  STOKER_TRY(PutLabels(file.sample_bytes(), text));
  for (std::uint32_t row = 0; row < file.samples; ++row) {
    STOKER_TRY(text.Put(std::to_string(row)));
    STOKER_TRY(text.Flush());
    STOKER_TRY(WriteValues(file, payload, out));
    STOKER_TRY(text.Put("\n"));
  }
  return text.Flush();
}

std::unique_ptr<ReaderProgram> CsvFormat::NewReader(
    const ReaderOptions& options) const {
  return std::make_unique<WholeFileReader>(
      options, *this, kPandasChunk,
      std::make_unique<CsvContent>(options, *this));
}

}  // namespace stoker::formats
