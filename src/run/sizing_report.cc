#include "run/sizing_report.h"

#include <fmt/format.h>

#include "core/units.h"
#include "rules/allowed.h"
#include "rules/sizing.h"
#include "run/internal/admission.h"
#include "run/plan.h"

namespace stoker::run {

namespace {

double Gib(double bytes) { return core::ToGiB(bytes); }

// Of the fullest host.
struct Demand {
  rules::HostDemand rates;
  std::uint64_t loader_bytes = 0;
};

core::Result<Demand> DemandOf(const config::LoadedConfig& config,
                              std::int64_t accelerators, std::int64_t hosts) {
  Demand demand{.rates =
                    rules::DemandPerHost(config.workload, accelerators, hosts)};
  STOKER_ASSIGN(
      demand.loader_bytes,
      LoaderBytesPerRank(config, static_cast<std::uint64_t>(accelerators)));
  demand.loader_bytes *= static_cast<std::uint64_t>(demand.rates.accelerators);
  return demand;
}

std::string DescribeDemand(const Demand& host, double au) {
  const rules::HostDemand& demand = host.rates;
  return fmt::format(
      "Each host ({} accelerators) will ask of its storage:\n"
      "  {:.2f} GiB/s while no accelerator waits, {:.2f} GiB/s at the "
      "utilisation floor of {:.0f} %\n"
      "  {:.1f} samples/s, {:.1f} files opened per second\n"
      "  {:.2f} GiB of memory for request buffers, batches read ahead and "
      "tables (the page cache comes on top)\n",
      demand.accelerators, Gib(demand.bytes_per_second),
      Gib(demand.floor_bytes_per_second), au * 100, demand.samples_per_second,
      demand.opens_per_second, Gib(static_cast<double>(host.loader_bytes)));
}

std::string DescribeRule(const rules::Sizing& sizing) {
  return sizing.binds == rules::SizingRule::kMemory
             ? fmt::format("{} times the memory of the client hosts",
                           rules::kMemoryMultiple)
             : fmt::format("{} steps per epoch", rules::kStepsPerEpoch);
}

}  // namespace

core::Result<std::string> DescribeDatasize(const DatasizeRequest& request) {
  const config::WorkloadConfig& workload = request.config->workload;
  STOKER_ASSIGN(const rules::Sizing sizing,
                rules::SizeDataset(rules::SizingInputOf(
                    workload, request.accelerators, request.hosts,
                    request.memory_gib_per_host)));
  std::string text = fmt::format(
      "Files by memory: {}\nFiles by steps: {}\n"
      "Minimum number of files: {}\n  decided by: {}\n"
      "Number of subfolders: 0\n"
      "Disk space: {:.2f} GiB ({} bytes)\n"
      "Steps per epoch: {}\n",
      sizing.by_memory, sizing.by_steps, sizing.files, DescribeRule(sizing),
      Gib(static_cast<double>(sizing.bytes)), sizing.bytes,
      sizing.steps_per_epoch);
  if (sizing.steps_per_epoch < rules::kStepsPerEpoch) {
    text += fmt::format(
        "  warning: rounding down leaves {} steps; {} files have {} (the "
        "reference accepts the smaller number)\n",
        sizing.steps_per_epoch, sizing.files_for_all_steps,
        rules::kStepsPerEpoch);
  }
  if (sizing.subfolders > 0) {
    text += fmt::format(
        "  hint: with {} files, dataset.num_subfolders_train={} keeps folders "
        "small\n",
        sizing.files, sizing.subfolders);
  }
  text += fmt::format("An epoch takes {} when no accelerator waits\n",
                      core::FormatSeconds(rules::EpochSeconds(
                          workload, sizing.steps_per_epoch)));
  STOKER_ASSIGN(const Demand demand,
                DemandOf(*request.config, request.accelerators, request.hosts));
  text += DescribeDemand(demand, workload.metric.au);
  text += fmt::format(
      "Next:\n  stoker training datagen --hosts={} --model={}{} --params "
      "dataset.num_files_train={} --num-processes={} --results-dir={} "
      "--data-dir={}\n  (the number of processes may be chosen freely)\n",
      request.host_list, request.model, request.params, sizing.files,
      request.accelerators, request.results_dir,
      request.data_dir.empty() ? "<data directory>" : request.data_dir);
  return text;
}

Admission AdmitRun(const AdmissionRequest& request) {
  const config::WorkloadConfig& workload = request.config->workload;
  const core::Result<rules::Sizing> sizing = rules::SizeDataset(
      rules::SizingInputOf(workload, request.accelerators, request.hosts,
                           request.memory_gib_per_host));
  if (!sizing.ok()) {
    Admission admission;
    admission.status = sizing.status();
    return admission;
  }
  const rules::Judgement judgement = rules::Judge(rules::RunClaim{
      .model = request.model,
      .accelerator_type = request.accelerator,
      .overrides = request.config->overrides,
      .odirect = workload.reader.odirect,
      .loader_model = workload.reader.loader_model,
      .files_train =
          static_cast<std::uint64_t>(workload.dataset.num_files_train),
      .required = sizing.value(),
      .memory_known = request.memory_gib_per_host > 0 || request.what_if,
      .checks = request.checks,
      .real_storage = internal::IsRealStorage(request.data_uri),
      .foresees = internal::Foresees(request.data_uri)});
  return internal::AdmissionOf(judgement, request.division,
                               request.allow_invalid);
}

core::Result<Event> DescribePlan(const config::LoadedConfig& config,
                                 std::int64_t ranks, std::int64_t hosts,
                                 std::string_view data_uri) {
  STOKER_ASSIGN(const RunPlan plan,
                MakePlan(config, {.ranks = static_cast<std::uint32_t>(ranks)}));
  STOKER_ASSIGN(const Demand demand, DemandOf(config, ranks, hosts));
  const std::string compute =
      DescribeTime(config.workload.train.computation_time);
  Event event{.name = "plan"};
  event.text = fmt::format(
      "plan: {} ranks, {} epochs of {} steps, batch {}, compute {} s per step\n"
      "data: {} files of {} sample(s) in {}\n{}",
      ranks, plan.epochs, plan.steps, plan.train.batch_size, compute,
      plan.train.files, plan.samples_per_file, data_uri,
      DescribeDemand(demand, config.workload.metric.au));
  event.text.pop_back();  // the break
  for (const std::string& warning : plan.warnings) {
    event.text += fmt::format("\nwarning: {}", warning);
  }
  const double bytes = static_cast<double>(plan.train.files) *
                       static_cast<double>(plan.samples_per_file) *
                       plan.sizes.record_length;
  event.fields = {
      {"ranks", ranks},
      {"hosts", hosts},
      {"epochs", plan.epochs},
      {"steps", plan.steps},
      {"eval_steps", plan.eval_steps},
      {"batch_size", plan.train.batch_size},
      {"computation_time", compute},
      {"files", plan.train.files},
      {"eval_files", plan.eval.files},
      {"samples_per_file", plan.samples_per_file},
      {"bytes", static_cast<std::uint64_t>(bytes)},
      {"storage_uri", data_uri},
      {"host_accelerators", demand.rates.accelerators},
      {"host_gib_per_s", Gib(demand.rates.bytes_per_second)},
      {"host_floor_gib_per_s", Gib(demand.rates.floor_bytes_per_second)},
      {"host_samples_per_s", demand.rates.samples_per_second},
      {"host_opens_per_s", demand.rates.opens_per_second},
      {"host_loader_bytes", demand.loader_bytes},
      {"warnings", plan.warnings}};
  return event;
}

}  // namespace stoker::run
