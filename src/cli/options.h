#pragma once

// Command-line options as a table: parsed, checked and printed from the same
// rows.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace stoker::cli {

// Commands an option belongs to, as bits.
using CommandSet = std::uint32_t;
inline constexpr CommandSet kDatasize = 1U << 0;
inline constexpr CommandSet kDatagen = 1U << 1;
inline constexpr CommandSet kRun = 1U << 2;
inline constexpr CommandSet kConfigview = 1U << 3;
inline constexpr CommandSet kCheckpointDatasize = 1U << 4;
inline constexpr CommandSet kCheckpointRun = 1U << 5;
inline constexpr CommandSet kCheckpointView = 1U << 6;
inline constexpr CommandSet kCheckpointVerify = 1U << 7;
inline constexpr CommandSet kCheckpointDelete = 1U << 8;
inline constexpr CommandSet kS3Cleanup = 1U << 9;
inline constexpr CommandSet kCacheFormat = 1U << 10;
inline constexpr CommandSet kCacheLook = 1U << 11;  // status, verify, ...
inline constexpr CommandSet kCacheWarm = 1U << 12;
inline constexpr CommandSet kCache = kCacheFormat | kCacheLook | kCacheWarm;
// Those that take a place and no workload, checkpointing's apart.
inline constexpr CommandSet kCare = kS3Cleanup | kCache;
inline constexpr CommandSet kHistory = 1U << 16;
inline constexpr CommandSet kTraining =
    kDatasize | kDatagen | kRun | kConfigview;
inline constexpr CommandSet kCheckpointing =
    kCheckpointDatasize | kCheckpointRun | kCheckpointView | kCheckpointVerify |
    kCheckpointDelete;

enum class ValueKind : std::uint8_t {
  kFlag,
  kText,
  kInteger,
  kNumber,   // above 0
  kBytes,    // core::ParseBytes, above 0
  kSeconds,  // core::ParseSeconds, above 0
  kList
};

struct Option {
  std::string_view name;        // "results-dir"
  std::string_view short_form;  // "-rd", "" for none
  ValueKind kind = ValueKind::kText;
  std::string_view value_name;  // "DIR"; choices as "a|b"
  std::string_view fallback;    // value when absent; "" for none
  CommandSet commands = 0;
  CommandSet required = 0;
  std::string_view help;
  bool choices = false;    // value_name lists the only values allowed
  std::int64_t least = 1;  // of an integer
};

// The options of training and checkpointing. A name may have several rows, for
// different commands, with the same fallback.
std::span<const Option> JobOptions();
// … and of `history show`.
std::span<const Option> HistoryOptions();

// The values of one command line.
class Arguments {
 public:
  bool Given(std::string_view name) const { return given_.contains(name); }
  bool Flag(std::string_view name) const;
  // The value, or the row's fallback.
  std::string Text(std::string_view name) const;
  // Of a value that CheckArguments has seen; else 0.
  std::int64_t Integer(std::string_view name) const;
  double Number(std::string_view name) const;
  std::uint64_t Bytes(std::string_view name) const;
  double Seconds(std::string_view name) const;
  std::vector<std::string> List(std::string_view name) const;
  // Words that belong to no option, in order: Hydra-style overrides
  // ("++workload.a.b=v" …), or what a command takes instead.
  const std::vector<std::string>& overrides() const { return overrides_; }

  void Set(std::string_view name, std::vector<std::string> values);
  void AddOverride(std::string text) { overrides_.push_back(std::move(text)); }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> given_;
  std::vector<std::string> overrides_;
};

// Parses the words behind the command. Short forms are those of the table;
// "--param" is "--params"; abbreviations are refused with the nearest option
// named. kInvalidArgument lists every mistake.
core::Result<Arguments> ParseArguments(std::span<const Option> options,
                                       CommandSet command,
                                       std::span<const std::string> words);
// Every value the command requires is there, integers are integers, choices
// are among the allowed. After the site file has been merged in.
core::Status CheckArguments(std::span<const Option> options, CommandSet command,
                            const Arguments& arguments);

// Text of --help for one command.
std::string DescribeOptions(std::span<const Option> options,
                            CommandSet command);

}  // namespace stoker::cli
