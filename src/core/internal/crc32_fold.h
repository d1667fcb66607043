#pragma once

// CRC-32 by carry-less multiplication of 256-bit registers, for processors that
// have it without AVX-512, where ISA-L works in 128 bits.

#include <cstddef>
#include <cstdint>
#include <span>

namespace stoker::core::internal {

// Least size of `data` for FoldCrc32.
inline constexpr std::size_t kLeastFold = 256;

// Whether this processor has what FoldCrc32 needs.
bool CanFoldCrc32();

// Whether besides ISA-L has nothing wider for it: FoldCrc32 is the faster.
bool FoldsCrc32();

// As Crc32. Only where CanFoldCrc32(), with kLeastFold bytes or more. Processes
// all but a rest below 128 bytes, which is left in `data`; what is returned is
// the CRC of the bytes before.
std::uint32_t FoldCrc32(std::span<const std::byte>& data, std::uint32_t seed);

}  // namespace stoker::core::internal
