#pragma once

// What a cache of ours in front of a store was expected to do for a run, and
// what came of it. Worked out by the run layer; the formulas are the cache
// module's. Shares are 0 ... 1, rates bytes per second.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stoker::metrics {

struct CacheOutlook {
  std::string policy{};  // "never"
  // Of the reads: "cyclic", "permutation", "global reshuffle".
  std::string order{};
  bool in_memory = false;  // the cache's files are no device's (tmpfs)
  double fits = 0;         // of the data set, into the cache of one host
  double found = 0;        // of it, in the cache of the first host at the start

  // Measured right before, by all ranks at once. 0: could not be; infinite:
  // took no time.
  double store_bytes_per_s = 0;
  double device_read_bytes_per_s = 0;
  double device_write_bytes_per_s = 0;
  // What the accelerators ask for if they never wait; 0: without end.
  double demand_bytes_per_s = 0;

  // Of the bytes of the first epoch, and of each later one, those that the
  // cache serves; and the utilisation. Nothing where nobody can tell.
  std::optional<double> first_hits{};
  std::optional<double> first_au{};
  std::optional<double> later_hits{};
  std::optional<double> later_au{};
  // later_hits has no closed form: the policy was run on a few thousand blocks.
  bool replayed = false;
  // Of the last of several epochs, where it differs as nothing is kept then.
  bool last_differs = false;
  std::optional<double> last_hits{};
  std::optional<double> last_au{};
  // The utilisations are those of the run in virtual time, instead of the
  // limits of long epochs.
  bool simulated = false;
  // How many reach the target of the utilisation in later epochs; infinite
  // where nothing limits.
  std::optional<double> most_accelerators{};
  std::string trouble{};  // why there is no prediction; "" else

  // After the run: epochs whose utilisation is further from the prediction than
  // `tolerance`.
  double tolerance = 0;
  std::vector<std::uint32_t> off_epochs{};
  // Of each epoch's delivered bytes, those not of the store.
  std::vector<double> reached_hits{};
  // What was written to the caches' devices, for a day at the run's pace; and
  // how long devices of that rating last then, infinite if nothing is written.
  double written_bytes_per_day = 0;
  double drive_writes_per_day = 0;  // the rating
  double days_to_wear_out = 0;

  // From the run's own reads, in a sample of the blocks: what a cache of
  // another size, empty at first, would have hit of the blocks that were read
  // again, in every epoch but the first that is; empty where too little was
  // read again to tell.
  struct SizeHits {
    double times = 0;  // the size, in sizes of this cache
    double lru = 0;    // the least recently used gives way
    double never = 0;  // nothing gives way
  };
  std::vector<SizeHits> other_sizes{};
  double read_again = 0;  // of what was read, the share read before in this run
};

// For epoch `index` (from 0) of `epochs`.
inline const std::optional<double>& ExpectedAu(const CacheOutlook& outlook,
                                               std::size_t index,
                                               std::size_t epochs) {
  if (index == 0) {
    return outlook.first_au;
  }
  return outlook.last_differs && index + 1 == epochs ? outlook.last_au
                                                     : outlook.later_au;
}

}  // namespace stoker::metrics
