#pragma once

// The marker segments of a JPEG stream (ITU-T T.81, annex B).

#include <array>
#include <cstddef>
#include <cstdint>

namespace stoker::formats::jpeg {

inline constexpr std::byte kPrefix{0xFF};  // every marker's first byte
inline constexpr std::byte kStartOfImage{0xD8};
inline constexpr std::byte kStartOfScan{0xDA};
inline constexpr std::byte kApp15{0xEF};
inline constexpr std::byte kComment{0xFE};
inline constexpr std::array<std::byte, 2> kEndOfImage = {kPrefix,
                                                         std::byte{0xD9}};

inline constexpr std::size_t kSegmentHead = 4;  // marker and length
inline constexpr std::size_t kCrcBytes = 4;     // behind the stamp

// Marker and length of a segment; `length` counts itself and what follows.
constexpr std::array<std::byte, kSegmentHead> SegmentHead(
    std::byte marker, std::uint64_t length) {
  return {kPrefix, marker, static_cast<std::byte>(length >> 8),
          static_cast<std::byte>(length)};
}

// Markers that stand alone: TEM, RST0 … RST7.
constexpr bool StandsAlone(std::byte marker) {
  return marker == std::byte{0x01} ||
         (marker & std::byte{0xF8}) == std::byte{0xD0};
}

}  // namespace stoker::formats::jpeg
