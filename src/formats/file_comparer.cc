#include "formats/file_comparer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace stoker::formats {
namespace {

// One part that holds the whole file.
class MemoryStream final : public storage::WriteStream {
 public:
  MemoryStream(std::vector<std::byte>& bytes, core::Clock& clock)
      : WriteStream({.part_size = bytes.size()}, clock), bytes_(bytes) {}

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t) override {
    return std::span(bytes_);
  }
  core::Status DoSend(std::uint64_t, std::span<const std::byte>) override {
    return {};
  }
  core::Status DoCommit(std::uint64_t, storage::WriteTimes&) override {
    return {};
  }

  std::vector<std::byte>& bytes_;
};

constexpr std::uint64_t kPartAlign = 4096;

}  // namespace

core::Status FileComparer::Begin(const FileSpec& file) {
  if (expect_ == nullptr) {
    return {};
  }
  const std::uint64_t bytes = format_.FileBytes(file);
  // A byte more, so that the part is never full.
  wanted_.resize((bytes / kPartAlign + 1) * kPartAlign);
  MemoryStream stream(wanted_, clock_);
  STOKER_TRY(format_.Encode(file, *expect_, stream));
  STOKER_TRY(stream.Commit().status());
  wanted_.resize(bytes);
  return {};
}

core::Status FileComparer::Compare(std::uint64_t offset,
                                   std::span<const std::byte> found) const {
  if (expect_ == nullptr) {
    return {};
  }
  const std::span<const std::byte> wanted = std::span(wanted_).subspan(
      std::min<std::uint64_t>(offset, wanted_.size()),
      std::min<std::uint64_t>(
          found.size(),
          wanted_.size() - std::min<std::uint64_t>(offset, wanted_.size())));
  if (wanted.empty() ||
      std::memcmp(wanted.data(), found.data(), wanted.size()) == 0) {
    return {};  // what is too long, Finish will say
  }
  const auto at = static_cast<std::size_t>(
      std::ranges::mismatch(wanted, found).in1 - wanted.begin());
  return {core::Code::kCorruption,
          fmt::format("payload of sample 0 differs at offset {} of the file: "
                      "expected byte {}, found {}",
                      offset + at, std::to_integer<int>(wanted[at]),
                      std::to_integer<int>(found[at]))};
}

core::Status FileComparer::Finish(std::uint64_t size) const {
  if (expect_ == nullptr || size == wanted_.size()) {
    return {};
  }
  return {core::Code::kCorruption,
          fmt::format("at offset {}: the file ends, expected {} bytes", size,
                      wanted_.size())};
}

}  // namespace stoker::formats
