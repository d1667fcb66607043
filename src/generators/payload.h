#pragma once

// Where payload bytes come from, for each content mode.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/random.h"
#include "core/status.h"
#include "dataset/shape.h"
#include "formats/format.h"
#include "generators/plan.h"

namespace stoker::generators {

// Payload that is unique per (file, sample, offset) and can be made again from
// the manifest: FillCounterStream with key StreamKey(seed, file, sample).
class CounterPayload final : public formats::PayloadSource {
 public:
  explicit CounterPayload(std::uint64_t seed) : seed_(seed) {}
  void Fill(std::uint64_t file, std::uint32_t sample, std::uint64_t offset,
            std::span<std::byte> out) override;

 private:
  std::uint64_t seed_;
};

// The reference's bytes: one generating process draws the contents of its files
// r, r + R, … one after the other from numpy's legacy stream (seed 10), after
// the sizes of all files. Asked in that order each byte is drawn once; what is
// left out is drawn and thrown away, and going back starts the stream over.
class DlioPayload final : public formats::PayloadSource {
 public:
  // `process` below plan.content.ranks; CheckContent(plan) is ok. The plan is
  // not kept.
  DlioPayload(const GeneratePlan& plan, std::uint64_t process);
  // `file` is one of the process's.
  void Fill(std::uint64_t file, std::uint32_t sample, std::uint64_t offset,
            std::span<std::byte> out) override;

 private:
  // A place in the stream: a call of randint, and a byte of what it returns.
  struct Position {
    std::uint64_t file = 0;
    std::uint64_t draw = 0;  // in the file
    std::uint64_t byte = 0;
  };

  void Restart();
  void BeginDraw(std::uint64_t file, std::uint64_t draw);
  void MoveTo(const Position& to);
  void Draw(std::span<std::byte> out);
  void Discard(std::uint64_t bytes);
  void FillCached(std::uint64_t file, std::uint32_t sample,
                  std::uint64_t offset, std::span<std::byte> out);

  const dataset::SizeModel sizes_;
  const std::uint64_t files_;
  const std::uint64_t process_;
  const std::uint64_t processes_;
  const std::uint64_t samples_;
  const bool draw_per_sample_;  // else one for the file
  const bool any_order_;        // within a sample
  core::NumpyRandom random_;
  dataset::ShapeCursor shapes_;
  Position at_;
  std::uint64_t draw_bytes_ = 0;
  std::vector<std::byte> scratch_;
  // The sample last asked for, where bytes are asked for in any order.
  std::vector<std::byte> sample_;
  std::uint64_t sample_key_ = UINT64_MAX;
};

// Whether the plan's format can have its content. kInvalidArgument and
// kUnsupported say why not.
core::Status CheckContent(const GeneratePlan& plan);

// Streams that content is made in, one after the other each: 1 where any file
// can be made alone.
std::uint64_t ContentStreams(const GeneratePlan& plan);

// The source of a stream below ContentStreams(plan).
std::unique_ptr<formats::PayloadSource> NewPayload(const GeneratePlan& plan,
                                                   std::uint64_t stream);

}  // namespace stoker::generators
