#pragma once

#include <chrono>
#include <memory>
#include <tuple>
#include <utility>

#include "cache/tier.h"
#include "core/abandon.h"
#include "core/clock.h"
#include "storage/block_device.h"

namespace stoker::cache::internal {

// How long the end waits for what is on its way to a device.
inline constexpr core::Nanos kEndPatience = std::chrono::seconds(5);

// For a queue with ops that the device does not answer: it, its device and the
// memory that may still be written to or read stay until the process ends.
template <class... Memory>
void LeaveToDevice(const Tier& tier, std::unique_ptr<storage::BlockQueue> queue,
                   Memory... memory) {
  using Left = std::tuple<std::shared_ptr<storage::BlockDevice>,
                          std::unique_ptr<storage::BlockQueue>, Memory...>;
  core::Abandon(std::make_shared<Left>(tier.shared_device(), std::move(queue),
                                       std::move(memory)...));
}

}  // namespace stoker::cache::internal
