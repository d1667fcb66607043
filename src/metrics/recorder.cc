#include "metrics/recorder.h"

#include <fmt/format.h>

#include <utility>

#include "metrics/host_facts.h"
#include "metrics/internal/packed.h"
#include "metrics/internal/record_codec.h"
#include "metrics/internal/spill_file.h"

namespace stoker::metrics {
namespace {

BlockSummary SummariseBlock(const BlockRecord& block,
                            const CountedSteps& counted) {
  return {
      .start = block.start, .end = block.end, .sums = SumBlock(block, counted)};
}

}  // namespace

EpochSummary SummariseEpoch(const EpochRecord& epoch, const CountedSteps& train,
                            const CountedSteps& eval) {
  EpochSummary summary;
  summary.epoch = epoch.epoch;
  summary.start = epoch.start;
  summary.train_end = epoch.train_end;
  summary.end = epoch.end;
  for (const BlockRecord& block : epoch.blocks)
    summary.blocks.push_back(SummariseBlock(block, train));
  summary.saves = epoch.saves;
  if (epoch.eval) summary.eval = SummariseBlock(*epoch.eval, eval);
  summary.train_loader = epoch.train_loader;
  summary.eval_loader = epoch.eval_loader;
  summary.cpu = epoch.cpu;
  return summary;
}

core::Result<RankRecorder> RankRecorder::Make(const RunFacts& facts,
                                              const std::string& spill_folder) {
  STOKER_ASSIGN(SpillFile spill, SpillFile::Make(spill_folder));
  return RankRecorder(facts, std::make_unique<SpillFile>(std::move(spill)));
}

RankRecorder::RankRecorder(const RunFacts& facts,
                           std::unique_ptr<SpillFile> spill)
    : train_(TrainCounted(facts)),
      eval_(EvalCounted(facts)),
      spill_(std::move(spill)) {}

RankRecorder::~RankRecorder() = default;
RankRecorder::RankRecorder(RankRecorder&&) noexcept = default;
RankRecorder& RankRecorder::operator=(RankRecorder&&) noexcept = default;

void RankRecorder::BeginEpoch() { meminfo_ = ReadMemInfo(); }

core::Status RankRecorder::AddEpoch(EpochRecord&& epoch) {
  EpochRecord whole = std::move(epoch);
  if (whole.meminfo.empty()) whole.meminfo = std::exchange(meminfo_, {});
  PackedWriter packed;
  PackSteps(whole, packed);
  STOKER_ASSIGN(const std::uint64_t offset, spill_->Append(packed.bytes()));
  places_.push_back({.offset = offset, .size = packed.bytes().size()});
  summaries_.push_back(SummariseEpoch(whole, train_, eval_));
  return {};
}

core::Status RankRecorder::ForEachEpoch(const Visitor& visit) const {
  for (std::size_t i = 0; i < summaries_.size(); ++i) {
    const EpochSummary& summary = summaries_[i];
    STOKER_ASSIGN(const std::vector<std::byte> bytes,
                  spill_->Read(places_[i].offset, places_[i].size));
    PackedReader packed(bytes);
    EpochRecord epoch;
    UnpackSteps(packed, epoch);
    if (!packed.complete()) {
      return core::Status(
          core::Code::kCorruption,
          fmt::format("the spilled steps of epoch {} do not read back",
                      summary.epoch));
    }
    epoch.start = summary.start;
    epoch.train_end = summary.train_end;
    epoch.end = summary.end;
    epoch.saves = summary.saves;
    epoch.train_loader = summary.train_loader;
    epoch.eval_loader = summary.eval_loader;
    epoch.cpu = summary.cpu;
    STOKER_TRY(visit(epoch, summary));
  }
  return {};
}

}  // namespace stoker::metrics
