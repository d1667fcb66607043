#pragma once

// Values as bytes, little-endian and without padding, for messages between
// ranks and for the spill file. Nothing stored outlives the run.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"

namespace stoker::metrics {

class PackedWriter {
 public:
  void U64(std::uint64_t value);
  void I64(std::int64_t value) { U64(static_cast<std::uint64_t>(value)); }
  void Span(core::Nanos value) { I64(value.count()); }
  void Point(core::TimePoint value) { Span(value.time_since_epoch()); }
  void Text(std::string_view text);

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// Reads what PackedWriter wrote. Past the end every value is 0 or "" and
// complete() is false.
class PackedReader {
 public:
  explicit PackedReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::uint64_t U64();
  std::uint32_t U32() { return static_cast<std::uint32_t>(U64()); }
  std::int64_t I64() { return static_cast<std::int64_t>(U64()); }
  bool Bool() { return U64() != 0; }
  core::Nanos Span() { return core::Nanos(I64()); }
  core::TimePoint Point() { return core::TimePoint(Span()); }
  std::string Text();
  // A number of items that each take at least `item_bytes`; 0 and not
  // complete() if the rest cannot hold them.
  std::size_t Count(std::size_t item_bytes);

  // All was there and all was read.
  bool complete() const { return !short_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool short_ = false;
};

}  // namespace stoker::metrics
