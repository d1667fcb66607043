#include "storage/internal/file_settings.h"

#include <fmt/format.h>

#include <string_view>

#include "storage/internal/uring_ring.h"
#include "storage/uri_options.h"

namespace stoker::storage::internal {

namespace {

constexpr std::uint64_t kBlockUnit = 4096;
constexpr std::uint64_t kLargestBlock = 1ULL << 30;
constexpr std::uint64_t kLargestDepth = 16384;

// "/mnt/x//" → "/mnt/x", "/" → "". Otherwise as written: taking ".." out would
// change what a path through a symbolic link means.
std::string RootOf(std::string_view place) {
  while (place.ends_with('/')) {
    place.remove_suffix(1);
  }
  return std::string(place);
}

core::Result<FileEngine> ParseEngine(const Uri& uri) {
  const std::string_view text = TextOption(uri, "engine", "auto");
  if (text == "auto") {
    return FileEngine::kAuto;
  }
  if (text == "threads") {
    return FileEngine::kThreads;
  }
  if (text == "uring") {
    STOKER_TRY(ProbeUring().WithContext("storage " + uri.scheme));
    return FileEngine::kUring;
  }
  return BadOption(uri, "engine", "allowed are auto, uring and threads");
}

core::Result<std::optional<std::uint64_t>> ParseBlock(const Uri& uri) {
  if (!uri.options.contains("block")) {
    return std::optional<std::uint64_t>();
  }
  STOKER_ASSIGN(const std::uint64_t block, BytesOption(uri, "block", 0));
  if (block % kBlockUnit != 0 || block > kLargestBlock) {
    return BadOption(uri, "block",
                     "allowed are multiples of 4096 bytes up to 1 GiB, and 0 "
                     "for reads that are not split");
  }
  return std::optional(block);
}

core::Result<PageAdvice> ParseAdvice(const Uri& uri) {
  using Order = PageAdvice::Order;
  PageAdvice advice;
  const std::string_view text = TextOption(uri, "fadvise", "normal");
  if (text == "sequential") {
    advice.order = Order::kSequential;
  } else if (text == "random") {
    advice.order = Order::kRandom;
  } else if (text == "noreuse") {
    advice.read_once = true;
  } else if (text == "dontneed") {
    advice.drop = true;
  } else if (text != "normal") {
    return BadOption(uri, "fadvise",
                     "allowed are normal, sequential, random, noreuse and "
                     "dontneed");
  }
  const std::string_view ahead = TextOption(uri, "readahead", "");
  if (ahead != "" && ahead != "on" && ahead != "off") {
    return BadOption(uri, "readahead", "allowed are on and off");
  }
  if (ahead == "off" && advice.order == Order::kSequential) {
    return BadOption(uri, "readahead",
                     "fadvise=sequential asks for more of it; leave one of "
                     "the two out");
  }
  if (ahead == "on" && advice.order == Order::kRandom) {
    return BadOption(uri, "readahead",
                     "fadvise=random turns it off; leave one of the two out");
  }
  if (ahead == "off") {
    advice.order = Order::kRandom;
  }
  return advice;
}

}  // namespace

core::Result<FileSettings> ParseFileSettings(const Uri& uri, Access access) {
  FileSettings settings;
  if (uri.place.empty()) {
    return core::Status(
        core::Code::kInvalidArgument,
        fmt::format("storage {}: no folder given; write {}:///folder{}",
                    uri.scheme, uri.scheme,
                    access == Access::kDefault ? " or ./folder" : ""));
  }
  settings.scheme = uri.scheme;
  settings.place = uri.place;
  settings.root = RootOf(uri.place);
  settings.access = access;
  STOKER_ASSIGN(settings.engine, ParseEngine(uri));
  STOKER_ASSIGN(
      settings.io_threads,
      CountOption(uri, "io_threads", 0, {.lowest = 1, .highest = 256}));
  STOKER_ASSIGN(
      settings.write_threads,
      CountOption(uri, "write_threads", 1, {.lowest = 1, .highest = 64}));
  STOKER_ASSIGN(settings.depth,
                CountOption(uri, "depth", SIZE_MAX,
                            {.lowest = 1, .highest = kLargestDepth}));
  STOKER_ASSIGN(settings.block, ParseBlock(uri));
  STOKER_ASSIGN(settings.advice, ParseAdvice(uri));
  return settings;
}

}  // namespace stoker::storage::internal
