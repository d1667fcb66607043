#pragma once

// Which sample is where in the batches of the lean pipeline.

#include <cstdint>

#include "core/random.h"
#include "dataset/order.h"
#include "dataset/permutation.h"
#include "emulator/loader.h"

namespace stoker::emulator::internal {

// The batches of a step lie one behind the other in the common order, so that
// any number of ranks with the same global batch sees the same steps.
class LeanOrder {
 public:
  LeanOrder() = default;
  LeanOrder(const LoaderOptions& options, std::uint32_t epoch)
      : spec_(options.order),
        order_(options.order.samples(),
               core::StreamKey(options.seed,
                               options.seed_change_epoch ? epoch : 0)) {}

  // A sample by its rank and its position there: step * batch size + k.
  struct Place {
    std::uint64_t rank = 0;
    std::uint64_t position = 0;
  };
  std::uint64_t SampleAt(const Place& place) const {
    const std::uint64_t step = place.position / spec_.batch_size;
    const std::uint64_t k = place.position % spec_.batch_size;
    return order_.At((step * spec_.ranks + place.rank) * spec_.batch_size + k);
  }
  // In a step that there may not be.
  Place PlaceOf(std::uint64_t sample) const {
    const std::uint64_t at = order_.PositionOf(sample);
    const std::uint64_t batch = at / spec_.batch_size;
    return {.rank = batch % spec_.ranks,
            .position =
                batch / spec_.ranks * spec_.batch_size + at % spec_.batch_size};
  }

 private:
  dataset::OrderSpec spec_;
  dataset::Permutation order_;
};

}  // namespace stoker::emulator::internal
