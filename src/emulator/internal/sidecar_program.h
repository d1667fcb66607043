#pragma once

// Reads a file that belongs to a data file (an index) whole.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "formats/format.h"

namespace stoker::emulator::internal {

// Asks for the size, then for the bytes in requests of `request`. kCorruption
// if the file has not the size the format says.
class SidecarProgram final : public formats::ReaderProgram {
 public:
  SidecarProgram(const formats::Format& format, std::uint64_t request,
                 bool blind)
      : format_(format), request_(request), blind_(blind) {}
  // Which one (index into sidecars()) the next Reset is for.
  void Choose(std::size_t which) { which_ = which; }
  void Reset(const formats::FileSpec& file, std::uint32_t sample,
             std::string_view name) override;
  core::Result<Next> Step(const Event& event) override;
  std::uint64_t MaxRequest(const formats::FileSpec& /*file*/) const override {
    return request_;
  }

 private:
  core::Status Take(const Event& event);

  const formats::Format& format_;
  std::uint64_t request_;
  bool blind_;
  std::size_t which_ = 0;
  std::string_view name_;
  std::uint64_t size_ = 0;  // as the format says
  std::uint64_t offset_ = 0;
  std::uint64_t asked_ = 0;
};

}  // namespace stoker::emulator::internal
