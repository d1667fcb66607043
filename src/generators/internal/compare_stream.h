#pragma once

// A write stream that compares instead of storing.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/clock.h"
#include "core/status.h"
#include "generators/internal/read_ahead.h"
#include "storage/write_stream.h"

namespace stoker::generators::internal {

// What is written must be what `ahead`'s current object holds. kCorruption
// names the first byte that differs, of each piece; the first piece comes last,
// at Commit. `memory` is for two pieces; nothing is owned.
class CompareStream final : public storage::WriteStream {
 public:
  CompareStream(core::Clock& clock, ReadAhead& ahead,
                std::span<std::byte> memory);

  // The first byte that differs, once one was found.
  std::optional<std::uint64_t> differs_at() const { return differs_at_; }

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override;
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override;
  core::Status DoCommit(std::uint64_t size,
                        storage::WriteTimes& times) override;
  core::Status TakeFirst();
  core::Status Compare(std::uint64_t offset, std::span<const std::byte> wanted,
                       std::span<const std::byte> found);

  ReadAhead& ahead_;
  std::span<std::byte> memory_;
  std::span<const std::byte> first_;
  bool has_first_ = false;
  bool longer_ = false;
  std::optional<std::uint64_t> differs_at_;
};

}  // namespace stoker::generators::internal
