#include "generators/internal/phase.h"

#include <fmt/format.h>

#include <cstring>

#include "core/check.h"

namespace stoker::generators::internal {

namespace {

// Ranks may be done with their shares at quite different times.
constexpr core::Nanos kPhaseTimeout = std::chrono::hours(24 * 30);
constexpr std::size_t kWord = sizeof(std::uint64_t);

}  // namespace

core::Status EndPhase(comm::Communicator& comm, const core::Status& mine) {
  const core::Status met = comm.Barrier(kPhaseTimeout);
  if (!met.ok()) {
    return mine.ok() ? met : mine;
  }
  return comm::Agree(comm, mine);
}

core::Status CheckCancel(const core::CancelFlag& cancel,
                         std::string_view what) {
  if (cancel.IsSet()) {
    return {core::Code::kCancelled, fmt::format("{}: asked to stop", what)};
  }
  return {};
}

void AppendWord(comm::Bytes& message, std::uint64_t word) {
  const auto bytes = std::as_bytes(std::span(&word, 1));
  message.insert(message.end(), bytes.begin(), bytes.end());
}

void AppendWords(comm::Bytes& message, std::span<const std::uint64_t> words) {
  AppendWord(message, words.size());
  const auto bytes = std::as_bytes(words);
  message.insert(message.end(), bytes.begin(), bytes.end());
}

void AppendText(comm::Bytes& message, std::string_view text) {
  AppendWord(message, text.size());
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  message.insert(message.end(), bytes.begin(), bytes.end());
}

std::uint64_t WordReader::Word() {
  STOKER_CHECK(rest_.size() >= kWord);
  std::uint64_t word = 0;
  std::memcpy(&word, rest_.data(), kWord);
  rest_ = rest_.subspan(kWord);
  return word;
}

std::vector<std::uint64_t> WordReader::Words() {
  std::vector<std::uint64_t> words(Word());
  STOKER_CHECK(rest_.size() >= kWord * words.size());
  if (!words.empty()) {
    std::memcpy(words.data(), rest_.data(), kWord * words.size());
  }
  rest_ = rest_.subspan(kWord * words.size());
  return words;
}

std::span<const std::byte> WordReader::Text() {
  const std::uint64_t size = Word();
  STOKER_CHECK(rest_.size() >= size);
  const std::span<const std::byte> text = rest_.first(size);
  rest_ = rest_.subspan(size);
  return text;
}

core::Result<std::vector<std::uint64_t>> SumAtRoot(
    comm::Communicator& comm, std::span<const std::uint64_t> mine) {
  STOKER_ASSIGN(const std::vector<comm::Bytes> all,
                comm.Gather(std::as_bytes(mine), 0));
  std::vector<std::uint64_t> sums(mine.begin(), mine.end());
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    WordReader reader(all[rank]);
    for (std::uint64_t& sum : sums) {
      sum += reader.Word();
    }
  }
  return sums;
}

}  // namespace stoker::generators::internal
