#pragma once

// What a cache's writes cost the flash below. Pure functions, safe for
// concurrent use. Days are of 86,400 s; bytes are those the host writes, as the
// ratings of drives count them.

namespace stoker::cache {

inline constexpr double kWarrantyDays = 5 * 365;  // of most data-centre drives

// Misses that are all written, as policies do that evict: (1 - hit) * read.
// One that never evicts writes its capacity once.
double ChurnBytesPerSecond(double hit, double read_bytes_per_s);

double BytesPerDay(double bytes_per_s);

// What a rating in drive writes per day allows each day.
double DailyBudgetBytes(double drive_writes_per_day, double capacity_bytes);

// The rating in bytes written (TBW) that one in drive writes per day is.
double RatedBytes(double drive_writes_per_day, double capacity_bytes,
                  double warranty_days = kWarrantyDays);

// Until a new drive has had the `rated_bytes`; infinite where nothing is
// written.
double DaysToWearOut(double rated_bytes, double bytes_per_day);

}  // namespace stoker::cache
