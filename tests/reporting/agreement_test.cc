// Every rendering of one run says the same.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "metrics/summary.h"
#include "reporting/console_report.h"
#include "reporting/dlio_log.h"
#include "reporting/json_report.h"
#include "reporting/record_report.h"
#include "tests/reporting/support.h"
#include "tests/reporting/synthetic_run.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

using ::testing::HasSubstr;
using testing::Items;

double Number(const Json& json) {
  if (const auto* count = std::get_if<std::uint64_t>(&json.value()))
    return static_cast<double>(*count);
  if (const auto* count = std::get_if<std::int64_t>(&json.value()))
    return static_cast<double>(*count);
  return std::get<double>(json.value());
}

double Field(const Json& json, std::string_view key) {
  return Number(*json.Find(key));
}

// Figures worked out anew from the raw nanoseconds of record.json, for epochs
// of one block.
struct FromRaw {
  double au_mean = 0;
  double samples_mean = 0;
  double unbiased_mean = 0;
};

FromRaw WorkOut(const Json& record) {
  FromRaw sum;
  const Json::Array& ranks = Items(record, "ranks");
  const double batch = Field(*record.Find("run"), "batch_size");
  double epochs = 0;
  for (const Json& rank : ranks) {
    epochs = static_cast<double>(Items(rank, "epochs").size());
    for (const Json& epoch : Items(rank, "epochs")) {
      const Json& block = Items(epoch, "blocks").at(0);
      const double seconds =
          (Field(block, "wall_ns") - Field(block, "excluded_proc_ns")) / 1e9;
      sum.au_mean += 100 * Field(block, "counted_compute_ns") / 1e9 / seconds;
      sum.samples_mean += (Field(block, "steps") - 2) / seconds * batch;
      sum.unbiased_mean += Field(block, "counted_samples") / seconds;
    }
  }
  const auto count = static_cast<double>(ranks.size());
  return {.au_mean = sum.au_mean / count / epochs,
          .samples_mean = sum.samples_mean / epochs,
          .unbiased_mean = sum.unbiased_mean / epochs};
}

TEST(Renderings, SummaryFollowsFromTheRawRecord) {
  const metrics::RunRecord run = testing::SyntheticRun(true);
  const FromRaw raw = WorkOut(RecordJson(run));
  const Json summary = SummaryJson(run, metrics::Summarise(run));
  const Json& metric = *summary.Find("metric");
  EXPECT_NEAR(Field(metric, "train_au_mean_percentage"), raw.au_mean, 1e-9);
  EXPECT_NEAR(Field(metric, "train_throughput_mean_samples_per_second"),
              raw.samples_mean, 1e-9);
  EXPECT_NEAR(
      Field(metric, "train_throughput_unbiased_mean_samples_per_second"),
      raw.unbiased_mean, 1e-9);
}

TEST(Renderings, ConsoleAndLogShowTheSummarysValues) {
  const testing::TempDir folder;
  const metrics::RunRecord run = testing::SyntheticRun(true);
  const metrics::RunSummary figures = metrics::Summarise(run);
  const std::string console = ConsoleReport(run, figures, folder.str());
  {
    core::Result<DlioLog> log =
        DlioLog::Open(folder.str() + "/dlio.log", DlioLog::Mode::kNew);
    ASSERT_TRUE(log.ok());
    ASSERT_TRUE(
        log.value().RunFinished(run.ended, run, figures, folder.str()).ok());
  }
  const std::string log = testing::Slurp(folder.path() / "dlio.log");
  const Json summary = SummaryJson(run, figures);
  const Json& metric = *summary.Find("metric");
  const std::string au = fmt::format(
      "[AU] (%): {:.4f} ({:.4f})", Field(metric, "train_au_mean_percentage"),
      Field(metric, "train_au_stdev_percentage"));
  EXPECT_THAT(console, HasSubstr(au));
  EXPECT_THAT(log, HasSubstr(au));
  EXPECT_THAT(console,
              HasSubstr(fmt::format(
                  "{:.4f} GiB/s",
                  Field(metric, "train_io_exact_mean_GiB_per_second"))));
  EXPECT_THAT(console, HasSubstr(fmt::format(
                           "MB/second): {:.4f}",
                           Field(metric, "train_io_mean_MB_per_second"))));
}

TEST(Renderings, HashStateAndCountsAgree) {
  const metrics::RunRecord run = testing::SyntheticRun(false);
  const Json record = RecordJson(run);
  const Json summary = SummaryJson(run, metrics::Summarise(run));
  EXPECT_EQ(DumpJson(*record.Find("op_stream_hash"), 0),
            DumpJson(*summary.Find("op_stream_hash"), 0));
  EXPECT_EQ(Field(*record.Find("run"), "num_accelerators"),
            Field(summary, "num_accelerators"));
  double bytes = 0;
  for (const Json& rank : Items(record, "ranks")) {
    for (const Json& epoch : Items(rank, "epochs"))
      bytes += Field(Items(epoch, "blocks").at(0), "total_bytes");
  }
  EXPECT_EQ(bytes, Field(*summary.Find("metric"), "train_payload_bytes"));
}

}  // namespace
}  // namespace stoker::reporting
