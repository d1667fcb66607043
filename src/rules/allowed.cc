#include "rules/allowed.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/text.h"

namespace stoker::rules {

namespace {

using core::Code;
using core::Status;

constexpr auto kAllowedKeys = std::to_array<AllowedKey>({
    {"dataset.num_files_train", Verdict::kClosed},
    {"dataset.num_subfolders_train", Verdict::kClosed},
    {"dataset.data_folder", Verdict::kClosed},
    {"reader.read_threads", Verdict::kClosed},
    {"reader.computation_threads", Verdict::kClosed},
    {"reader.transfer_size", Verdict::kClosed},
    {"reader.odirect", Verdict::kClosed},
    {"reader.prefetch_size", Verdict::kClosed},
    {"checkpoint.checkpoint_folder", Verdict::kClosed},
    {"storage.storage_type", Verdict::kClosed},
    {"storage.storage_root", Verdict::kClosed},
    {"framework", Verdict::kOpen},
    {"dataset.format", Verdict::kOpen},
    {"dataset.num_samples_per_file", Verdict::kOpen},
    {"reader.data_loader", Verdict::kOpen},
    // Ours. Threads of the emulator ask for nothing else; the model in effect
    // has a rule of its own.
    {"reader.pump_threads", Verdict::kClosed},
    {"reader.loader_model", Verdict::kClosed},
    {"reader.request_bytes", Verdict::kOpen},
    {"reader.byte_budget", Verdict::kOpen},
});

// Keys of this section choose phases; they are judged by what they do.
constexpr std::string_view kUnjudgedSection = "workflow";

constexpr auto kModels =
    std::to_array<std::string_view>({"cosmoflow", "resnet50", "unet3d"});
constexpr auto kAcceleratorTypes =
    std::to_array<std::string_view>({"a100", "h100"});
constexpr std::string_view kDirectReadModel = "unet3d";
// Whose pipeline the rules of this version of the benchmark are about.
constexpr std::string_view kClosedLoader = "dlio-v2";

std::string KeysOf(Verdict division) {
  std::vector<std::string_view> keys;
  for (const AllowedKey& allowed : kAllowedKeys) {
    if (allowed.division == division) keys.push_back(allowed.key);
  }
  return core::Join(keys, ", ");
}

void CheckOneOf(std::string_view rule, std::string_view value,
                std::span<const std::string_view> known,
                std::vector<Finding>& findings) {
  const bool found = std::ranges::find(known, value) != known.end();
  const std::string expected = core::Join(known, ", ");
  findings.push_back({.rule = std::string(rule),
                      .expected = "one of " + expected,
                      .actual = std::string(value),
                      .remedy = found ? "" : fmt::format("run {}", expected),
                      .level = found ? Verdict::kClosed : Verdict::kInvalid});
}

Finding JudgeKey(std::string_view key) {
  Finding finding{.rule = "allowed_params", .actual = std::string(key)};
  const auto* row = std::ranges::find(kAllowedKeys, key, &AllowedKey::key);
  if (row == kAllowedKeys.end()) {
    finding.expected =
        fmt::format("CLOSED: {}; OPEN also: {}", KeysOf(Verdict::kClosed),
                    KeysOf(Verdict::kOpen));
    finding.remedy = fmt::format("leave {} as the workload has it", key);
    finding.level = Verdict::kInvalid;
  } else if (row->division == Verdict::kOpen) {
    finding.expected = "CLOSED: " + KeysOf(Verdict::kClosed);
    finding.remedy =
        fmt::format("submit as OPEN, or leave {} as the workload has it", key);
    finding.level = Verdict::kOpen;
  } else {
    finding.expected = "a parameter that CLOSED may change";
  }
  return finding;
}

void CheckOverrides(const RunClaim& claim, std::vector<Finding>& findings) {
  const std::size_t before = findings.size();
  for (const std::string& text : claim.overrides) {
    const std::string_view key = OverrideKey(text);
    if (!key.starts_with(kUnjudgedSection)) findings.push_back(JudgeKey(key));
  }
  if (findings.size() == before) {
    findings.push_back({.rule = "allowed_params",
                        .expected = "only allowed parameters changed",
                        .actual = "none changed"});
  }
}

void CheckDirectReads(const RunClaim& claim, std::vector<Finding>& findings) {
  const bool broken = claim.odirect && claim.model != kDirectReadModel;
  findings.push_back(
      {.rule = "odirect_supported_model",
       .expected = fmt::format("reader.odirect only with {}", kDirectReadModel),
       .actual = fmt::format("reader.odirect {} with {}",
                             claim.odirect ? "on" : "off", claim.model),
       .remedy = broken ? "leave reader.odirect off" : "",
       .level = broken ? Verdict::kInvalid : Verdict::kClosed});
}

void CheckLoader(const RunClaim& claim, std::vector<Finding>& findings) {
  const bool closed = claim.loader_model == kClosedLoader;
  findings.push_back(
      {.rule = "loader_model",
       .expected = fmt::format("CLOSED: reader.loader_model={}", kClosedLoader),
       .actual = std::string(claim.loader_model),
       .remedy = closed ? ""
                        : fmt::format("submit as OPEN, or leave "
                                      "reader.loader_model at {}",
                                      kClosedLoader),
       .level = closed ? Verdict::kClosed : Verdict::kOpen});
}

void CheckFileCount(const RunClaim& claim, std::vector<Finding>& findings) {
  const std::uint64_t least = claim.required.files;
  const bool enough = claim.files_train >= least;
  findings.push_back(
      {.rule = "num_files_train",
       .expected = fmt::format(
           "at least {} files ({} by {} times client memory, {} by {} steps)",
           least, claim.required.by_memory, kMemoryMultiple,
           claim.required.by_steps, kStepsPerEpoch),
       .actual = fmt::format("{} files", claim.files_train),
       .remedy = enough ? ""
                        : fmt::format("generate the dataset anew with "
                                      "dataset.num_files_train={}",
                                      claim.required.files),
       .level = enough ? Verdict::kClosed : Verdict::kInvalid});
}

// A plain condition of the run.
void CheckThat(bool kept, Finding finding, std::vector<Finding>& findings) {
  if (kept) {
    finding.remedy.clear();
  } else {
    finding.level = Verdict::kInvalid;
  }
  findings.push_back(std::move(finding));
}

void CheckConditions(const RunClaim& claim, std::vector<Finding>& findings) {
  CheckThat(claim.memory_known,
            {.rule = "client_memory",
             .expected = "the memory of the client hosts is given",
             .actual = claim.memory_known ? "given" : "not given",
             .remedy = "--client-host-memory-in-gb"},
            findings);
  CheckThat(claim.checks,
            {.rule = "checksums",
             .expected = "checksums are verified",
             .actual = claim.checks ? "verified" : "not verified",
             .remedy = "leave out --no-check"},
            findings);
  CheckThat(claim.real_storage,
            {.rule = "storage",
             .expected = "storage that keeps data",
             .actual = claim.real_storage ? "so" : "memory or a simulation",
             .remedy = "--data-dir on the storage under test"},
            findings);
  CheckThat(!claim.foresees,
            {.rule = "what_if_cache",
             .expected = "no cache that knows what will be read",
             .actual = claim.foresees ? "what-if: policy=belady" : "so",
             .remedy = "another policy of the cache"},
            findings);
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kClosed:
      return "CLOSED";
    case Verdict::kOpen:
      return "OPEN";
    case Verdict::kInvalid:
      break;
  }
  return "INVALID";
}

std::span<const AllowedKey> AllowedKeys() { return kAllowedKeys; }

std::string_view OverrideKey(std::string_view override_text) {
  std::string_view key = override_text.substr(0, override_text.find('='));
  const std::size_t start = key.find_first_not_of("+~");
  if (start == std::string_view::npos) return {};
  key.remove_prefix(start);
  constexpr std::string_view kRoot = "workload.";
  if (key.starts_with(kRoot)) key.remove_prefix(kRoot.size());
  return key;
}

Judgement Judge(const RunClaim& claim) {
  Judgement judgement;
  judgement.what_if = claim.foresees;
  std::vector<Finding>& findings = judgement.findings;
  CheckOneOf("model", claim.model, kModels, findings);
  CheckOneOf("accelerator_type", claim.accelerator_type, kAcceleratorTypes,
             findings);
  CheckFileCount(claim, findings);
  CheckOverrides(claim, findings);
  CheckDirectReads(claim, findings);
  CheckLoader(claim, findings);
  CheckConditions(claim, findings);
  for (const Finding& finding : findings) {
    judgement.verdict = std::max(judgement.verdict, finding.level);
  }
  return judgement;
}

Status Admit(const Judgement& judgement, Division division,
             bool allow_invalid) {
  const Verdict worst_allowed = division == Division::kClosed ? Verdict::kClosed
                                : division == Division::kOpen
                                    ? Verdict::kOpen
                                    : Verdict::kInvalid;
  if (judgement.verdict <= worst_allowed) return {};
  if (judgement.verdict == Verdict::kInvalid && allow_invalid) return {};
  std::string message =
      fmt::format("this run would be {}, not {}; nothing was started",
                  VerdictName(judgement.verdict), VerdictName(worst_allowed));
  for (const Finding& finding : judgement.findings) {
    if (finding.level <= worst_allowed) continue;
    message += fmt::format("\n  {}: {}; expected {}; remedy: {}", finding.rule,
                           finding.actual, finding.expected, finding.remedy);
  }
  return {Code::kInvalidArgument, std::move(message)};
}

}  // namespace stoker::rules
