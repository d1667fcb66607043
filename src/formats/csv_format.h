#pragma once

// csv: as pandas writes a frame of identical rows. Documented in
// docs/formats.md.

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// A row is a sample of rows · columns values. One visit is for one sample, but
// reads the whole file (quirk Q15).
class CsvFormat final : public Format {
 public:
  std::string_view name() const override { return "csv"; }
  std::string_view suffix() const override { return ".csv"; }
  std::uint64_t FileBytes(const FileSpec& file) const override;
  bool streams_samples() const override { return false; }
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;
};

// Decimal digits of 0, 1, … count - 1 together.
constexpr std::uint64_t DigitsBelow(std::uint64_t count) {
  std::uint64_t digits = count;  // one each at least
  for (std::uint64_t power = 10; power < count; power *= 10) {
    digits += count - power;
    if (power > UINT64_MAX / 10) {
      break;
    }
  }
  return digits;
}

}  // namespace stoker::formats
