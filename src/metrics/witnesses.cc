#include "metrics/witnesses.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "core/text.h"

namespace stoker::metrics {
namespace {

constexpr std::uint64_t kSectorBytes = 512;  // whatever the disk's are

std::optional<std::uint64_t> WholeNumber(std::string_view text) {
  const core::Result<std::int64_t> number = core::ParseInt(text);
  if (!number.ok() || number.value() < 0) return std::nullopt;
  return static_cast<std::uint64_t>(number.value());
}

std::vector<std::string> WordsOf(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream in(line);
  for (std::string word; in >> word;) words.push_back(std::move(word));
  return words;
}

std::uint64_t NumberAt(const std::vector<std::string>& words, std::size_t at) {
  return at < words.size() ? WholeNumber(words[at]).value_or(0) : 0;
}

// "\040" is a blank, as mountinfo writes blanks, tabs, newlines, backslashes.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view code = text.substr(i, 4);
    const bool octal = code.size() == 4 && code[0] == '\\' &&
                       std::ranges::all_of(code.substr(1), [](char digit) {
                         return digit >= '0' && digit <= '7';
                       });
    if (octal) {
      plain += static_cast<char>((code[1] - '0') * 64 + (code[2] - '0') * 8 +
                                 (code[3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool Holds(std::string_view place, std::string_view path) {
  return place == "/" || path == place ||
         (path.starts_with(place) && path[place.size()] == '/');
}

std::optional<Mount> MountOfLine(const std::string& line) {
  // 36 35 98:0 /root /place options [tags] - type source options
  const std::vector<std::string> words = WordsOf(line);
  const auto dash = std::ranges::find(words, "-");
  if (words.size() < 6 || words.end() - dash < 3) return std::nullopt;
  return Mount{.device = words[2],
               .place = Unescape(words[4]),
               .type = dash[1],
               .source = Unescape(dash[2])};
}

// The cgroup of this process: below which folder its files lie.
struct CgroupFolders {
  std::optional<std::string> v2;
  std::optional<std::string> v1_blkio;
  std::optional<std::string> v1_memory;
};

CgroupFolders FindCgroup(const KernelTables& tables) {
  CgroupFolders folders;
  std::ifstream file(tables.proc + "/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "4:memory:/a/b"; of v2 "0::/a/b"
    const std::size_t first = line.find(':');
    const std::size_t second =
        first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (names.empty()) folders.v2 = tables.cgroup + path;
    for (const std::string_view name : core::Split(names, ',')) {
      if (name == "blkio") folders.v1_blkio = tables.cgroup + "/blkio" + path;
      if (name == "memory")
        folders.v1_memory = tables.cgroup + "/memory" + path;
    }
  }
  return folders;
}

// 254:0 rbytes=1 wbytes=2 rios=3 …
std::optional<Traffic> SumIoStat(const std::string& path) {
  std::ifstream file(path);
  if (!file.is_open()) return std::nullopt;
  Traffic sum;
  for (std::string line; std::getline(file, line);) {
    for (const std::string& word : WordsOf(line)) {
      if (word.starts_with("rbytes="))
        sum.read += WholeNumber(word.substr(7)).value_or(0);
      if (word.starts_with("wbytes="))
        sum.written += WholeNumber(word.substr(7)).value_or(0);
    }
  }
  return sum;
}

// 254:0 Read 1
std::optional<Traffic> SumServiceBytes(const std::string& path) {
  std::ifstream file(path);
  if (!file.is_open()) return std::nullopt;
  Traffic sum;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = WordsOf(line);
    if (words.size() != 3) continue;
    if (words[1] == "Read") sum.read += NumberAt(words, 2);
    if (words[1] == "Write") sum.written += NumberAt(words, 2);
  }
  return sum;
}

std::optional<std::uint64_t> NumberOfLine(const std::string& path,
                                          std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = WordsOf(line);
    if (words.size() == 2 && words[0] == key) return WholeNumber(words[1]);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Traffic> ReadProcessTraffic(const KernelTables& tables) {
  const std::string path = tables.proc + "/self/io";
  const auto read = NumberOfLine(path, "read_bytes:");
  const auto written = NumberOfLine(path, "write_bytes:");
  if (!read.has_value() || !written.has_value()) return std::nullopt;
  return Traffic{.read = *read, .written = *written};
}

std::optional<Mount> FindMount(std::string_view path,
                               const KernelTables& tables) {
  std::optional<Mount> best;
  std::ifstream file(tables.proc + "/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::optional<Mount> mount = MountOfLine(line);
    if (mount.has_value() && Holds(mount->place, path) &&
        (!best.has_value() || mount->place.size() >= best->place.size())) {
      best = std::move(mount);
    }
  }
  return best;
}

std::optional<Traffic> ReadDiskTraffic(const Mount& mount,
                                       const KernelTables& tables) {
  std::optional<Traffic> by_source;
  std::ifstream file(tables.proc + "/diskstats");
  for (std::string line; std::getline(file, line);) {
    // major minor name reads merged sectors_read ms writes merged sectors …
    const std::vector<std::string> words = WordsOf(line);
    if (words.size() < 10) continue;
    const Traffic traffic{.read = NumberAt(words, 5) * kSectorBytes,
                          .written = NumberAt(words, 9) * kSectorBytes};
    if (words[0] + ':' + words[1] == mount.device) return traffic;
    // File systems with device numbers of their own (btrfs) tell the disk by
    // its name.
    if ("/dev/" + words[2] == mount.source) by_source = traffic;
  }
  return by_source;
}

std::optional<Traffic> ReadNfsTraffic(const Mount& mount,
                                      const KernelTables& tables) {
  std::ifstream file(tables.proc + "/self/mountstats");
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = WordsOf(line);
    // device server:/export mounted on /place with fstype nfs4 …
    if (words.size() >= 8 && words[0] == "device") {
      here = Unescape(words[4]) == mount.place && words[7].starts_with("nfs");
    }
    // bytes: normal read, written, direct read, written, server read, written …
    if (here && words.size() >= 7 && words[0] == "bytes:") {
      return Traffic{.read = NumberAt(words, 5), .written = NumberAt(words, 6)};
    }
  }
  return std::nullopt;
}

std::optional<NicTraffic> ReadNicTraffic(const KernelTables& tables) {
  std::ifstream file(tables.proc + "/net/dev");
  std::optional<NicTraffic> sum;
  for (std::string line; std::getline(file, line);) {
    //   eth0: received packets … (8 columns) sent …
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::vector<std::string> name = WordsOf(line.substr(0, colon));
    const std::vector<std::string> words = WordsOf(line.substr(colon + 1));
    if (name.size() != 1 || words.size() < 9) continue;
    if (!sum.has_value()) sum.emplace();
    Traffic& traffic = name[0] == "lo" ? sum->loopback : sum->network;
    traffic.read += NumberAt(words, 0);
    traffic.written += NumberAt(words, 8);
  }
  return sum;
}

std::optional<Traffic> ReadCgroupTraffic(const KernelTables& tables) {
  const CgroupFolders folders = FindCgroup(tables);
  std::optional<Traffic> traffic;
  if (folders.v2) traffic = SumIoStat(*folders.v2 + "/io.stat");
  if (!traffic && folders.v1_blkio) {
    traffic =
        SumServiceBytes(*folders.v1_blkio + "/blkio.throttle.io_service_bytes");
  }
  return traffic;
}

std::optional<std::uint64_t> ReadCgroupCache(const KernelTables& tables) {
  const CgroupFolders folders = FindCgroup(tables);
  std::optional<std::uint64_t> bytes;
  if (folders.v2) bytes = NumberOfLine(*folders.v2 + "/memory.stat", "file");
  if (!bytes && folders.v1_memory) {
    bytes = NumberOfLine(*folders.v1_memory + "/memory.stat", "total_cache");
  }
  return bytes;
}

}  // namespace stoker::metrics
