#pragma once

// What the kernel counted meanwhile: independent of what the loaders say, it
// tells where bytes came from.

#include <cstdint>
#include <optional>
#include <string>

namespace stoker::metrics {

// Counts of a process and of its host, at a moment, or between two. Nothing
// where the kernel does not tell. All are bytes.
struct Witnesses {
  // What this process made block devices read (/proc/self/io, read_bytes).
  std::optional<std::uint64_t> process_device{};
  // The rest is of the whole host, and is there on its first rank only.
  std::optional<std::uint64_t> host_devices{};  // whole disks (/proc/diskstats)
  std::optional<std::uint64_t> nfs{};  // from servers (mountstats); 0 without
  std::optional<std::uint64_t>
      network{};  // received, but for lo (/proc/net/dev)
  std::optional<std::uint64_t> loopback{};  // received by lo
  std::optional<std::uint64_t> cgroup{};    // read by this control group

  friend bool operator==(const Witnesses&, const Witnesses&) = default;
};

// Where the kernel's files are, for tests.
struct KernelFiles {
  std::string proc = "/proc";
  std::string sys = "/sys";
};

// `host`: with what is of the whole host. What cannot be read is left out.
Witnesses ReadWitnesses(bool host, const KernelFiles& files = {});

// What was counted from `before` to `after`; nothing where one of the two
// tells nothing, or where the count went back (a disk or mount that was
// removed).
Witnesses Between(const Witnesses& before, const Witnesses& after);

// Known ones are added; a sum of nothing is nothing.
Witnesses SumOf(const Witnesses& a, const Witnesses& b);

}  // namespace stoker::metrics
