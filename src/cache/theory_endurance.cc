#include "cache/theory_endurance.h"

#include <limits>

#include "core/check.h"

namespace stoker::cache {

double ChurnBytesPerSecond(double hit, double read_bytes_per_s) {
  STOKER_CHECK(hit >= 0 && hit <= 1);
  return (1 - hit) * read_bytes_per_s;
}

double BytesPerDay(double bytes_per_s) {
  constexpr double kSecondsPerDay = 86400;
  return bytes_per_s * kSecondsPerDay;
}

double DailyBudgetBytes(double drive_writes_per_day, double capacity_bytes) {
  return drive_writes_per_day * capacity_bytes;
}

double RatedBytes(double drive_writes_per_day, double capacity_bytes,
                  double warranty_days) {
  return DailyBudgetBytes(drive_writes_per_day, capacity_bytes) * warranty_days;
}

double DaysToWearOut(double rated_bytes, double bytes_per_day) {
  STOKER_CHECK(rated_bytes >= 0 && bytes_per_day >= 0);
  if (bytes_per_day <= 0) return std::numeric_limits<double>::infinity();
  return rated_bytes / bytes_per_day;
}

}  // namespace stoker::cache
