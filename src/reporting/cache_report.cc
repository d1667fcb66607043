#include "reporting/cache_report.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "core/units.h"
#include "reporting/internal/console_text.h"

namespace stoker::reporting {
namespace {

using metrics::CacheOutlook;

Json OrNull(const std::optional<double>& value) {
  return value.has_value() ? Json(*value) : Json();
}

std::string Rate(double bytes_per_s, std::string_view unknown) {
  if (bytes_per_s <= 0) return std::string(unknown);
  if (!std::isfinite(bytes_per_s)) return "without limit";
  return core::FormatBytes(bytes_per_s) + "/s";
}

// "50.0 % then 100.0 %", and that of the last epoch where it is another.
std::string Percents(const std::optional<double>& first,
                     const std::optional<double>& later,
                     const std::optional<double>* last) {
  const auto one = [](const std::optional<double>& share) {
    return share.has_value() ? fmt::format("{:.1f} %", 100 * *share)
                             : std::string("unknown");
  };
  return one(first) + " then " + one(later) +
         (last == nullptr ? "" : ", at last " + one(*last));
}

std::string Utilisations(const CacheOutlook& outlook) {
  return Percents(outlook.first_au, outlook.later_au,
                  outlook.last_differs ? &outlook.last_au : nullptr);
}

std::string Hits(const CacheOutlook& outlook) {
  return Percents(outlook.first_hits, outlook.later_hits,
                  outlook.last_differs ? &outlook.last_hits : nullptr);
}

template <class Shares>
std::string List(const Shares& percents) {
  std::string text;
  for (const double percent : percents) {
    text += fmt::format("{}{:.1f} %", text.empty() ? "" : ", ", percent);
  }
  return text;
}

}  // namespace

Json CacheOutlookJson(const std::optional<CacheOutlook>& outlook) {
  if (!outlook.has_value()) return {};
  Json json = Json::MakeObject();
  json.Add("policy", outlook->policy);
  json.Add("order", outlook->order);
  json.Add("in_memory", outlook->in_memory);
  json.Add("fits", outlook->fits);
  json.Add("found", outlook->found);
  json.Add("store_bytes_per_s", outlook->store_bytes_per_s);
  json.Add("device_read_bytes_per_s", outlook->device_read_bytes_per_s);
  json.Add("device_write_bytes_per_s", outlook->device_write_bytes_per_s);
  json.Add("demand_bytes_per_s", outlook->demand_bytes_per_s);
  json.Add("first_hits", OrNull(outlook->first_hits));
  json.Add("first_au", OrNull(outlook->first_au));
  json.Add("later_hits", OrNull(outlook->later_hits));
  json.Add("later_au", OrNull(outlook->later_au));
  json.Add("replayed", outlook->replayed);
  json.Add("last_differs", outlook->last_differs);
  json.Add("last_hits", OrNull(outlook->last_hits));
  json.Add("last_au", OrNull(outlook->last_au));
  json.Add("simulated", outlook->simulated);
  json.Add("most_accelerators", OrNull(outlook->most_accelerators));
  json.Add("trouble", outlook->trouble);
  json.Add("tolerance", outlook->tolerance);
  json.Add("off_epochs", outlook->off_epochs);
  json.Add("reached_hits", outlook->reached_hits);
  json.Add("written_bytes_per_day", outlook->written_bytes_per_day);
  json.Add("drive_writes_per_day", outlook->drive_writes_per_day);
  json.Add("days_to_wear_out", outlook->days_to_wear_out);
  json.Add("read_again", outlook->read_again);
  Json::Array sizes;
  for (const CacheOutlook::SizeHits& size : outlook->other_sizes) {
    Json one = Json::MakeObject();
    one.Add("times", size.times);
    one.Add("lru_hits", size.lru);
    one.Add("never_hits", size.never);
    sizes.push_back(std::move(one));
  }
  json.Add("other_sizes", std::move(sizes));
  return json;
}

std::string ExpectationLines(const CacheOutlook& outlook) {
  if (outlook.store_bytes_per_s <= 0) {
    return Line("prediction", "none: " + outlook.trouble);
  }
  std::string text =
      Line("measured",
           fmt::format("store {}, cache {}{} reading, {} writing",
                       Rate(outlook.store_bytes_per_s, "unknown"),
                       outlook.in_memory ? "(in memory) " : "",
                       Rate(outlook.device_read_bytes_per_s, "unknown"),
                       Rate(outlook.device_write_bytes_per_s, "unknown")));
  if (!outlook.trouble.empty()) {
    return text + Line("prediction", "none: " + outlook.trouble);
  }
  text += Line("cache holds",
               fmt::format("{:.1f} % of the data set, has {:.1f} %; policy {}, "
                           "order {}",
                           100 * outlook.fits, 100 * outlook.found,
                           outlook.policy, outlook.order));
  text += Line("expected hits",
               Hits(outlook) + (outlook.replayed
                                    ? fmt::format(" ({} run on a small cache)",
                                                  outlook.policy)
                                    : ""));
  text += Line("expected AU",
               fmt::format("{} ({}), at a demand of {}", Utilisations(outlook),
                           outlook.simulated ? "the same loader in virtual time"
                                             : "limits of long epochs",
                           Rate(outlook.demand_bytes_per_s, "")));
  if (outlook.most_accelerators.has_value()) {
    text += Line("feeds", std::isfinite(*outlook.most_accelerators)
                              ? fmt::format("{:.0f} accelerators at most, from "
                                            "the second epoch on",
                                            *outlook.most_accelerators)
                              : std::string("any number of accelerators"));
  }
  return text;
}

std::string OutcomeLines(const CacheOutlook& outlook,
                         const metrics::RunSummary& summary) {
  std::string text;
  if (outlook.first_au.has_value() || outlook.later_au.has_value()) {
    text += Line(
        "prediction",
        fmt::format("AU {} expected, {} reached{}", Utilisations(outlook),
                    List(summary.train.au_percent),
                    outlook.off_epochs.empty()
                        ? ""
                        : fmt::format(": OFF by more than {:.0f} "
                                      "points in epoch {}",
                                      100 * outlook.tolerance,
                                      fmt::join(outlook.off_epochs, ", "))));
  }
  if (outlook.later_hits.has_value() && !outlook.reached_hits.empty()) {
    std::vector<double> percents;
    percents.reserve(outlook.reached_hits.size());
    for (const double share : outlook.reached_hits) {
      percents.push_back(100 * share);
    }
    text += Line("hits", fmt::format("{} expected, {} reached", Hits(outlook),
                                     List(percents)));
  }
  if (!outlook.other_sizes.empty()) {
    std::string sizes;
    for (const CacheOutlook::SizeHits& size : outlook.other_sizes) {
      sizes +=
          fmt::format("{}{:g}x {:.1f} / {:.1f} %", sizes.empty() ? "" : ", ",
                      size.times, 100 * size.never, 100 * size.lru);
    }
    text += Line("other sizes",
                 "hits of what was read again, never-evict / LRU: " + sizes);
  }
  if (std::isfinite(outlook.days_to_wear_out) && outlook.days_to_wear_out > 0 &&
      !outlook.in_memory) {
    text += Line(
        "device wear",
        fmt::format("{} a day at this pace; rated {} drive writes a day, it "
                    "lasts {:.0f} days",
                    core::FormatBytes(outlook.written_bytes_per_day),
                    outlook.drive_writes_per_day, outlook.days_to_wear_out));
  }
  return text;
}

}  // namespace stoker::reporting
