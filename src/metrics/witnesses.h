#pragma once

// What the kernel counted of the bytes that were read: of this process, of a
// file system's device or server, of the network interfaces, of the cgroup.
// Counters since boot or start: what counts is the difference of two readings.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoker::metrics {

// Where the kernel's tables lie; others for tests.
struct KernelTables {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
};

// Bytes.
struct Traffic {
  std::uint64_t read = 0;
  std::uint64_t written = 0;
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

// What this process, all its threads, made the block layer read and write;
// file systems of servers count here only partly (<proc>/self/io). Every reader
// returns nothing where the kernel does not tell.
std::optional<Traffic> ReadProcessTraffic(const KernelTables& tables = {});

// A mounted file system (<proc>/self/mountinfo).
struct Mount {
  std::string device{};  // "254:0": major and minor number
  std::string place{};   // mount point
  std::string type{};    // "ext4", "nfs4", "tmpfs"
  std::string source{};  // "/dev/vda1", "server:/export"
};
// The one that holds `path`, which is absolute and without links; of those
// mounted at one place the last.
std::optional<Mount> FindMount(std::string_view path,
                               const KernelTables& tables = {});

// Of the whole disk or partition that `mount` lies on, whoever asked for it
// (<proc>/diskstats).
std::optional<Traffic> ReadDiskTraffic(const Mount& mount,
                                       const KernelTables& tables = {});

// To and from the server of an NFS mount (<proc>/self/mountstats).
std::optional<Traffic> ReadNfsTraffic(const Mount& mount,
                                      const KernelTables& tables = {});

// Of all network interfaces of the network namespace, loopback apart
// (<proc>/net/dev). Bytes received are `read`, sent ones `written`. An
// interface stacked on another (bridge, bond) counts its bytes again.
struct NicTraffic {
  Traffic network{};
  Traffic loopback{};
};
std::optional<NicTraffic> ReadNicTraffic(const KernelTables& tables = {});

// Of the cgroup this process is in, v2 (io.stat) or v1
// (blkio.throttle.io_service_bytes): of all devices and members.
std::optional<Traffic> ReadCgroupTraffic(const KernelTables& tables = {});
// Bytes of the page cache that the cgroup is charged with (memory.stat).
std::optional<std::uint64_t> ReadCgroupCache(const KernelTables& tables = {});

}  // namespace stoker::metrics
