#include "run/internal/training_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <variant>
#include <vector>

namespace stoker::run::internal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

core::Nanos Millis(std::int64_t count) {
  return std::chrono::milliseconds(count);
}

double NumberOf(const Event& event, const char* key) {
  const reporting::Json fields = event.fields;
  const reporting::Json* field = fields.Find(key);
  EXPECT_NE(field, nullptr) << key;
  if (const auto* value = std::get_if<double>(&field->value())) {
    return *value;
  }
  return static_cast<double>(std::get<std::uint64_t>(field->value()));
}

// `steps` counted steps, of which `compute` went into computing, and nothing
// excluded.
metrics::BlockSummary BlockOf(std::uint64_t steps, core::Nanos wall,
                              core::Nanos compute) {
  metrics::BlockSummary block;
  block.sums = {.steps = steps,
                .wall = wall,
                .counted_compute = compute,
                .counted_steps = steps,
                .counted_samples = 7 * steps,
                .counted_bytes = (1ULL << 30) * steps,
                .closed = true};
  return block;
}

TEST(EpochEvent, BlocksCountByTheirSteps) {
  // One rank, blocks of 3 and 1 steps. AU: 50 and 90, weighted 60. Samples/s:
  // 21 / 3 and 7 / 1, bytes alike: 7 samples and 1 GiB each second.
  metrics::EpochSummary rank;
  rank.epoch = 2;
  rank.blocks = {BlockOf(3, Millis(3000), Millis(1500)),
                 BlockOf(1, Millis(1000), Millis(900))};
  metrics::RunFacts facts;
  facts.epochs = 5;
  const std::vector<metrics::EpochSummary> ranks = {rank, rank};

  const Event event = EpochEvent(facts, ranks);

  EXPECT_DOUBLE_EQ(NumberOf(event, "au_percent"), 60.0);
  EXPECT_DOUBLE_EQ(NumberOf(event, "samples_per_s"), 14.0);
  EXPECT_DOUBLE_EQ(NumberOf(event, "gib_per_s"), 2.0);
  EXPECT_DOUBLE_EQ(NumberOf(event, "steps"), 4.0);
  EXPECT_DOUBLE_EQ(NumberOf(event, "wall_s"), 4.0);
}

TEST(SaveEvent, RateIsOfTheWholeCheckpoint) {
  metrics::RunFacts facts;
  facts.checkpoints.emplace();
  facts.checkpoints->bytes = 3ULL << 30;
  metrics::CheckpointOp save;
  save.step = 4;
  save.start = core::TimePoint(Millis(500));
  save.end = core::TimePoint(Millis(2000));
  save.payload_bytes = 1;

  const Event event = SaveEvent(facts, 2, save);

  EXPECT_DOUBLE_EQ(NumberOf(event, "seconds"), 1.5);
  EXPECT_DOUBLE_EQ(NumberOf(event, "gib_per_s"), 2.0);
  EXPECT_THAT(event.text, HasSubstr("epoch 2, step 4"));
}

TEST(StartEvent, NamesTheCheckpointsToCome) {
  metrics::RunFacts facts;
  EXPECT_THAT(StartEvent(facts, 0).text, Not(HasSubstr("checkpoints")));

  facts.checkpoints = {.count = 3,
                       .bytes = 1,
                       .files = 1,
                       .stored_bytes = 2ULL << 20,
                       .storage_uri = "file:///ck",
                       .format = "torchzip",
                       .fsync = true};
  const Event event = StartEvent(facts, 0);
  EXPECT_THAT(
      event.text,
      HasSubstr("checkpoints: 3 of 2.00 MiB to file:///ck, with fsync"));
  EXPECT_DOUBLE_EQ(NumberOf(event, "checkpoints"), 3.0);
}

}  // namespace
}  // namespace stoker::run::internal
