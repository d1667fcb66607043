#include "metrics/ledger.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace stoker::metrics {
namespace {

// One epoch of a rank.
struct Row {
  std::uint64_t asked = 0;
  std::uint64_t delivered = 0;
  std::optional<std::uint64_t> device{};
  std::uint64_t cache_tier = 0;
};

RankRecord Rank(std::uint32_t number, std::uint32_t node,
                std::uint32_t local_rank, const std::vector<Row>& rows) {
  RankRecord rank;
  rank.facts.rank = number;
  rank.facts.node = node;
  rank.facts.local_rank = local_rank;
  std::uint32_t epoch = 1;
  for (const Row& row : rows) {
    EpochSummary summary;
    summary.epoch = epoch++;
    summary.train_loader.payload_bytes_delivered = row.asked;
    summary.train_loader.reads.bytes = row.delivered;
    summary.train_loader.reads.bytes_from_cache = row.cache_tier;
    summary.train_loader.bytes_discarded = 1;
    summary.witnesses.counted.process_device = row.device;
    rank.epochs.push_back(summary);
  }
  return rank;
}

RunRecord Record(const std::string& uri, std::vector<RankRecord> ranks) {
  RunRecord record;
  record.facts.storage_uri = uri;
  record.ranks = std::move(ranks);
  return record;
}

TEST(Ledger, TheSourceIsTheInnermostStoreUnlessItIsSimulated) {
  EXPECT_EQ(SourceOf("/mnt/x"), SourceKind::kFiles);
  EXPECT_EQ(SourceOf("direct:///mnt/x?engine=uring"), SourceKind::kFiles);
  EXPECT_EQ(SourceOf("fault:?delay=1s,s3://b/x"), SourceKind::kServer);
  EXPECT_EQ(SourceOf("mem:"), SourceKind::kMemory);
  EXPECT_EQ(SourceOf("null:"), SourceKind::kNothing);
  EXPECT_EQ(SourceOf("model:?latency=1ms,/mnt/x"), SourceKind::kSimulated);
  EXPECT_EQ(SourceOf("fault:,model:?latency=1ms,null:"),
            SourceKind::kSimulated);
}

// Two ranks of a host: 1,000 bytes each; the devices gave 990 and 980 of the
// first epoch, 10 and 0 of the second, 300 and 400 of the third.
TEST(Ledger, WhatNoDeviceGaveCameFromThePageCache) {
  const Ledger ledger = MakeLedger(Record(
      "/mnt/x",
      {Rank(0, 0, 0, {{900, 1000, 990}, {900, 1000, 10}, {900, 1000, 300}}),
       Rank(1, 0, 1, {{900, 1000, 980}, {900, 1000, 0}, {900, 1000, 400}})}));
  ASSERT_EQ(ledger.entries.size(), 3U);
  EXPECT_EQ(ledger.entries[0].asked, 1800U);
  EXPECT_EQ(ledger.entries[0].delivered, 2000U);
  EXPECT_EQ(ledger.entries[0].discarded, 2U);
  EXPECT_EQ(ledger.entries[0].device, 1970U);
  EXPECT_EQ(ledger.entries[0].page_cache, 30U);
  EXPECT_EQ(ledger.entries[0].warmth, Warmth::kCold);
  EXPECT_EQ(ledger.entries[1].page_cache, 1990U);
  EXPECT_EQ(ledger.entries[1].warmth, Warmth::kWarm);
  EXPECT_EQ(ledger.entries[2].page_cache, 1300U);
  EXPECT_EQ(ledger.entries[2].warmth, Warmth::kMixed);
  EXPECT_EQ(ledger.run.delivered, 6000U);
  EXPECT_EQ(ledger.run.page_cache, 30U + 1990U + 1300U);
  EXPECT_EQ(ledger.run.warmth, Warmth::kMixed);
}

TEST(Ledger, ReadAheadBeyondWhatWasAskedIsNoNegativePageCache) {
  const Ledger ledger =
      MakeLedger(Record("/mnt/x", {Rank(0, 0, 0, {{900, 1000, 5000}})}));
  EXPECT_EQ(ledger.run.page_cache, 0U);
  EXPECT_EQ(ledger.run.warmth, Warmth::kCold);
}

TEST(Ledger, AHostWithoutAWitnessMakesTheRunUnknown) {
  const Ledger ledger = MakeLedger(
      Record("/mnt/x", {Rank(0, 0, 0, {{900, 1000, 990}}),
                        Rank(1, 1, 0, {{900, 1000, std::nullopt}})}));
  EXPECT_EQ(ledger.entries[0].warmth, Warmth::kCold);
  EXPECT_EQ(ledger.entries[1].warmth, Warmth::kUnknown);
  EXPECT_EQ(ledger.run.warmth, Warmth::kUnknown);
  EXPECT_EQ(ledger.missing_witnesses[0], "process_io");
}

TEST(Ledger, AServersBytesAreAllOfTheNetwork) {
  const Ledger ledger =
      MakeLedger(Record("s3://b/x", {Rank(0, 0, 0, {{900, 1000, 0}})}));
  EXPECT_EQ(ledger.run.network, 1000U);
  EXPECT_EQ(ledger.run.page_cache, 0U);
  EXPECT_EQ(ledger.run.warmth, Warmth::kCold);
}

// 400 of 1,000 bytes by our cache, the rest by devices: 60 % from storage.
TEST(Ledger, OurCacheIsNoStorage) {
  const Ledger ledger =
      MakeLedger(Record("/mnt/x", {Rank(0, 0, 0, {{900, 1000, 600, 400}})}));
  EXPECT_EQ(ledger.run.cache_tier, 400U);
  EXPECT_EQ(ledger.run.page_cache, 0U);
  EXPECT_EQ(ledger.run.warmth, Warmth::kMixed);
}

TEST(Ledger, SimulatedStoresAndNothingAreNeitherColdNorWarm) {
  for (const char* const uri : {"null:", "mem:", "model:?latency=1ms,/mnt"}) {
    const Ledger ledger =
        MakeLedger(Record(uri, {Rank(0, 0, 0, {{900, 1000, 0}})}));
    EXPECT_EQ(ledger.run.warmth, Warmth::kNone) << uri;
    EXPECT_FALSE(ledger.run.page_cache.has_value()) << uri;
  }
}

}  // namespace
}  // namespace stoker::metrics
