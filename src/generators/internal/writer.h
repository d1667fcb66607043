#pragma once

// The share of one rank in writing a dataset.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "formats/format.h"
#include "generators/generate.h"
#include "generators/internal/place.h"
#include "generators/internal/walk.h"
#include "generators/progress.h"
#include "storage/backend.h"

namespace stoker::generators::internal {

// What goes along with the work; not owned.
struct Watch {
  core::Clock& clock;
  const core::CancelFlag& cancel;
  const OnProgress& progress;
};

// Nothing is owned; the plan's content.ranks is settled.
class Writer {
 public:
  Writer(const Seat& seat, storage::Backend& backend, const GeneratePlan& plan,
         const Todo& todo, const Watch& watch);

  // Removes whatever has a name of the rank's share.
  core::Status Clear();
  // Bytes and names to come, of this rank and then of all.
  std::array<std::uint64_t, 2> share() const {
    return {done_.bytes_mine, done_.files_mine};
  }
  void TellAll(std::uint64_t bytes, std::uint64_t files) {
    done_.bytes_all = bytes;
    done_.files_all = files;
  }
  core::Status WriteContents();
  // After all contents of all ranks.
  core::Status MakeLinks();

  // The share is done for now, others may not be.
  void Wait();

  std::uint64_t files() const { return done_.files_done; }
  std::uint64_t bytes() const { return bytes_; }
  core::Nanos busy_storage() const { return busy_storage_; }

 private:
  using Encoder = std::function<core::Status(storage::WriteStream&)>;

  void CountShare();
  bool WantsData(const Place& place) const {
    return todo_.data && !todo_.kept.Test(place.generation);
  }
  bool WantsIndex(const Place& place) const {
    return todo_.index && !todo_.kept_index.Test(place.generation);
  }
  core::Status WriteFile(const Place& place);
  core::Status WriteIndex(const Place& place);
  core::Status Write(std::uint64_t bytes, const Encoder& encode);
  ContentWalk Walk() const {
    return {plan_, seat_, [this](const Place& place) {
              return WantsData(place) || WantsIndex(place);
            }};
  }
  core::Status LinkData(const Place& place, std::uint64_t content);
  core::Status MakeLink();
  void NameDone();
  void Report(std::uint64_t in_place);

  const Seat seat_;
  storage::Backend& backend_;
  const GeneratePlan& plan_;
  const Todo& todo_;
  const Watch watch_;
  SpecCursor specs_;
  std::unique_ptr<formats::PayloadSource> payload_;
  std::uint64_t payload_stream_ = UINT64_MAX;
  OwnProgress done_;
  std::uint64_t bytes_ = 0;
  core::Nanos busy_storage_{};
  std::string name_;
  std::string existing_;
};

}  // namespace stoker::generators::internal
