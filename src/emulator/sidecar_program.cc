#include "emulator/internal/sidecar_program.h"

#include <fmt/format.h>

#include <algorithm>

namespace stoker::emulator::internal {

void SidecarProgram::Reset(const formats::FileSpec& file, std::uint32_t,
                           std::string_view name) {
  name_ = name;
  size_ = format_.SidecarBytes(file, which_);
  offset_ = asked_ = 0;
}

core::Status SidecarProgram::Take(const Event& event) {
  if (event.kind == Event::Kind::kSize && !blind_ && event.size != size_) {
    return {core::Code::kCorruption,
            fmt::format("{}: expected {} bytes, found {}", name_, size_,
                        event.size)};
  }
  if (event.kind == Event::Kind::kBytes) {
    if (!blind_ && event.bytes.size() != asked_) {
      return {core::Code::kCorruption,
              fmt::format("{}: expected {} bytes at offset {}, found {}", name_,
                          asked_, offset_, event.bytes.size())};
    }
    offset_ += asked_;
  }
  return {};
}

core::Result<formats::ReaderProgram::Next> SidecarProgram::Step(
    const Event& event) {
  if (event.kind == Event::Kind::kStart) {
    return Next{.kind = Next::Kind::kSize};
  }
  STOKER_TRY(Take(event));
  if (offset_ == size_) {
    return Next{.kind = Next::Kind::kFileDone};
  }
  asked_ = std::min(request_, size_ - offset_);
  return Next{.kind = Next::Kind::kRead, .offset = offset_, .length = asked_};
}

}  // namespace stoker::emulator::internal
