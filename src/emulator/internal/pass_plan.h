#pragma once

// Which files of a pass the record pipeline needs, and how much of them.

#include <algorithm>
#include <cstdint>

#include "dataset/order.h"
#include "emulator/loader.h"

namespace stoker::emulator::internal {

class PassPlan {
 public:
  static constexpr std::uint64_t kUnlimited = UINT64_MAX;

  PassPlan() = default;
  // How many records a pass that begins after `composed` batches of the epoch
  // will pull from the interleave, and so which files it needs: all of them
  // where the reference reads on past the end.
  PassPlan(const LoaderOptions& options, const dataset::ModuloShare& share,
           std::uint64_t composed)
      : files_(share.files),
        threads_(std::max<std::uint64_t>(1, options.read_threads)),
        samples_(options.order.samples_per_file),
        wanted_(share.files * options.order.samples_per_file) {
    if (!options.read_past_end) {
      const std::uint64_t batch = options.order.batch_size;
      const std::uint64_t per_pass = share.records / batch;
      const std::uint64_t left =
          options.steps - std::min(options.steps, composed);
      // A pass that another one follows is read whole, its tail dropped.
      if (left <= per_pass) {
        const std::uint64_t ranks = share.by_record ? options.order.ranks : 1;
        wanted_ = std::min(wanted_, left * batch * ranks);
      }
    }
    const std::uint64_t group = threads_ * samples_;
    full_groups_ = wanted_ / group;
    rest_ = wanted_ % group;
  }

  std::uint64_t wanted() const { return wanted_; }  // records
  // Files at the front of the pass of which records are wanted.
  std::uint64_t files() const {
    return std::min(files_,
                    full_groups_ * threads_ + std::min(rest_, threads_));
  }
  // Records wanted of the i-th file of the pass: T files at a time are
  // consumed in rotation, so the last group may be cut short evenly.
  std::uint64_t Quota(std::uint64_t i) const {
    const std::uint64_t group = i / threads_;
    const std::uint64_t place = i % threads_;
    // The end of a file is read too where all of its records are wanted.
    if (group < full_groups_) {
      return kUnlimited;
    }
    if (group > full_groups_ || rest_ <= place) {
      return 0;
    }
    // The last group of the set may have fewer than T files.
    const std::uint64_t width =
        std::min<std::uint64_t>(threads_, files_ - group * threads_);
    const std::uint64_t quota = (rest_ - place + width - 1) / width;
    return quota >= samples_ ? kUnlimited : quota;
  }

 private:
  std::uint64_t files_ = 0;
  std::uint64_t threads_ = 1;
  std::uint64_t samples_ = 1;
  std::uint64_t wanted_ = 0;
  std::uint64_t full_groups_ = 0;
  std::uint64_t rest_ = 0;
};

}  // namespace stoker::emulator::internal
