#include "run/internal/share_progress.h"

#include <fmt/format.h>

#include "core/units.h"

namespace stoker::run::internal {

std::string ShareProgress::Describe(const generators::OwnProgress& own,
                                    core::TimePoint now) {
  std::string text = fmt::format("{}: ~{} of ~{} files", verb_,
                                 core::FormatCount(own.files_done * ranks_),
                                 core::FormatCount(own.files_mine * ranks_));
  const auto all = [this](std::uint64_t bytes) {
    return static_cast<double>(bytes) * static_cast<double>(ranks_);
  };
  double fraction = 0;
  double seconds = core::Seconds(now - start_);
  if (own.bytes_mine > 0) {
    text += fmt::format(", ~{} of ~{}", core::FormatBytes(all(own.bytes_done)),
                        core::FormatBytes(all(own.bytes_mine)));
  }
  if (own.bytes_done < own.bytes_mine) {
    fraction = static_cast<double>(own.bytes_done) /
               static_cast<double>(own.bytes_mine);
    names_start_ = now;
    names_before_ = own.files_done;
    if (seconds > 0) {
      text += fmt::format(", ~{}/s",
                          core::FormatBytes(all(own.bytes_done) / seconds));
    }
  } else if (own.files_mine > names_before_) {
    fraction = static_cast<double>(own.files_done - names_before_) /
               static_cast<double>(own.files_mine - names_before_);
    seconds = core::Seconds(now - names_start_);
  }
  if (fraction > 0 && fraction < 1) {
    text += fmt::format(
        ", {} left", core::FormatSeconds(seconds * (1 - fraction) / fraction));
  }
  return text;
}

}  // namespace stoker::run::internal
