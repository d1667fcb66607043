#include "metrics/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "metrics/ledger_gather.h"

namespace stoker::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

HostLedger DiskHost(std::uint64_t delivered, std::uint64_t process_read) {
  return {.medium = Medium::kDisk,
          .delivered = delivered,
          .process_read = process_read,
          .disk_read = process_read,
          .cgroup_read = process_read,
          .before = CacheSample{.files = 1, .bytes = 10, .cached = 0},
          .after = CacheSample{.files = 1, .bytes = 10, .cached = 10}};
}

TEST(Ledger, WhatNoDeviceReadCameFromThePageCache) {
  const Served served = ServedOf(DiskHost(1000, 300));
  EXPECT_EQ(served, (Served{.page_cache = 700, .device = 300}));
}

// The kernel reads ahead, and whole pages: never more than was delivered.
TEST(Ledger, ADeviceServesNoMoreThanWasDelivered) {
  EXPECT_EQ(ServedOf(DiskHost(1000, 4096)), (Served{.device = 1000}));
}

TEST(Ledger, TheHostsDeviceStandsInForAProcessThatCannotTell) {
  HostLedger host = DiskHost(1000, 0);
  host.process_read.reset();
  host.disk_read = 600;
  EXPECT_EQ(ServedOf(host), (Served{.page_cache = 400, .device = 600}));
  host.disk_read.reset();
  EXPECT_EQ(ServedOf(host), (Served{.unknown = 1000}));
}

TEST(Ledger, NfsServesWhatItsServerSent) {
  HostLedger host{.medium = Medium::kNetworkFiles,
                  .delivered = 1000,
                  .process_read = 0,
                  .nfs_read = 250};
  EXPECT_EQ(ServedOf(host), (Served{.page_cache = 750, .network = 250}));
  // Another client counts with the process, if at all.
  host.nfs_read.reset();
  EXPECT_EQ(ServedOf(host), (Served{.unknown = 1000}));
  host.process_read = 900;
  EXPECT_EQ(ServedOf(host), (Served{.page_cache = 100, .network = 900}));
}

TEST(Ledger, AServersBytesAreNetworkUnlessATierInFrontHadThem) {
  HostLedger host{.medium = Medium::kServer,
                  .delivered = 1000,
                  .cache_tier = 400,
                  .memory_tier = 100,
                  .requests = storage::RequestCounters{.bytes_received = 450}};
  EXPECT_EQ(
      ServedOf(host),
      (Served{
          .memory = 100, .cache_tier = 400, .network = 450, .unknown = 50}));
}

TEST(Ledger, MemoryAndNothingNeedNoWitness) {
  EXPECT_EQ(ServedOf({.medium = Medium::kMemory, .delivered = 9}),
            (Served{.memory = 9}));
  EXPECT_EQ(ServedOf({.medium = Medium::kNothing, .delivered = 9}),
            (Served{.nothing = 9}));
  EXPECT_THAT(MissingWitnesses({.medium = Medium::kMemory}), IsEmpty());
  EXPECT_THAT(MissingWitnesses({.medium = Medium::kNothing}), IsEmpty());
}

TEST(Ledger, JudgesByTheShareOfDevicesAndNetwork) {
  EXPECT_EQ(Judge({.page_cache = 50, .device = 900, .network = 50}),
            CacheState::kCold);
  EXPECT_EQ(Judge({.page_cache = 51, .device = 949}), CacheState::kMixed);
  EXPECT_EQ(Judge({.page_cache = 949, .device = 51}), CacheState::kMixed);
  EXPECT_EQ(Judge({.page_cache = 950, .device = 50}), CacheState::kWarm);
  EXPECT_EQ(Judge({.cache_tier = 100}), CacheState::kWarm);
  EXPECT_EQ(Judge({.memory = 95, .network = 5}), CacheState::kMemory);
  EXPECT_EQ(Judge({.memory = 94, .network = 6}), CacheState::kMixed);
  EXPECT_EQ(Judge({.device = 94, .unknown = 6}), CacheState::kUnknown);
  EXPECT_EQ(Judge({.device = 95, .unknown = 5}), CacheState::kCold);
  EXPECT_EQ(Judge({.nothing = 7}), CacheState::kNone);
  EXPECT_EQ(Judge({}), CacheState::kNone);
}

TEST(Ledger, NamesTheWitnessesThatAreMissing) {
  EXPECT_THAT(MissingWitnesses(DiskHost(1, 1)), IsEmpty());
  EXPECT_THAT(MissingWitnesses(HostLedger{}),
              ElementsAre("/proc/self/mountinfo"));
  EXPECT_THAT(MissingWitnesses({.medium = Medium::kDisk}),
              ElementsAre("/proc/self/io", "cachestat or mincore",
                          "/proc/diskstats", "cgroup I/O"));
  EXPECT_THAT(MissingWitnesses({.medium = Medium::kNetworkFiles}),
              ElementsAre("/proc/self/io", "cachestat or mincore",
                          "/proc/self/mountstats", "/proc/net/dev"));
  EXPECT_THAT(MissingWitnesses({.medium = Medium::kServer}),
              ElementsAre("/proc/net/dev", "requests of the back end"));
}

TEST(Ledger, WitnessesOfADeviceAgreeWithinATenth) {
  constexpr std::uint64_t kMiB = 1U << 20;
  HostLedger host{.process_read = 90 * kMiB, .disk_read = 100 * kMiB};
  EXPECT_EQ(DeviceWitnessesAgree(host), true);
  host.process_read = 89 * kMiB;
  EXPECT_EQ(DeviceWitnessesAgree(host), false);
  // Little is not worth a difference.
  host = {.process_read = 0, .disk_read = kMiB};
  EXPECT_EQ(DeviceWitnessesAgree(host), true);
  host.disk_read.reset();
  EXPECT_FALSE(DeviceWitnessesAgree(host).has_value());
}

TEST(Ledger, KindsOfFileSystems) {
  EXPECT_EQ(MediumOfFileSystem("ext4"), Medium::kDisk);
  EXPECT_EQ(MediumOfFileSystem("fuseblk"), Medium::kDisk);
  EXPECT_EQ(MediumOfFileSystem("tmpfs"), Medium::kMemory);
  EXPECT_EQ(MediumOfFileSystem("nfs4"), Medium::kNetworkFiles);
  EXPECT_EQ(MediumOfFileSystem("fuse.s3fs"), Medium::kNetworkFiles);
}

TEST(Ledger, ARunIsTheSumOfItsEpochs) {
  HostLedger cold = DiskHost(1000, 1000);
  cold.drop_caches = core::Nanos(5);
  HostLedger warm = DiskHost(1000, 0);
  warm.drop_caches = core::Nanos(9);
  const RunLedger run{.epochs = {{.epoch = 1, .hosts = {cold, cold}},
                                 {.epoch = 2, .hosts = {warm, warm}}}};
  EXPECT_EQ(Judge(ServedOf(run.epochs[0])), CacheState::kCold);
  EXPECT_EQ(Judge(ServedOf(run.epochs[1])), CacheState::kWarm);
  EXPECT_EQ(ServedOf(run), (Served{.page_cache = 2000, .device = 2000}));
  EXPECT_EQ(Judge(ServedOf(run)), CacheState::kMixed);
  const HostLedger sum = SumOf(run);
  EXPECT_EQ(sum.delivered, 4000U);
  EXPECT_EQ(sum.process_read, 2000U);
  EXPECT_EQ(sum.drop_caches, core::Nanos(9));
  EXPECT_EQ(sum.before->bytes, 40U);
}

TEST(Ledger, WhatOneHostDoesNotTellTheSumDoesNot) {
  HostLedger silent = DiskHost(10, 0);
  silent.process_read.reset();
  const EpochLedger epoch{.epoch = 1, .hosts = {DiskHost(10, 10), silent}};
  EXPECT_FALSE(SumOf(epoch).process_read.has_value());
  EXPECT_EQ(SumOf(epoch).disk_read, 10U);
}

// Three ranks of one host; a value of each tells the rank it is from.
TEST(GatherLedger, AddsRanksToHostsAndMergesLatencies) {
  core::VirtualClock clock;
  const core::CancelFlag cancel;
  RunLedger run;
  comm::RunThreads(3, clock, &cancel, [&run](comm::Communicator& comm) {
    const auto rank = static_cast<std::uint64_t>(comm.rank());
    RankLedger mine;
    mine.epoch = 4;
    mine.host = {
        .medium = Medium::kServer,
        .asked = 1 + rank,
        .delivered = 10 + rank,
        .discarded = 100 + rank,
        .cache_tier = 2 * rank,
        .memory_tier = 3 * rank,
        .process_read = 1000 + rank,
        .requests = storage::RequestCounters{.requests = 7, .throttled = rank}};
    if (rank == 0) {
      mine.host.disk_read = 50;
      mine.host.nfs_read = 51;
      mine.host.nic_received = 52;
      mine.host.loopback_received = 53;
      mine.host.cgroup_read = 54;
      mine.host.cgroup_cache = 55;
      mine.host.before = CacheSample{.files = 1, .bytes = 2, .cached = 1};
      mine.host.after = CacheSample{.files = 3, .bytes = 4, .cached = 2};
      mine.host.drop_caches = core::Nanos(56);
    }
    mine.latencies.Add(storage::LatencyKind::kRead, 4096,
                       core::Nanos(100 * (rank + 1)));
    RunLedger other;
    ASSERT_TRUE(GatherLedger(comm, mine, rank == 0 ? run : other).ok());
    EXPECT_TRUE(other.epochs.empty());
  });
  ASSERT_EQ(run.epochs.size(), 1U);
  EXPECT_EQ(run.epochs[0].epoch, 4U);
  ASSERT_EQ(run.epochs[0].hosts.size(), 1U);
  const HostLedger& host = run.epochs[0].hosts[0];
  EXPECT_EQ(host.medium, Medium::kServer);
  EXPECT_EQ(host.asked, 6U);       // 1 + 2 + 3
  EXPECT_EQ(host.delivered, 33U);  // 10 + 11 + 12
  EXPECT_EQ(host.discarded, 303U);
  EXPECT_EQ(host.cache_tier, 6U);   // 0 + 2 + 4
  EXPECT_EQ(host.memory_tier, 9U);  // 0 + 3 + 6
  EXPECT_EQ(host.process_read, 3003U);
  EXPECT_EQ(host.requests->requests, 21U);
  EXPECT_EQ(host.requests->throttled, 3U);
  EXPECT_EQ(host.disk_read, 50U);
  EXPECT_EQ(host.nfs_read, 51U);
  EXPECT_EQ(host.nic_received, 52U);
  EXPECT_EQ(host.loopback_received, 53U);
  EXPECT_EQ(host.cgroup_read, 54U);
  EXPECT_EQ(host.cgroup_cache, 55U);
  EXPECT_EQ(host.before->bytes, 2U);
  EXPECT_EQ(host.after->cached, 2U);
  EXPECT_EQ(host.drop_caches, core::Nanos(56));
  ASSERT_EQ(run.epochs[0].latencies.size(), 1U);
  EXPECT_EQ(run.epochs[0].latencies[0].count, 3U);
  const LatencyFigures reads =
      FiguresOf(run.latencies, storage::LatencyKind::kRead);
  EXPECT_EQ(reads.count, 3U);
  EXPECT_EQ(reads.p50, 200);  // 200 and 201 share a bucket
  EXPECT_EQ(reads.max, 300);
}

}  // namespace
}  // namespace stoker::metrics
