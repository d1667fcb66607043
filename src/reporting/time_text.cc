#include "reporting/time_text.h"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

namespace stoker::reporting {
namespace {

struct Broken {
  std::tm local{};
  int micros = 0;
};

Broken Break(metrics::WallTime at) {
  using std::chrono::floor;
  const auto second = floor<std::chrono::seconds>(at);
  Broken broken;
  broken.micros =
      static_cast<int>(floor<std::chrono::microseconds>(at - second).count());
  const std::time_t count = second.time_since_epoch().count();
  ::localtime_r(&count, &broken.local);
  return broken;
}

}  // namespace

std::string LocalTime(metrics::WallTime at) {
  const Broken t = Break(at);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}",
                     t.local.tm_year + 1900, t.local.tm_mon + 1,
                     t.local.tm_mday, t.local.tm_hour, t.local.tm_min,
                     t.local.tm_sec, t.micros);
}

std::string ZonedTime(metrics::WallTime at) {
  const auto minutes = static_cast<int>(Break(at).local.tm_gmtoff / 60);
  const int size = std::abs(minutes);
  return fmt::format("{}{}{:02}:{:02}", LocalTime(at), minutes < 0 ? '-' : '+',
                     size / 60, size % 60);
}

std::string FolderTime(metrics::WallTime at) {
  const std::tm t = Break(at).local;
  return fmt::format("{:04}{:02}{:02}_{:02}{:02}{:02}", t.tm_year + 1900,
                     t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace stoker::reporting
