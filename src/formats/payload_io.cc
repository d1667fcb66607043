#include "formats/payload_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace stoker::formats {
namespace {

// Small enough to stay in the second-level cache between filling and checking.
constexpr std::uint64_t kPiece = 256U << 10;

core::Status Difference(const PayloadRange& range, std::uint64_t offset,
                        std::uint64_t file_offset, std::byte wanted,
                        std::byte found) {
  return {
      core::Code::kCorruption,
      fmt::format("payload of sample {} differs at offset {} of the array "
                  "(file offset {}): expected byte {}, found {}",
                  range.sample, offset, file_offset,
                  std::to_integer<int>(wanted), std::to_integer<int>(found))};
}

}  // namespace

core::Result<std::uint32_t> StreamPayload(const PayloadRange& range,
                                          PayloadSource& payload,
                                          CrcFunction crc, std::uint32_t seed,
                                          storage::WriteStream& out) {
  for (std::uint64_t offset = 0; offset < range.bytes;) {
    STOKER_ASSIGN(std::span<std::byte> room, out.Buffer());
    const auto length = static_cast<std::size_t>(
        std::min<std::uint64_t>({room.size(), range.bytes - offset, kPiece}));
    room = room.first(length);
    payload.Fill(range.file, range.sample, range.begin + offset, room);
    seed = crc(room, seed);
    STOKER_TRY(out.Append(length));
    offset += length;
  }
  return seed;
}

core::Status StreamPayload(const PayloadRange& range, PayloadSource& payload,
                           storage::WriteStream& out) {
  return StreamPayload(
             range, payload,
             [](std::span<const std::byte>, std::uint32_t seed) {
               return seed;
             },
             0, out)
      .status();
}

core::Status StreamZeros(std::uint64_t bytes, storage::WriteStream& out) {
  while (bytes > 0) {
    STOKER_ASSIGN(std::span<std::byte> room, out.Buffer());
    room = room.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), bytes)));
    std::ranges::fill(room, std::byte{0});
    STOKER_TRY(out.Append(room.size()));
    bytes -= room.size();
  }
  return {};
}

PayloadComparer::PayloadComparer(PayloadSource* expect)
    : expect_(expect), wanted_(expect == nullptr ? 0 : kPiece) {}

core::Status PayloadComparer::Compare(const PayloadRange& range,
                                      std::uint64_t offset,
                                      std::uint64_t file_offset,
                                      std::span<const std::byte> actual) {
  if (expect_ == nullptr) {
    return {};
  }
  for (std::size_t done = 0; done < actual.size();) {
    const std::size_t length = std::min(actual.size() - done, wanted_.size());
    const std::span<std::byte> wanted = std::span(wanted_).first(length);
    const std::span<const std::byte> found = actual.subspan(done, length);
    expect_->Fill(range.file, range.sample, offset + done, wanted);
    if (std::memcmp(wanted.data(), found.data(), length) != 0) {
      const auto at = static_cast<std::size_t>(
          std::ranges::mismatch(wanted, found).in1 - wanted.begin());
      return Difference(range, offset + done + at, file_offset + done + at,
                        wanted[at], found[at]);
    }
    done += length;
  }
  return {};
}

}  // namespace stoker::formats
