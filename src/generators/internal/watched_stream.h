#pragma once

// A write stream on top of another that looks up between parts.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/write_stream.h"

namespace stoker::generators::internal {

// Hands out `inner`'s own memory, so nothing is copied. `inner` was made with
// the same options, is fresh, and is committed by this stream's Commit; it is
// not owned, and its counters are the ones to read. Once the cancel flag is set
// the next part is refused with kCancelled.
class WatchedStream final : public storage::WriteStream {
 public:
  // Called before each part with the bytes that are in place.
  using OnPart = std::function<void(std::uint64_t bytes)>;
  WatchedStream(const storage::WriteOptions& options, core::Clock& clock,
                storage::WriteStream& inner, const core::CancelFlag& cancel,
                OnPart on_part);

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override;
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override;
  core::Status DoCommit(std::uint64_t size,
                        storage::WriteTimes& times) override;

  storage::WriteStream& inner_;
  const core::CancelFlag& cancel_;
  OnPart on_part_;
};

}  // namespace stoker::generators::internal
