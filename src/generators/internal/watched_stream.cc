#include "generators/internal/watched_stream.h"

#include <utility>

namespace stoker::generators::internal {

WatchedStream::WatchedStream(const storage::WriteOptions& options,
                             core::Clock& clock, storage::WriteStream& inner,
                             const core::CancelFlag& cancel, OnPart on_part)
    : WriteStream(options, clock),
      inner_(inner),
      cancel_(cancel),
      on_part_(std::move(on_part)) {}

core::Result<std::span<std::byte>> WatchedStream::DoBuffer(
    std::uint64_t offset) {
  if (offset > 0 && inner_.position() == 0) {
    // Our base keeps the first part back, and so does the inner stream: what is
    // patched later is patched in its memory.
    STOKER_TRY(inner_.Append(offset));
  }
  on_part_(offset);
  if (cancel_.IsSet()) {
    return core::Status(core::Code::kCancelled, "asked to stop");
  }
  return inner_.Buffer();
}

core::Status WatchedStream::DoSend(std::uint64_t offset,
                                   std::span<const std::byte> part) {
  if (offset == 0 && inner_.position() > 0) {
    return {};  // appended when the second part was asked for
  }
  STOKER_TRY(inner_.Append(part.size()));
  return inner_.Cut();  // where our part was cut
}

core::Status WatchedStream::DoCommit(std::uint64_t /*size*/,
                                     storage::WriteTimes& times) {
  STOKER_ASSIGN(times, inner_.Commit());
  return {};
}

}  // namespace stoker::generators::internal
