#include "metrics/witnesses.h"

#include <gtest/gtest.h>

#include <string>

namespace stoker::metrics {
namespace {

const std::string kData = STOKER_SOURCE_DIR "/tests/data/kernel";

Witnesses Read(bool host, const std::string& below = "") {
  return ReadWitnesses(
      host, {.proc = kData + below + "/proc", .sys = kData + below + "/sys"});
}

TEST(Witnesses, ProcessIoCountsWhatDevicesRead) {
  const Witnesses seen = Read(/*host=*/false);
  EXPECT_EQ(seen.process_device, 1048576U);
  EXPECT_FALSE(seen.host_devices || seen.nfs || seen.network || seen.cgroup);
}

// sda 2,048 and nvme0n1 4,096 sectors of 512 bytes; sda1 is part of sda, dm-0
// is made of others.
TEST(Witnesses, DiskstatsCountsEveryDiskOnce) {
  EXPECT_EQ(Read(true).host_devices, (2048U + 4096U) * 512U);
}

// The fifth number of each NFS mount: what was read from the server.
TEST(Witnesses, MountstatsCountsWhatNfsServersSent) {
  EXPECT_EQ(Read(true).nfs, 5000U + 600U);
}

TEST(Witnesses, LoopbackIsNoNetwork) {
  EXPECT_EQ(Read(true).network, 30000U + 2000U);
  EXPECT_EQ(Read(true).loopback, 7000U);
}

TEST(Witnesses, ControlGroupsOfBothVersionsCount) {
  EXPECT_EQ(Read(true).cgroup, 4000U + 500U);
  EXPECT_EQ(Read(true, "/v1").cgroup, 700U + 50U);
}

TEST(Witnesses, WhatIsNotThereIsNotZero) {
  EXPECT_EQ(Read(true, "/nowhere"), Witnesses{});
}

TEST(Witnesses, ThisHostTellsOfItself) {
  const Witnesses before = ReadWitnesses(true);
  EXPECT_TRUE(before.loopback.has_value());
  const Witnesses between = Between(before, ReadWitnesses(true));
  EXPECT_TRUE(between.loopback.has_value());
}

TEST(Witnesses, DifferencesAreKnownWhereBothAreAndNothingWentBack) {
  const Witnesses before{.process_device = 10, .nfs = 100, .network = 7};
  const Witnesses after{.process_device = 25, .host_devices = 3, .nfs = 90};
  EXPECT_EQ(Between(before, after), Witnesses{.process_device = 15});
}

TEST(Witnesses, SumsAreOfWhatIsKnown) {
  const Witnesses a{.process_device = 1, .nfs = 2};
  const Witnesses b{.process_device = 10, .network = 5};
  EXPECT_EQ(SumOf(a, b),
            (Witnesses{.process_device = 11, .nfs = 2, .network = 5}));
}

}  // namespace
}  // namespace stoker::metrics
