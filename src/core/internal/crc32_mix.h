#pragma once

// CRC-32 where carry-less multiplication is the slowest part of folding, as in
// AMD's Zen 3 (one product of 256-bit registers in two cycles, no AVX-512): a
// half of the text is folded, the other half moved by exclusive or alone.

#include <cstddef>
#include <cstdint>
#include <span>

namespace stoker::core::internal {

// Bytes of a round, and least size of `data` for MixCrc32: what begin and end
// of a call take is paid for by then.
inline constexpr std::size_t kMixRound = 300 * 32;
inline constexpr std::size_t kLeastMix = 4 * kMixRound + 31;

// Whether this processor's fastest is MixCrc32, which it has if CanFoldCrc32().
bool MixesCrc32();

// As Crc32. Only where CanFoldCrc32(), with kLeastMix bytes or more. Processes
// all but a rest below kMixRound bytes, which is left in `data`; what is
// returned is the CRC of the bytes before. Takes 20 KiB of stack.
std::uint32_t MixCrc32(std::span<const std::byte>& data, std::uint32_t seed);

}  // namespace stoker::core::internal
