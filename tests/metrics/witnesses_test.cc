#include "metrics/witnesses.h"

#include <gtest/gtest.h>

#include <string>

namespace stoker::metrics {
namespace {

const std::string kKernel = STOKER_SOURCE_DIR "/tests/data/kernel";
const KernelTables kTables{.proc = kKernel + "/proc",
                           .cgroup = kKernel + "/cgroup"};
const KernelTables kV1{.proc = kKernel + "/proc_v1",
                       .cgroup = kKernel + "/cgroup_v1"};
const KernelTables kNone{.proc = kKernel + "/nothing",
                         .cgroup = kKernel + "/nothing"};

TEST(Witnesses, ProcessCountsWhatReachedTheBlockLayer) {
  EXPECT_EQ(ReadProcessTraffic(kTables),
            (Traffic{.read = 819200, .written = 4096}));
}

TEST(Witnesses, MountOfAPathIsTheInnermost) {
  const auto type = [](const char* path) {
    const auto mount = FindMount(path, kTables);
    return mount.has_value() ? mount->type + " " + mount->device : "";
  };
  EXPECT_EQ(type("/"), "ext4 254:0");
  EXPECT_EQ(type("/srv/x"), "ext4 254:0");
  EXPECT_EQ(type("/dev/shm/x"), "tmpfs 0:23");
  EXPECT_EQ(type("/mnt/data"), "xfs 259:2");
  EXPECT_EQ(type("/mnt/data/set/train"), "xfs 259:2");
  EXPECT_EQ(type("/mnt/database"), "ext4 254:0");
  EXPECT_EQ(type("/mnt/data/nfs share/set"), "nfs4 0:52");
  // Of two at one place the later hides the earlier.
  EXPECT_EQ(type("/mnt/twice/a"), "xfs 259:2");
}

TEST(Witnesses, DiskCountsSectorsOf512BytesOfThePartitionMounted) {
  EXPECT_EQ(ReadDiskTraffic(*FindMount("/mnt/data/a", kTables), kTables),
            (Traffic{.read = 70000 * 512, .written = 8000 * 512}));
  EXPECT_EQ(ReadDiskTraffic(*FindMount("/a", kTables), kTables),
            (Traffic{.read = 16000 * 512, .written = 4000 * 512}));
}

TEST(Witnesses, DiskOfAFileSystemWithItsOwnNumbersIsFoundByName) {
  EXPECT_EQ(ReadDiskTraffic(*FindMount("/mnt/pool/a", kTables), kTables),
            (Traffic{.read = 2000 * 512, .written = 600 * 512}));
  EXPECT_FALSE(
      ReadDiskTraffic(*FindMount("/dev/shm/a", kTables), kTables).has_value());
}

TEST(Witnesses, NfsCountsWhatTheServerSent) {
  EXPECT_EQ(
      ReadNfsTraffic(*FindMount("/mnt/data/nfs share/a", kTables), kTables),
      (Traffic{.read = 150000, .written = 2400}));
  EXPECT_EQ(ReadNfsTraffic(*FindMount("/mnt/fast/a", kTables), kTables),
            (Traffic{.read = 5, .written = 6}));
  EXPECT_FALSE(
      ReadNfsTraffic(*FindMount("/mnt/data/a", kTables), kTables).has_value());
}

TEST(Witnesses, LoopbackIsNoNetwork) {
  const auto nics = ReadNicTraffic(kTables);
  ASSERT_TRUE(nics.has_value());
  EXPECT_EQ(nics->network, (Traffic{.read = 6000000, .written = 50000}));
  EXPECT_EQ(nics->loopback, (Traffic{.read = 777777, .written = 777777}));
}

TEST(Witnesses, CgroupOfVersion2) {
  EXPECT_EQ(ReadCgroupTraffic(kTables), (Traffic{.read = 1500, .written = 27}));
  EXPECT_EQ(ReadCgroupCache(kTables), 65536U);
}

TEST(Witnesses, CgroupOfVersion1) {
  EXPECT_EQ(ReadCgroupTraffic(kV1), (Traffic{.read = 3050, .written = 406}));
  EXPECT_EQ(ReadCgroupCache(kV1), 8192U);
}

TEST(Witnesses, WhatTheKernelDoesNotTellIsNothing) {
  EXPECT_FALSE(ReadProcessTraffic(kNone).has_value());
  EXPECT_FALSE(FindMount("/", kNone).has_value());
  EXPECT_FALSE(ReadDiskTraffic({.device = "254:0"}, kNone).has_value());
  EXPECT_FALSE(ReadNfsTraffic({.place = "/mnt/fast"}, kNone).has_value());
  EXPECT_FALSE(ReadNicTraffic(kNone).has_value());
  EXPECT_FALSE(ReadCgroupTraffic(kNone).has_value());
  EXPECT_FALSE(ReadCgroupCache(kNone).has_value());
}

}  // namespace
}  // namespace stoker::metrics
