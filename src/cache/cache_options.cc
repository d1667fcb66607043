#include "cache/cache_options.h"

#include <algorithm>
#include <string_view>

#include "core/text.h"
#include "storage/uri_options.h"

namespace stoker::cache {

namespace {

core::Result<bool> OnOff(const storage::Uri& uri, std::string_view key,
                         bool fallback) {
  const std::string_view text =
      storage::TextOption(uri, key, fallback ? "on" : "off");
  if (text != "on" && text != "off") {
    return storage::BadOption(uri, key, "expected on or off");
  }
  return text == "on";
}

core::Result<Fill> FillOption(const storage::Uri& uri) {
  const std::string_view text = storage::TextOption(uri, "fill", "on");
  if (text == "off") {
    return Fill::kOff;
  }
  if (text == "on") {
    return Fill::kOn;
  }
  if (text == "always") {
    return Fill::kAlways;
  }
  return storage::BadOption(uri, "fill", "expected on, off or always");
}

core::Result<double> WritesPerDayOption(const storage::Uri& uri,
                                        double fallback) {
  const std::string_view text = storage::TextOption(uri, "dwpd", "");
  if (text.empty()) {
    return fallback;
  }
  const core::Result<double> value = core::ParseDouble(text);
  if (!value.ok() || !(value.value() > 0 && value.value() <= 1000)) {
    return storage::BadOption(uri, "dwpd",
                              "expected a number above 0, at most 1000");
  }
  return value;
}

core::Result<double> GuardOption(const storage::Uri& uri, double fallback) {
  const std::string_view text = storage::TextOption(uri, "guard", "");
  if (text.empty()) {
    return fallback;
  }
  if (text == "off") {
    return 0.0;
  }
  const core::Result<double> value = core::ParseDouble(text);
  if (!value.ok() || !(value.value() > 1 && value.value() <= 1000)) {
    return storage::BadOption(uri, "guard",
                              "expected off, or a number above 1, at most "
                              "1000");
  }
  return value;
}

core::Result<Verify> VerifyOption(const storage::Uri& uri) {
  const std::string_view text = storage::TextOption(uri, "verify", "full");
  if (text == "none") {
    return Verify::kNone;
  }
  if (text == "sample") {
    return Verify::kSample;
  }
  if (text == "full") {
    return Verify::kFull;
  }
  return storage::BadOption(uri, "verify", "expected none, sample or full");
}

core::Result<Start> StartOption(const storage::Uri& uri) {
  const std::string_view text = storage::TextOption(uri, "start", "as-found");
  if (text == "cold") {
    return Start::kCold;
  }
  if (text == "as-found") {
    return Start::kAsFound;
  }
  if (text == "warm") {
    return Start::kWarm;
  }
  return storage::BadOption(uri, "start", "expected as-found, cold or warm");
}

core::Result<Write> WriteOption(const storage::Uri& uri) {
  const std::string_view text = storage::TextOption(uri, "write", "around");
  if (text == "around") {
    return Write::kAround;
  }
  if (text == "through") {
    return Write::kThrough;
  }
  if (text == "back") {
    return Write::kBack;
  }
  return storage::BadOption(uri, "write", "expected around, through or back");
}

core::Result<Ack> AckOption(const storage::Uri& uri) {
  const std::string_view text = storage::TextOption(uri, "ack", "local");
  if (text == "local") {
    return Ack::kLocal;
  }
  if (text == "backing") {
    return Ack::kBacking;
  }
  return storage::BadOption(uri, "ack", "expected local or backing");
}

core::Result<storage::BlockEngine> EngineOption(const storage::Uri& uri) {
  const std::string_view text = storage::TextOption(uri, "engine", "auto");
  if (text == "auto") {
    return storage::BlockEngine::kAuto;
  }
  if (text == "uring") {
    return storage::BlockEngine::kUring;
  }
  if (text == "threads") {
    return storage::BlockEngine::kThreads;
  }
  return storage::BadOption(uri, "engine", "expected uring, threads or auto");
}

}  // namespace

std::string_view PolicyName(Policy policy) {
  const std::span<const PolicyInfo> known = Policies();
  return std::ranges::find(known, policy, &PolicyInfo::policy)->name;
}

core::Result<CacheOptions> ParseCacheOptions(const storage::Uri& uri) {
  CacheOptions options;
  std::string_view rest = uri.place;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    if (const std::string_view path = rest.substr(0, colon); !path.empty()) {
      options.directories.emplace_back(path);
    }
    rest.remove_prefix(colon == std::string_view::npos ? rest.size()
                                                       : colon + 1);
  }
  if (options.directories.empty()) {
    return core::Status(core::Code::kInvalidArgument,
                        "storage cache: it needs a directory; example: "
                        "cache:/nvme/stoker?size=100GiB,s3://bucket/prefix");
  }
  STOKER_ASSIGN(options.quota_bytes,
                storage::BytesOption(uri, "size", options.quota_bytes));
  STOKER_ASSIGN(options.slot_bytes,
                storage::BytesOption(uri, "slot", options.slot_bytes));
  STOKER_ASSIGN(options.small_slot_bytes,
                storage::BytesOption(
                    uri, "small_slot",
                    std::min(options.small_slot_bytes,
                             options.slot_bytes > options.small_slot_bytes
                                 ? options.small_slot_bytes
                                 : std::uint64_t{0})));
  STOKER_ASSIGN(
      options.small_share,
      storage::FractionOption(uri, "small_share", options.small_share));
  STOKER_ASSIGN(options.policy,
                FindPolicy(storage::TextOption(uri, "policy", "never")));
  STOKER_ASSIGN(options.verify, VerifyOption(uri));
  STOKER_ASSIGN(options.start, StartOption(uri));
  STOKER_ASSIGN(options.fill, FillOption(uri));
  STOKER_ASSIGN(options.drive_writes_per_day,
                WritesPerDayOption(uri, options.drive_writes_per_day));
  STOKER_ASSIGN(options.write_budget, OnOff(uri, "budget", false));
  STOKER_ASSIGN(options.guard, GuardOption(uri, options.guard));
  STOKER_ASSIGN(options.balance, OnOff(uri, "balance", options.balance));
  STOKER_ASSIGN(options.write, WriteOption(uri));
  STOKER_ASSIGN(options.ack, AckOption(uri));
  STOKER_ASSIGN(options.dirty_share,
                storage::FractionOption(uri, "dirty", options.dirty_share));
  if (options.dirty_share > kMostDirtyShare) {
    return storage::BadOption(uri, "dirty",
                              "0.9 at most, so that readers have slots too");
  }
  STOKER_ASSIGN(options.buffer_bytes,
                storage::BytesOption(uri, "buffers", options.buffer_bytes));
  STOKER_ASSIGN(options.seed, storage::CountOption(uri, "seed", options.seed));
  STOKER_ASSIGN(options.engine, EngineOption(uri));
  STOKER_ASSIGN(options.prefetch_bytes,
                storage::BytesOption(uri, "prefetch", options.prefetch_bytes));
  if (options.prefetch_bytes > 0 && options.policy != Policy::kBelady) {
    return storage::BadOption(uri, "prefetch", "it needs policy=belady");
  }
  return options;
}

}  // namespace stoker::cache
