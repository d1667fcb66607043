#include "run/internal/share_progress.h"

#include <fmt/format.h>

#include "core/units.h"

namespace stoker::run::internal {

Event ShareProgress::Describe(const generators::OwnProgress& own,
                              core::TimePoint now) {
  const auto all = [this](std::uint64_t mine) { return mine * ranks_; };
  const auto bytes_text = [&](std::uint64_t mine) {
    return core::FormatBytes(static_cast<double>(all(mine)));
  };
  Event event{.name = "progress",
              .text = fmt::format("{}: ~{} of ~{} files", verb_,
                                  core::FormatCount(all(own.files_done)),
                                  core::FormatCount(all(own.files_mine))),
              .fields = {{"phase", verb_},
                         {"extrapolated", true},
                         {"files", all(own.files_done)},
                         {"files_total", all(own.files_mine)}}};
  if (own.bytes_mine > 0) {
    event.text += fmt::format(", ~{} of ~{}", bytes_text(own.bytes_done),
                              bytes_text(own.bytes_mine));
    event.fields.emplace_back("bytes", all(own.bytes_done));
    event.fields.emplace_back("bytes_total", all(own.bytes_mine));
  }
  double fraction = 0;
  double seconds = core::Seconds(now - start_);
  if (own.bytes_done < own.bytes_mine) {
    fraction = static_cast<double>(own.bytes_done) /
               static_cast<double>(own.bytes_mine);
    names_start_ = now;
    names_before_ = own.files_done;
    if (seconds > 0) {
      const double rate = static_cast<double>(all(own.bytes_done)) / seconds;
      event.text += fmt::format(", ~{:.2f} GiB/s", core::ToGiB(rate));
      event.fields.emplace_back("bytes_per_second", rate);
    }
  } else if (own.files_mine > names_before_) {
    fraction = static_cast<double>(own.files_done - names_before_) /
               static_cast<double>(own.files_mine - names_before_);
    seconds = core::Seconds(now - names_start_);
  }
  if (fraction > 0 && fraction < 1) {
    const double left = seconds * (1 - fraction) / fraction;
    event.text += fmt::format(", {} left", core::FormatSeconds(left));
    event.fields.emplace_back("seconds_left", left);
  }
  return event;
}

}  // namespace stoker::run::internal
