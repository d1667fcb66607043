#pragma once

// An npz archive that arrives front to back, in pieces of any size.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/status.h"
#include "formats/format.h"
#include "formats/npz_layout.h"
#include "formats/npz_reader.h"
#include "formats/whole_file.h"

namespace stoker::formats {

// The array's place comes from the local headers, which are walked from the
// start; at the end the directory must say the same. In Style::kDirect nothing
// behind the array is looked at, and no checksum, as the reference's direct
// reader has it.
class NpzContent final : public FileContent {
 public:
  explicit NpzContent(const ReaderOptions& options);
  core::Status Begin(const FileSpec& file, std::uint32_t sample,
                     std::uint64_t planned) override;
  core::Status Take(std::uint64_t offset, npz::Bytes bytes) override;
  bool MayEnd() const override;
  core::Status Finish(std::uint64_t size) override;
  std::uint64_t payload() const override {
    return layout_.rows * layout_.columns;
  }
  FileAsk NextAsk(const FileAsked& /*last*/) override { return {}; }

 private:
  // What comes next of the file.
  enum class Part : std::uint8_t {
    kLocal,   // a local header
    kNames,   // its name and extra fields
    kSkip,    // a member that is not the array's
    kMember,  // the array's
    kTail,    // the rest, of which the end is kept
  };

  core::Status TakePart(std::uint64_t offset, npz::Bytes& bytes);
  bool Gather(npz::Bytes& bytes, std::size_t wanted);
  core::Status TakeLocal();
  core::Status TakeNames();
  core::Status TakeMember(std::uint64_t offset, npz::Bytes& bytes);
  void KeepTail(npz::Bytes bytes);
  core::Status EndsWithin(std::uint64_t size) const;
  core::Result<npz::Bytes> Tail(std::uint64_t at, std::uint64_t bytes,
                                std::uint64_t size) const;
  core::Status CompareDirectory(std::uint64_t size);

  bool direct_;
  bool blind_;
  NpzMember member_;
  npz::Layout layout_;
  Part part_ = Part::kLocal;
  std::uint64_t skip_ = 0;  // bytes of the member that are still to come
  // Bytes of a local header, and behind them of the array's header.
  std::array<std::byte, 8192> head_;
  std::size_t head_bytes_ = 0;
  std::array<std::byte, 8192> tail_;
  std::size_t tail_bytes_ = 0;
};

}  // namespace stoker::formats
