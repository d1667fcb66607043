#include "run/internal/share_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/units.h"

namespace stoker::run::internal {

namespace {

using reporting::Json;

// A share that is empty, or grew, is whole.
double Fraction(std::uint64_t done, std::uint64_t mine) {
  return done < mine ? static_cast<double>(done) / static_cast<double>(mine)
                     : 1.0;
}

std::uint64_t Scaled(double fraction, std::uint64_t all) {
  return static_cast<std::uint64_t>(
      std::llround(fraction * static_cast<double>(all)));
}

std::string Size(std::uint64_t bytes) {
  return core::FormatBytes(static_cast<double>(bytes));
}

// Once rank 0 is done nothing can be told about the others.
Event Waiting(std::string_view verb, const generators::OwnProgress& own) {
  return {.name = "progress",
          .text = fmt::format("{}: rank 0 is done with {} of its {} files ({} "
                              "in all), waiting for the other ranks",
                              verb, core::FormatCount(own.files_done),
                              core::FormatCount(own.files_mine),
                              core::FormatCount(own.files_all)),
          .fields = {{"phase", verb},
                     {"waiting", true},
                     {"files_total", own.files_all},
                     {"bytes_total", own.bytes_all},
                     {"percent", Json()},
                     {"gib_per_s", Json()},
                     {"eta_s", Json()}}};
}

}  // namespace

Event ShareProgress::Describe(const generators::OwnProgress& own,
                              core::TimePoint now) {
  if (own.waiting) {
    return Waiting(verb_, own);
  }
  const double files = Fraction(own.files_done, own.files_mine);
  const double bytes = Fraction(own.bytes_done, own.bytes_mine);
  const std::uint64_t all_bytes = Scaled(bytes, own.bytes_all);
  Event event{
      .name = "progress",
      .text = fmt::format("{}: ~{} of {} files", verb_,
                          core::FormatCount(Scaled(files, own.files_all)),
                          core::FormatCount(own.files_all)),
      .fields = {{"phase", verb_},
                 {"waiting", false},
                 {"files", Scaled(files, own.files_all)},
                 {"files_total", own.files_all},
                 {"bytes", all_bytes},
                 {"bytes_total", own.bytes_all},
                 {"percent", 100 * std::min(files, bytes)}}};
  if (own.bytes_all > 0) {
    event.text +=
        fmt::format(", ~{} of {}", Size(all_bytes), Size(own.bytes_all));
  }
  Json rate;
  Json eta;
  double fraction = 0;
  double seconds = core::Seconds(now - start_);
  if (bytes < 1) {
    fraction = bytes;
    names_start_ = now;
    names_before_ = own.files_done;
    if (seconds > 0) {
      const double gib = core::ToGiB(static_cast<double>(all_bytes)) / seconds;
      event.text += fmt::format(", ~{:.2f} GiB/s", gib);
      rate = Json(gib);
    }
  } else if (own.files_mine > names_before_) {
    fraction = Fraction(own.files_done - names_before_,
                        own.files_mine - names_before_);
    seconds = core::Seconds(now - names_start_);
  }
  if (fraction > 0 && fraction < 1) {
    const double left = seconds * (1 - fraction) / fraction;
    event.text += fmt::format(", {} left", core::FormatSeconds(left));
    eta = Json(left);
  }
  event.fields.emplace_back("gib_per_s", rate);
  event.fields.emplace_back("eta_s", eta);
  return event;
}

}  // namespace stoker::run::internal
