#include "run/internal/cache_outlook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cache/cache_backend.h"
#include "comm/communicator.h"
#include "core/clock.h"
#include "storage/backend.h"
#include "storage/registry.h"
#include "tests/cache/support.h"

namespace stoker::run::internal {
namespace {

using cache::OrderClass;
using cache::Policy;
using metrics::CacheOutlook;

// Ten accelerators that ask for 100 MB/s each, of a store that gives half.
OutlookJob Half(Policy policy, OrderClass order) {
  OutlookJob job;
  job.policy = policy;
  job.pattern.order = order;
  job.job.accelerators = 10;
  job.job.demand_bytes_per_s = 1e8;
  job.job.object_bytes = 1e6;
  job.job.store.bytes_per_s = 5e8;
  job.job.cache.read_bytes_per_s = 2e9;
  job.job.cache.write_bytes_per_s = 1e9;
  return job;
}

TEST(Predict, AColdCacheThatHoldsAllIsTheStoreFirstAndThenTheDevice) {
  CacheOutlook outlook{.fits = 1};
  Predict(Half(Policy::kNever, OrderClass::kCyclic), outlook);
  EXPECT_EQ(outlook.first_hits, 0.0);
  EXPECT_EQ(outlook.later_hits, 1.0);
  ASSERT_TRUE(outlook.first_au.has_value());
  EXPECT_NEAR(*outlook.first_au, 0.5, 1e-9);
  EXPECT_EQ(outlook.later_au, 1.0);
  // 2e9 / (0.9 * 1e8) = 22.2
  EXPECT_EQ(outlook.most_accelerators, 22.0);
  EXPECT_FALSE(outlook.simulated);
}

TEST(Predict, WhatFitsInPartLeavesTheRestToTheStore) {
  CacheOutlook outlook{.fits = 0.25};
  Predict(Half(Policy::kNever, OrderClass::kPermutation), outlook);
  EXPECT_EQ(outlook.later_hits, 0.25);
  // 5e8 / 0.75 of the 1e9 asked for.
  EXPECT_NEAR(*outlook.later_au, 2.0 / 3, 1e-9);
}

TEST(Predict, AWarmStartIsAsLaterEpochsAre) {
  CacheOutlook outlook{.fits = 1, .found = 1};
  Predict(Half(Policy::kNever, OrderClass::kCyclic), outlook);
  EXPECT_EQ(outlook.first_hits, 1.0);
  EXPECT_EQ(outlook.first_au, outlook.later_au);
}

TEST(Predict, AHalfWarmStartHasNoUtilisationToTell) {
  CacheOutlook outlook{.fits = 1, .found = 0.5};
  Predict(Half(Policy::kNever, OrderClass::kCyclic), outlook);
  EXPECT_FALSE(outlook.first_au.has_value());
  EXPECT_TRUE(outlook.later_au.has_value());
}

// LRU in the same order each time throws out what comes next; every miss is
// written, and the store's half is less than the device could take.
TEST(Predict, LruInCyclicOrderHitsNothing) {
  CacheOutlook outlook{.fits = 0.9};
  Predict(Half(Policy::kLru, OrderClass::kCyclic), outlook);
  EXPECT_EQ(outlook.later_hits, 0.0);
  EXPECT_NEAR(*outlook.later_au, 0.5, 1e-9);
}

// f + (1-f) ln(1-f) = 0.1534 at f = 0.5; the table of the theory.
TEST(Predict, LruInARandomOrderHitsLittle) {
  CacheOutlook outlook{.fits = 0.5};
  Predict(Half(Policy::kLru, OrderClass::kPermutation), outlook);
  EXPECT_NEAR(*outlook.later_hits, 0.1534, 1e-4);
  EXPECT_NEAR(*outlook.later_au, 0.59062, 1e-4);
}

// In cyclic order nothing gives way: as kNever in every figure.
TEST(Predict, BeladyInCyclicOrderIsAsNeverEvicting) {
  CacheOutlook belady{.fits = 0.5};
  Predict(Half(Policy::kBelady, OrderClass::kCyclic), belady);
  CacheOutlook never{.fits = 0.5};
  Predict(Half(Policy::kNever, OrderClass::kCyclic), never);
  EXPECT_EQ(belady.later_hits, 0.5);
  EXPECT_EQ(belady.first_au, never.first_au);
  EXPECT_EQ(belady.later_au, never.later_au);
}

// With a device that writes 2e8 a second: of the misses ln 2 = 0.693 are
// written, 0.3466 of all bytes, which takes 0.3466 / 2e8 a byte, and half are
// read at 2e9; the store's half takes 0.5 / 5e8, which is less.
TEST(Predict, BeladyInARandomOrderWritesAPartOfWhatItMisses) {
  OutlookJob job = Half(Policy::kBelady, OrderClass::kPermutation);
  job.epochs = 3;
  job.job.cache.write_bytes_per_s = 2e8;
  CacheOutlook outlook{.fits = 0.5};
  Predict(job, outlook);
  EXPECT_EQ(outlook.later_hits, 0.5);
  EXPECT_NEAR(*outlook.later_au, 1 / (0.5 * 0.693147 / 2e8 + 0.5 / 2e9) / 1e9,
              1e-3);
  EXPECT_EQ(outlook.last_hits, 0.5);
}

// Simulations elsewhere give 0.2206 for half the blocks; 5e8 / (1 - that) of
// 1e9 would be 0.64 if the hits came evenly.
TEST(Predict, PoliciesWithoutAFormulaAreRunOnASmallCache) {
  CacheOutlook outlook{.fits = 0.5};
  OutlookJob job = Half(Policy::kTwoRandom, OrderClass::kPermutation);
  job.epochs = 21;
  Predict(job, outlook);
  EXPECT_TRUE(outlook.replayed);
  ASSERT_TRUE(outlook.later_hits.has_value());
  EXPECT_NEAR(*outlook.later_hits, 0.2206, 0.02);
  ASSERT_TRUE(outlook.later_au.has_value());
  EXPECT_NEAR(*outlook.later_au, 0.6415, 0.01);
  EXPECT_TRUE(outlook.most_accelerators.has_value());

  CacheOutlook lru{.fits = 0.5};
  Predict(Half(Policy::kLru, OrderClass::kPermutation), lru);
  EXPECT_FALSE(lru.replayed);
  // Five ask for no more than the store alone gives.
  EXPECT_GE(lru.most_accelerators, 5);
}

// The device feeds 20 accelerators, with the store's help 25.
TEST(Predict, KnowsThatHitsMayBeReadFromTheStore) {
  OutlookJob job = Half(Policy::kNever, OrderClass::kCyclic);
  job.job.accelerators = 30;
  CacheOutlook alone{.fits = 1};
  Predict(job, alone);
  EXPECT_NEAR(*alone.later_au, 20.0 / 30, 1e-9);
  EXPECT_EQ(alone.most_accelerators, 22.0);
  job.balance = true;
  CacheOutlook both{.fits = 1};
  Predict(job, both);
  EXPECT_NEAR(*both.later_au, 25.0 / 30, 1e-9);
  EXPECT_EQ(both.most_accelerators, 27.0);  // 2.5e9 / (0.9 * 1e8)
}

TEST(Predict, AsksTheSimulationForTheRatesOfBothKindsOfEpochs) {
  OutlookJob job = Half(Policy::kNever, OrderClass::kCyclic);
  std::vector<double> asked;
  job.simulate = [&](double bytes_per_s) {
    asked.push_back(bytes_per_s);
    return std::optional(0.25 * static_cast<double>(asked.size()));
  };
  CacheOutlook outlook{.fits = 0.5};
  Predict(job, outlook);
  EXPECT_TRUE(outlook.simulated);
  EXPECT_EQ(outlook.first_au, 0.25);
  EXPECT_EQ(outlook.later_au, 0.5);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_NEAR(asked[0], 5e8, 1);
  EXPECT_NEAR(asked[1], 1e9, 1);
}

TEST(OrderOf, IsThatOfTheDescriptionOfTheLoaders) {
  using emulator::PipelineShape;
  emulator::LoaderOptions none;
  emulator::LoaderOptions files;
  files.shuffle_files = true;
  emulator::LoaderOptions samples;
  samples.shuffle_samples = true;
  emulator::LoaderOptions repeated = files;
  repeated.seed_change_epoch = false;
  EXPECT_EQ(OrderOf(PipelineShape::kTorch, files), OrderClass::kCyclic);
  EXPECT_EQ(OrderOf(PipelineShape::kTfRecord, samples), OrderClass::kCyclic);
  EXPECT_EQ(OrderOf(PipelineShape::kTfGenerator, none), OrderClass::kCyclic);
  EXPECT_EQ(OrderOf(PipelineShape::kTfGenerator, samples),
            OrderClass::kPermutation);
  EXPECT_EQ(OrderOf(PipelineShape::kTfGenerator, files),
            OrderClass::kGlobalReshuffle);
  // Its list is shuffled in place: the same draws, another order.
  EXPECT_EQ(OrderOf(PipelineShape::kTfGenerator, repeated),
            OrderClass::kGlobalReshuffle);
  EXPECT_EQ(OrderOf(PipelineShape::kShuffled, repeated), OrderClass::kCyclic);
  EXPECT_EQ(OrderOf(PipelineShape::kShuffled, none),
            OrderClass::kGlobalReshuffle);
}

// Two hosts of two ranks; each host reads its own 24 blocks in the same order
// three times, the ranks of it in turn, through a cache of 16. So two thirds
// are read again. Caches of 2, 4, 8 and 16 slots hit as many of 24 where
// nothing gives way, and none where the least recently used does; one of 32
// hits all. The ranks of a host take turns with each block, so that neither
// alone reads one in two rounds in a row.
TEST(LookAround, ReadsTheRanksOfAHostTogetherAndAddsTheHosts) {
  constexpr std::uint64_t kSlotBytes = 64U << 10U;
  core::SystemClock clock;
  std::vector<std::unique_ptr<storage::Backend>> backends;
  cache::CacheOptions options;
  options.directories = {"memory"};
  options.buffer_bytes = 4 * kSlotBytes;
  for (int r = 0; r < 4; ++r) {
    backends.push_back(cache::MakeCacheBackend(
        testing::MemoryTier(testing::Options(16), clock), options,
        storage::OpenBackend("mem:").value()));
    for (int o = 0; o < 24; ++o) {
      ASSERT_TRUE(storage::WriteObject(*backends.back(), std::to_string(o),
                                       std::string(kSlotBytes, 'x'), clock)
                      .ok());
    }
  }
  const core::TimePoint since = clock.Now();
  for (std::size_t round = 0; round < 3; ++round) {
    for (std::size_t o = 0; o < 24; ++o) {
      for (const std::size_t host : {0U, 1U}) {
        storage::Backend& reader = *backends[2 * host + (o + round) % 2];
        ASSERT_TRUE(storage::ReadObject(reader, std::to_string(o), clock).ok());
      }
    }
  }
  const auto comms = comm::MakeThreads(4, clock, nullptr, 2);
  std::vector<std::optional<CacheOutlook>> outlooks(4, CacheOutlook());
  {
    std::vector<std::jthread> ranks;
    for (std::size_t r = 0; r < 4; ++r) {
      ranks.emplace_back([&, r] {
        const RankContext context{.comm = comms[r].get(), .clock = &clock};
        EXPECT_TRUE(LookAround(context, since, *backends[r], outlooks[r]).ok());
      });
    }
  }
  const CacheOutlook& outlook = *outlooks[0];
  EXPECT_NEAR(outlook.read_again, 2.0 / 3, 1e-9);
  ASSERT_EQ(outlook.other_sizes.size(), 5U);
  const std::vector<double> times{0.125, 0.25, 0.5, 1, 2};
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(outlook.other_sizes[i].times, times[i]);
    EXPECT_NEAR(outlook.other_sizes[i].never, std::min(1.0, 16 * times[i] / 24),
                1e-9);
    EXPECT_NEAR(outlook.other_sizes[i].lru, i == 4 ? 1 : 0, 1e-9);
  }
  EXPECT_TRUE(outlooks[1]->other_sizes.empty());
}

}  // namespace
}  // namespace stoker::run::internal
