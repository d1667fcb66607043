#include "reporting/steps_csv.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include "metrics/cpu_split.h"
#include "reporting/internal/file_output.h"

namespace stoker::reporting {
namespace {

constexpr std::string_view kHeader =
    "epoch,block,step,rank,load_s,compute_s,proc_s,barrier_s,overshoot_s,"
    "samples,bytes,cpu_reading_s,cpu_checking_s,cpu_rest_s\n";
// Text kept before it is written: thousands of ranks make hundreds of MiB.
constexpr std::size_t kFlushBytes = 1 << 20;

void AppendRow(std::string_view keys, std::size_t rank,
               const metrics::StepRecord& step, std::string& text) {
  const metrics::CpuSplit cpu =
      metrics::SplitCpu(step.cpu, step.cpu_main, step.checking);
  fmt::format_to(
      std::back_inserter(text),
      "{},{},{:.9f},{:.9f},{:.9f},{:.9f},{:.9f},{},{},{:.9f},{:.9f},{:.9f}\n",
      keys, rank, core::Seconds(step.load), core::Seconds(step.compute),
      core::Seconds(step.proc), core::Seconds(step.barrier),
      core::Seconds(step.overshoot), step.samples, step.bytes,
      core::Seconds(cpu.reading), core::Seconds(cpu.checking),
      core::Seconds(cpu.rest));
}

// One block of an epoch on every rank; null where a rank has none.
struct Block {
  std::string name;
  std::vector<const metrics::BlockRecord*> ranks;
};

std::vector<Block> BlocksOf(const std::vector<metrics::EpochRecord>& ranks) {
  std::size_t count = 0;
  bool evaluated = false;
  for (const metrics::EpochRecord& epoch : ranks) {
    count = std::max(count, epoch.blocks.size());
    evaluated = evaluated || epoch.eval.has_value();
  }
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < count; ++i) {
    Block block{.name = fmt::format("{}", i + 1), .ranks = {}};
    for (const metrics::EpochRecord& epoch : ranks) {
      block.ranks.push_back(i < epoch.blocks.size() ? &epoch.blocks[i]
                                                    : nullptr);
    }
    blocks.push_back(std::move(block));
  }
  if (evaluated) {
    Block block{.name = "eval", .ranks = {}};
    for (const metrics::EpochRecord& epoch : ranks)
      block.ranks.push_back(epoch.eval ? &*epoch.eval : nullptr);
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace

core::Result<StepsCsv> StepsCsv::Make(const std::string& path) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return core::Status::FromErrno(errno, fmt::format("cannot write {}", path));
  StepsCsv csv(fd, path);
  STOKER_TRY(csv.Write(std::string(kHeader)));
  return csv;
}

StepsCsv::StepsCsv(int fd, std::string path)
    : fd_(fd), path_(std::move(path)) {}

StepsCsv::StepsCsv(StepsCsv&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

StepsCsv::~StepsCsv() {
  if (fd_ >= 0) ::close(fd_);
}

core::Status StepsCsv::Write(const std::string& text) const {
  const int error = WriteAll(fd_, text);
  if (error == 0) return {};
  return core::Status::FromErrno(error, fmt::format("cannot write {}", path_));
}

core::Status StepsCsv::AddEpoch(
    const std::vector<metrics::EpochRecord>& ranks) {
  if (ranks.empty()) return {};
  std::string text;
  for (const Block& block : BlocksOf(ranks)) {
    std::size_t steps = 0;
    for (const metrics::BlockRecord* of_rank : block.ranks) {
      if (of_rank != nullptr) steps = std::max(steps, of_rank->steps.size());
    }
    for (std::size_t step = 0; step < steps; ++step) {
      const std::string keys =
          fmt::format("{},{},{}", ranks.front().epoch, block.name, step + 1);
      for (std::size_t rank = 0; rank < block.ranks.size(); ++rank) {
        const metrics::BlockRecord* of_rank = block.ranks[rank];
        if (of_rank != nullptr && step < of_rank->steps.size())
          AppendRow(keys, rank, of_rank->steps[step], text);
      }
      if (text.size() >= kFlushBytes) {
        STOKER_TRY(Write(text));
        text.clear();
      }
    }
  }
  return Write(text);
}

}  // namespace stoker::reporting
