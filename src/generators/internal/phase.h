#pragma once

// What the ranks do together.

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/status.h"

namespace stoker::generators::internal {

// All ranks get here, however their part went, at quite different times; each
// learns the error of the lowest failing rank.
core::Status EndPhase(comm::Communicator& comm, const core::Status& mine);

// kCancelled once the flag is set. `what`: "generate".
core::Status CheckCancel(const core::CancelFlag& cancel, std::string_view what);

// Numbers in messages.
void AppendWord(comm::Bytes& message, std::uint64_t word);
void AppendWords(comm::Bytes& message, std::span<const std::uint64_t> words);
// Takes them off the front in the same order. The message came from a rank of
// this program, so its form is not in doubt.
class WordReader {
 public:
  explicit WordReader(std::span<const std::byte> message) : rest_(message) {}
  std::uint64_t Word();
  std::vector<std::uint64_t> Words();
  std::span<const std::byte> Text();

 private:
  std::span<const std::byte> rest_;
};
void AppendText(comm::Bytes& message, std::string_view text);

// Sums over all ranks, at rank 0; elsewhere the numbers are the rank's own.
// Collective.
core::Result<std::vector<std::uint64_t>> SumAtRoot(
    comm::Communicator& comm, std::span<const std::uint64_t> mine);

}  // namespace stoker::generators::internal
