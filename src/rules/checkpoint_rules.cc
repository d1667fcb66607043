#include "rules/checkpoint_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/text.h"

namespace stoker::rules {

namespace {

struct Model {
  std::string_view name;
  std::uint32_t closed_ranks = 0;
  bool has_subset = true;
};
constexpr std::array<Model, 4> kCheckpointModels{{{"llama3-8b", 8, false},
                                                  {"llama3-70b", 64},
                                                  {"llama3-405b", 512},
                                                  {"llama3-1t", 1024}}};

// The folder is all that may differ; counts and format have rules of their own,
// and looking at more of what is read asks for nothing less.
constexpr auto kAllowedCheckpointKeys = std::to_array<std::string_view>(
    {"checkpoint.checkpoint_folder", "checkpoint.num_checkpoints_write",
     "checkpoint.num_checkpoints_read", "checkpoint.format",
     "checkpoint.verify"});

const Model* FindModel(std::string_view name) {
  const auto* found = std::ranges::find(kCheckpointModels, name, &Model::name);
  return found == kCheckpointModels.end() ? nullptr : found;
}

Finding Kept(std::string rule, std::string expected, std::string actual) {
  return {.rule = std::move(rule),
          .expected = std::move(expected),
          .actual = std::move(actual)};
}

// `finding` as it is where `kept`, else with the remedy and its level.
Finding Checked(bool kept, Finding finding, std::string remedy,
                Verdict level = Verdict::kInvalid) {
  if (!kept) {
    finding.remedy = std::move(remedy);
    finding.level = level;
  }
  return finding;
}

Finding CheckModel(const CheckpointClaim& claim) {
  std::vector<std::string_view> names;
  for (const Model& model : kCheckpointModels) {
    names.push_back(model.name);
  }
  const std::string list = core::Join(names, ", ");
  return Checked(FindModel(claim.model) != nullptr,
                 Kept("model", "one of " + list, std::string(claim.model)),
                 "run " + list);
}

Finding CheckRanks(const CheckpointClaim& claim) {
  const Model* model = FindModel(claim.model);
  const std::string actual =
      fmt::format("{}{}", claim.ranks, claim.subset ? " of a subset" : "");
  if (model == nullptr) {
    return Kept("num_processes", "those of the model", actual);
  }
  if (claim.subset) {
    return Checked(
        model->has_subset && claim.ranks == kSubsetRanks,
        Kept("num_processes",
             model->has_subset
                 ? fmt::format("CLOSED: {}, or {} for a subset",
                               model->closed_ranks, kSubsetRanks)
                 : fmt::format("CLOSED: {}, no subset", model->closed_ranks),
             actual),
        model->has_subset
            ? fmt::format("--num-processes {}, or {}", model->closed_ranks,
                          kSubsetRanks)
            : fmt::format("--num-processes {}", model->closed_ranks));
  }
  const bool open = claim.ranks % claim.model_ranks == 0;
  return Checked(claim.ranks == model->closed_ranks,
                 Kept("num_processes",
                      fmt::format("CLOSED: {}; OPEN: multiples of {}",
                                  model->closed_ranks, claim.model_ranks),
                      actual),
                 fmt::format("--num-processes {}{}", model->closed_ranks,
                             open ? ", or submit as OPEN" : ""),
                 open ? Verdict::kOpen : Verdict::kInvalid);
}

// The table of the rules says 4, their text more than 4.
Finding CheckRanksPerHost(const CheckpointClaim& claim) {
  return Checked(claim.least_ranks_per_host >= kLeastRanksPerHost,
                 Kept("ranks_per_host",
                      fmt::format("at least {} on each host, better more",
                                  kLeastRanksPerHost),
                      fmt::format("{} on the emptiest of {}",
                                  claim.least_ranks_per_host, claim.hosts)),
                 "fewer hosts");
}

Finding CheckCounts(const CheckpointClaim& claim) {
  const auto fits = [](std::uint64_t count) {
    return count == 0 || count == kCheckpointsOfARun;
  };
  return Checked(
      fits(claim.saves) && fits(claim.restores) &&
          claim.saves + claim.restores > 0,
      Kept("num_checkpoints",
           fmt::format("{0} written and {0} read, in one run or in two",
                       kCheckpointsOfARun),
           fmt::format("{} and {}", claim.saves, claim.restores)),
      fmt::format("--num-checkpoints-write and --num-checkpoints-read {}, or "
                  "0 for a part of its own",
                  kCheckpointsOfARun));
}

void CheckOverrides(const CheckpointClaim& claim,
                    std::vector<Finding>& findings) {
  std::string_view name = "allowed_params";
  for (const std::string& text : claim.overrides) {
    const std::string_view key = OverrideKey(text);
    const bool allowed = std::ranges::find(kAllowedCheckpointKeys, key) !=
                         kAllowedCheckpointKeys.end();
    findings.push_back(Checked(
        allowed,
        Kept(std::string(name),
             "only " + core::Join(kAllowedCheckpointKeys, ", ") + " changed",
             std::string(key)),
        fmt::format("leave {} as the workload has it", key)));
  }
  if (claim.overrides.empty()) {
    findings.push_back(Kept(std::string(name),
                            "only allowed parameters changed", "none changed"));
  }
}

Finding CheckClearing(const CheckpointClaim& claim) {
  Finding finding =
      Kept("clear_caches",
           fmt::format("caches cleared between saving and restoring where a "
                       "host has more than {} times the memory of its part of "
                       "a checkpoint",
                       kClearMultiple),
           "");
  if (!claim.clear_needed) {
    finding.actual = "the memory of the hosts is not given";
    return Checked(!claim.memory_needed, std::move(finding),
                   "--client-host-memory-in-gb");
  }
  if (!*claim.clear_needed) {
    finding.actual = "no host has so much";
    return finding;
  }
  if (claim.restores == 0) {
    finding.actual = "needed before the run that restores";
    return finding;
  }
  if (claim.clears) {
    finding.actual = "needed, and done";
    return finding;
  }
  if (claim.saves == 0) {
    finding.actual = "needed before this run, which does not do it";
    return finding;
  }
  finding.actual = "needed, and not done";
  return Checked(false, std::move(finding),
                 "--between drop-caches; or two runs, caches cleared in "
                 "between: --num-checkpoints-read 0, then "
                 "--num-checkpoints-write 0");
}

void CheckConditions(const CheckpointClaim& claim,
                     std::vector<Finding>& findings) {
  struct Condition {
    bool kept;
    std::string_view rule;
    std::string_view expected;
    std::string_view broken;
    std::string_view remedy;
  };
  const std::array<Condition, 7> conditions{
      {{claim.fsync, "fsync", "checkpoint.fsync on", "off",
        "checkpoint.fsync=true, without --compat v2.0"},
       {!claim.raw, "format", "checkpoint.format of torch.save", "raw",
        "leave checkpoint.format at torchzip"},
       {!claim.foreign, "foreign", "checkpoints of this tool restored",
        "those of another tool", "leave out --foreign"},
       {claim.keeps_all, "keep", "all checkpoints kept", "some removed",
        "leave out --keep"},
       {!claim.compat_v2_0, "compat", "no defect imitated", "--compat v2.0",
        "leave out --compat"},
       {!claim.reference_io, "io", "--io lean", "--io reference",
        "leave out --io"},
       {claim.real_storage, "storage", "storage that keeps data",
        "memory or a simulation",
        "--checkpoint-folder on the storage under test"}}};
  for (const Condition& condition : conditions) {
    findings.push_back(Checked(
        condition.kept,
        Kept(std::string(condition.rule), std::string(condition.expected),
             std::string(condition.kept ? "so" : condition.broken)),
        std::string(condition.remedy)));
  }
}

}  // namespace

bool ClearNeeded(std::uint64_t host_memory_bytes,
                 std::uint64_t checkpoint_bytes_of_host) {
  return host_memory_bytes > kClearMultiple * checkpoint_bytes_of_host;
}

bool ClearNeeded(std::uint64_t host_memory_bytes,
                 std::span<const std::uint64_t> checkpoint_bytes_of_hosts) {
  return std::ranges::any_of(checkpoint_bytes_of_hosts,
                             [&](std::uint64_t bytes) {
                               return ClearNeeded(host_memory_bytes, bytes);
                             });
}

std::optional<std::uint32_t> ClosedRanks(std::string_view model) {
  const Model* found = FindModel(model);
  return found == nullptr ? std::nullopt : std::optional(found->closed_ranks);
}

bool WritesSubset(std::string_view model, std::int64_t ranks) {
  const Model* found = FindModel(model);
  return found != nullptr && found->has_subset && ranks < found->closed_ranks;
}

Judgement Judge(const CheckpointClaim& claim) {
  Judgement judgement;
  std::vector<Finding>& findings = judgement.findings;
  findings.push_back(CheckModel(claim));
  findings.push_back(CheckRanks(claim));
  findings.push_back(CheckRanksPerHost(claim));
  findings.push_back(CheckCounts(claim));
  CheckOverrides(claim, findings);
  findings.push_back(CheckClearing(claim));
  CheckConditions(claim, findings);
  for (const Finding& finding : findings) {
    judgement.verdict = std::max(judgement.verdict, finding.level);
  }
  return judgement;
}

}  // namespace stoker::rules
