#include "metrics/witnesses.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string_view>
#include <vector>

#include "core/text.h"

namespace stoker::metrics {
namespace {

using Count = std::optional<std::uint64_t>;

std::vector<std::string> Words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

Count Number(std::string_view text) {
  const auto value = core::ParseInt(text);
  if (!value.ok() || value.value() < 0) return std::nullopt;
  return static_cast<std::uint64_t>(value.value());
}

void AddTo(Count& sum, Count more) {
  if (more) sum = sum.value_or(0) + *more;
}

// False if there is no such file.
bool ForEachLine(const std::string& path,
                 const std::function<void(const std::string&)>& visit) {
  std::ifstream file(path);
  if (!file) return false;
  for (std::string line; std::getline(file, line);) visit(line);
  return true;
}

Count ProcessDevice(const std::string& proc) {
  Count bytes;
  ForEachLine(proc + "/self/io", [&](const std::string& line) {
    constexpr std::string_view kKey = "read_bytes: ";
    if (line.starts_with(kKey)) {
      bytes = Number(std::string_view(line).substr(kKey.size()));
    }
  });
  return bytes;
}

// Sectors of 512 bytes; partitions and what is made of other disks (dm, md,
// loop) would count the same bytes twice, so only what /sys says is a device
// of its own counts.
Count HostDevices(const KernelFiles& files) {
  constexpr std::uint64_t kSector = 512;
  Count sum;
  ForEachLine(files.proc + "/diskstats", [&](const std::string& line) {
    const std::vector<std::string> words = Words(line);
    std::error_code error;
    if (words.size() < 6 ||
        !std::filesystem::exists(files.sys + "/block/" + words[2] + "/device",
                                 error)) {
      return;
    }
    const Count sectors = Number(words[5]);
    AddTo(sum, sectors ? Count(*sectors * kSector) : Count());
  });
  return sum;
}

// "bytes:" has normal read and write, direct read and write, then what the
// server was asked for: read, write.
Count Nfs(const std::string& proc) {
  std::uint64_t sum = 0;
  bool nfs = false;
  const bool told =
      ForEachLine(proc + "/self/mountstats", [&](const std::string& line) {
        const std::vector<std::string> words = Words(line);
        if (words.empty()) return;
        if (words[0] == "device") {
          nfs = line.find(" fstype nfs") != std::string::npos;
        } else if (nfs && words[0] == "bytes:" && words.size() > 5) {
          sum += Number(words[5]).value_or(0);
        }
      });
  return told ? Count(sum) : Count();
}

void Network(const std::string& proc, Witnesses& seen) {
  ForEachLine(proc + "/net/dev", [&](const std::string& line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) return;
    const std::vector<std::string> name = Words(line.substr(0, colon));
    const std::vector<std::string> words = Words(line.substr(colon + 1));
    if (name.size() != 1 || words.empty()) return;
    AddTo(name[0] == "lo" ? seen.loopback : seen.network, Number(words[0]));
  });
}

// Of version 2: io.stat, "8:0 rbytes=1 wbytes=2 …"; of version 1 the blkio
// controller's blkio.throttle.io_service_bytes, "8:0 Read 1".
Count Cgroup(const KernelFiles& files) {
  std::string unified;
  std::string blkio;
  ForEachLine(files.proc + "/self/cgroup", [&](const std::string& line) {
    const std::vector<std::string_view> parts = core::Split(line, ':');
    if (parts.size() < 3) return;
    if (parts[1].empty()) unified = parts[2];
    for (const std::string_view name : core::Split(parts[1], ',')) {
      if (name == "blkio") blkio = parts[2];
    }
  });
  Count sum;
  const auto add_v2 = [&](const std::string& line) {
    for (const std::string& word : Words(line)) {
      constexpr std::string_view kKey = "rbytes=";
      if (word.starts_with(kKey)) {
        AddTo(sum, Number(std::string_view(word).substr(kKey.size())));
      }
    }
  };
  const auto add_v1 = [&](const std::string& line) {
    const std::vector<std::string> words = Words(line);
    if (words.size() == 3 && words[1] == "Read") AddTo(sum, Number(words[2]));
  };
  const std::string root = files.sys + "/fs/cgroup";
  if (!blkio.empty() &&
      ForEachLine(root + "/blkio" + blkio + "/blkio.throttle.io_service_bytes",
                  add_v1)) {
    return sum;
  }
  if (!unified.empty()) {
    ForEachLine(root + unified + "/io.stat", add_v2);
  }
  return sum;
}

Count Difference(Count before, Count after) {
  return before && after && *after >= *before ? Count(*after - *before)
                                              : Count();
}

// `join` of each member of the two.
template <class Join>
Witnesses Joined(const Witnesses& a, const Witnesses& b, Join join) {
  return {.process_device = join(a.process_device, b.process_device),
          .host_devices = join(a.host_devices, b.host_devices),
          .nfs = join(a.nfs, b.nfs),
          .network = join(a.network, b.network),
          .loopback = join(a.loopback, b.loopback),
          .cgroup = join(a.cgroup, b.cgroup)};
}

}  // namespace

Witnesses ReadWitnesses(bool host, const KernelFiles& files) {
  Witnesses seen;
  seen.process_device = ProcessDevice(files.proc);
  if (host) {
    seen.host_devices = HostDevices(files);
    seen.nfs = Nfs(files.proc);
    Network(files.proc, seen);
    seen.cgroup = Cgroup(files);
  }
  return seen;
}

Witnesses Between(const Witnesses& before, const Witnesses& after) {
  return Joined(before, after, Difference);
}

Witnesses SumOf(const Witnesses& a, const Witnesses& b) {
  return Joined(a, b, [](Count x, Count y) {
    AddTo(x, y);
    return x;
  });
}

}  // namespace stoker::metrics
