#include "tests/reporting/synthetic_run.h"

#include <fstream>
#include <sstream>

#include "core/check.h"

namespace stoker::testing {
namespace {

constexpr std::uint32_t kRunRanks = 2;
constexpr std::uint32_t kEpochs = 2;

core::Nanos RunMillis(std::int64_t count) {
  return std::chrono::milliseconds(count);
}

metrics::StepRecord MakeStep(std::int64_t proc_ms, std::int64_t compute_ms) {
  return {.load = RunMillis(proc_ms - compute_ms),
          .compute = RunMillis(compute_ms),
          .proc = RunMillis(proc_ms),
          .barrier = RunMillis(25),
          .overshoot = std::chrono::microseconds(50),
          .samples = 7,
          .bytes = 7ULL << 20,
          .cpu = RunMillis(60),
          .cpu_main = RunMillis(10),
          .checking = RunMillis(20)};
}

}  // namespace

metrics::RunFacts SyntheticFacts(bool evaluation) {
  metrics::RunFacts facts;
  facts.model = "unet3d";
  facts.accelerator = "h100";
  facts.num_accelerators = kRunRanks;
  facts.num_hosts = 1;
  facts.epochs = kEpochs;
  facts.batch_size = 7;
  facts.batch_size_eval = 3;
  facts.num_files_train = 56;
  facts.num_files_eval = evaluation ? 12 : 0;
  facts.record_length_bytes = 1048576;
  facts.steps_per_epoch = 4;
  facts.eval_steps = evaluation ? 2 : 0;
  facts.au_target = 0.7;
  facts.computation_time = "0.4";
  facts.eval_time = "0.3";
  facts.evaluation = evaluation;
  facts.storage_uri = "file:///data";
  facts.backend = "file";
  facts.engine = "threads";
  facts.loader_model = "dlio-v2";
  facts.data_loader = "pytorch";
  facts.format = "npz";
  facts.read_threads = 4;
  facts.seed = 123;
  facts.tool_version = "0.1.0";
  facts.command_line = "stoker training run --model unet3d";
  return facts;
}

metrics::TimeAnchor SyntheticAnchor() {
  // 2025-03-01T12:00:00Z is 20148.5 days after 1970: 1,740,830,400 s.
  return {.wall = metrics::WallTime(std::chrono::seconds(1740830400) +
                                    RunMillis(250)),
          .run = core::TimePoint(std::chrono::seconds(1000))};
}

metrics::HostFacts SyntheticHost() {
  metrics::HostFacts host;
  host.hostname = "node1";
  host.cpu_count = 4;
  host.memory_bytes = 1ULL << 30;
  host.processor_name = "Some CPU";
  host.cpuinfo = {{"vendor_id", "Some"}, {"model name", "Some CPU"}};
  host.meminfo = {{"MemTotal", "1048576 kB"}, {"MemFree", "1024 kB"}};
  host.ranks = kRunRanks;
  return host;
}

metrics::EpochRecord SyntheticEpoch(std::uint32_t rank, std::uint32_t epoch,
                                    bool evaluation) {
  const std::int64_t compute = rank == 1 && epoch == 2 ? 480 : 400;
  metrics::EpochRecord record;
  record.epoch = epoch;
  record.start = SyntheticAnchor().run + std::chrono::seconds(10 * epoch);
  metrics::BlockRecord block;
  block.start = record.start + RunMillis(100);
  block.end = block.start + RunMillis(3600);
  block.closed = true;
  block.steps = {MakeStep(2000, compute), MakeStep(500, compute),
                 MakeStep(500, compute), MakeStep(500, compute)};
  record.blocks = {block};
  record.train_end = record.start + RunMillis(3755);
  record.end = record.start + RunMillis(5000);
  if (evaluation) {
    metrics::BlockRecord eval;
    eval.start = record.start + RunMillis(3800);
    eval.end = eval.start + RunMillis(1000);
    eval.closed = true;
    eval.steps = {MakeStep(600, 300), MakeStep(400, 300)};
    record.eval = eval;
  }
  record.train_loader.files_opened = 28;
  record.train_loader.reads = {.reads = 1000,
                               .bytes = 28ULL << 20,
                               .latency_sum = RunMillis(2000),
                               .latency_max = RunMillis(10)};
  record.train_loader.checking = RunMillis(250);
  record.cpu = {
      .user = RunMillis(700), .system = RunMillis(300), .main = RunMillis(50)};
  record.meminfo = {{"MemFree", "512 kB"}};
  return record;
}

metrics::RunRecord SyntheticRun(bool evaluation) {
  metrics::RunRecord record;
  record.state = metrics::RunState::kComplete;
  record.facts = SyntheticFacts(evaluation);
  record.started = SyntheticAnchor().wall;
  record.ended = record.started + std::chrono::seconds(26);
  record.hosts = {SyntheticHost()};
  record.op_stream_hash = "00000000000000ab";
  for (std::uint32_t rank = 0; rank < kRunRanks; ++rank) {
    metrics::RankRecord of;
    of.facts.rank = rank;
    of.facts.local_rank = rank;
    of.facts.op_stream_hash = 0xA0 + rank;
    of.facts.engine = "threads";
    of.facts.anchor = SyntheticAnchor();
    for (std::uint32_t epoch = 1; epoch <= kEpochs; ++epoch) {
      of.epochs.push_back(
          metrics::SummariseEpoch(SyntheticEpoch(rank, epoch, evaluation),
                                  metrics::TrainCounted(record.facts),
                                  metrics::EvalCounted(record.facts)));
    }
    record.ranks.push_back(std::move(of));
  }
  // Of the three counted steps of two epochs.
  for (const int millis : {100, 100, 100, 100, 100, 120}) {
    record.longest_loads.Add(RunMillis(millis).count());
  }
  return record;
}

metrics::TrainingCheckpoints SyntheticCheckpointPlan() {
  return {.count = 2,
          .bytes = 2ULL << 30,
          .files = 1,
          .stored_bytes = (2ULL << 30) + 1000,
          .storage_uri = "file:///ck",
          .format = "torchzip",
          .fsync = true};
}

metrics::CheckpointOp SyntheticSave(std::uint32_t rank, std::uint32_t epoch) {
  metrics::CheckpointOp save;
  save.step = 5;
  save.start = SyntheticAnchor().run + std::chrono::seconds(10 * epoch + 5);
  save.end = save.start + RunMillis(rank == 1 ? 1000 : 500 / epoch);
  save.files = rank == 0 ? 1 : 0;
  save.payload_bytes = rank == 0 ? 2ULL << 30 : 0;
  save.fsync = RunMillis(100);
  return save;
}

metrics::RunRecord SyntheticRunWithCheckpoints() {
  metrics::RunRecord record = SyntheticRun(false);
  record.facts.checkpoints = SyntheticCheckpointPlan();
  for (metrics::RankRecord& rank : record.ranks) {
    for (metrics::EpochSummary& epoch : rank.epochs)
      epoch.saves = {SyntheticSave(rank.facts.rank, epoch.epoch)};
  }
  return record;
}

metrics::RankRecorder SyntheticRecorder(std::uint32_t rank, bool evaluation,
                                        const std::string& folder) {
  core::Result<metrics::RankRecorder> made =
      metrics::RankRecorder::Make(SyntheticFacts(evaluation), folder);
  STOKER_CHECK(made.ok());
  metrics::RankRecorder recorder = std::move(made).value();
  for (std::uint32_t epoch = 1; epoch <= kEpochs; ++epoch) {
    STOKER_CHECK(
        recorder.AddEpoch(SyntheticEpoch(rank, epoch, evaluation)).ok());
  }
  return recorder;
}

std::string Slurp(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace stoker::testing
