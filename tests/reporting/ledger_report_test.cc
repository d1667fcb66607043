#include "reporting/ledger_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reporting/record_report.h"
#include "tests/reporting/support.h"
#include "tests/reporting/synthetic_run.h"

namespace stoker::reporting {
namespace {

using metrics::CacheSample;
using metrics::HostLedger;
using metrics::Medium;
using metrics::RunLedger;
using ::stoker::testing::Items;
using ::stoker::testing::Text;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kGiB = 1ULL << 30;

HostLedger Host(std::uint64_t device) {
  return {.medium = Medium::kDisk,
          .asked = 3 * kGiB,
          .delivered = 4 * kGiB,
          .discarded = kGiB,
          .process_read = device,
          .disk_read = device,
          .before = CacheSample{.files = 2, .bytes = 100, .cached = 1},
          .after = CacheSample{.files = 2, .bytes = 100, .cached = 99}};
}

// Cold, then twice warm; no cgroup tells anything.
RunLedger Ledger() {
  RunLedger run;
  HostLedger cold = Host(4 * kGiB);
  cold.drop_caches = std::chrono::milliseconds(1500);
  run.epochs = {{.epoch = 1, .hosts = {cold}},
                {.epoch = 2, .hosts = {Host(0)}},
                {.epoch = 3, .hosts = {Host(0)}}};
  for (int i = 1; i <= 100; ++i) {
    run.latencies.Add(storage::LatencyKind::kRead, 4096,
                      std::chrono::microseconds(i));
  }
  run.epochs[0].latencies = metrics::FiguresOf(run.latencies);
  return run;
}

TEST(LedgerJson, EveryEpochAndHostSaysWhereItsBytesCameFrom) {
  metrics::HostFacts facts;
  facts.hostname = "node7";
  const Json json = LedgerJson(Ledger(), {facts});
  const Json& run = *json.Find("run");
  EXPECT_EQ(Text(run, "cache_state"), "\"mixed\"");
  EXPECT_EQ(Text(run, "asked_bytes"), std::to_string(9 * kGiB));
  EXPECT_EQ(Text(run, "delivered_bytes"), std::to_string(12 * kGiB));
  EXPECT_EQ(Text(run, "discarded_bytes"), std::to_string(3 * kGiB));
  EXPECT_EQ(Text(*run.Find("served_by"), "page_cache_bytes"),
            std::to_string(8 * kGiB));
  EXPECT_EQ(Text(*run.Find("served_by"), "device_bytes"),
            std::to_string(4 * kGiB));
  EXPECT_EQ(Text(run, "drop_caches_ns"), "1500000000");
  EXPECT_EQ(Text(run, "missing_witnesses"), R"(["cgroup I/O"])");

  const auto& epochs = Items(json, "epochs");
  ASSERT_EQ(epochs.size(), 3U);
  EXPECT_EQ(Text(epochs[0], "cache_state"), "\"cold\"");
  EXPECT_EQ(Text(epochs[1], "cache_state"), "\"warm\"");
  EXPECT_EQ(Text(epochs[1], "drop_caches_ns"), "null");
  const Json& host = Items(epochs[0], "hosts")[0];
  EXPECT_EQ(Text(host, "hostname"), "\"node7\"");
  EXPECT_EQ(Text(host, "medium"), "\"disk\"");
  const Json& witnesses = *host.Find("witnesses");
  EXPECT_EQ(Text(witnesses, "process_read_bytes"), std::to_string(4 * kGiB));
  EXPECT_EQ(Text(witnesses, "process_and_disk_agree"), "true");
  EXPECT_EQ(Text(witnesses, "cgroup_read_bytes"), "null");
  EXPECT_EQ(Text(witnesses, "sample_after"),
            R"({"files":2,"bytes":100,"cached_bytes":99})");
}

TEST(LedgerJson, LatenciesAsFiguresAndAsHistograms) {
  const Json json = LedgerJson(Ledger(), {});
  const Json& row = Items(*json.Find("run"), "latencies")[0];
  EXPECT_EQ(Text(row, "kind"), "\"read\"");
  EXPECT_EQ(Text(row, "size"), "\"<= 4 KiB\"");
  EXPECT_EQ(Text(row, "count"), "100");
  EXPECT_EQ(Text(row, "max_ns"), "100000");
  EXPECT_NEAR(std::stod(Text(row, "p50_ns")), 50000, 500);
  EXPECT_NEAR(std::stod(Text(row, "p99_ns")), 99000, 990);
  const Json& histogram = *Items(json, "histograms")[0].Find("latency_ns");
  EXPECT_EQ(Text(histogram, "count"), "100");
  EXPECT_EQ(Text(histogram, "min"), "1000");
}

TEST(LedgerLines, SayItForPeople) {
  const std::string text = LedgerLines(Ledger());
  EXPECT_THAT(text, HasSubstr("bytes came from   page cache 8.00 GiB (66.7 %), "
                              "device 4.00 GiB (33.3 %)\n"));
  EXPECT_THAT(text, HasSubstr("cache state       mixed (epoch 1 cold, 2 to 3 "
                              "warm)\n"));
  EXPECT_THAT(text, HasSubstr("read latency      p50 "));
  EXPECT_THAT(text, HasSubstr("max 100 us\n"));
  EXPECT_THAT(text, HasSubstr("caches dropped    before each epoch, 1.50 s at "
                              "the longest\n"));
  EXPECT_THAT(text, HasSubstr("no witness        cgroup I/O\n"));
  EXPECT_THAT(text, Not(HasSubstr("requests")));
  EXPECT_EQ(LedgerLines({}), "");
}

TEST(LedgerLines, RepeatedRequestsByTheirReason) {
  RunLedger run;
  run.epochs = {
      {.epoch = 1,
       .hosts = {{.medium = Medium::kServer,
                  .delivered = kGiB,
                  .requests = storage::RequestCounters{.requests = 1200,
                                                       .repetitions = 7,
                                                       .bytes_received = kGiB,
                                                       .throttled = 5,
                                                       .timed_out = 2},
                  .nic_received = kGiB}}}};
  const std::string text = LedgerLines(run);
  EXPECT_THAT(text, HasSubstr("network 1.00 GiB (100.0 %)"));
  EXPECT_THAT(text, HasSubstr("cold (epoch 1 cold)"));
  EXPECT_THAT(text, HasSubstr("1,200 requests, 7 repeated, throttled 5, timed "
                              "out 2\n"));
}

TEST(RecordJson, HoldsTheLedgersShortForm) {
  metrics::RunRecord record = testing::SyntheticRun(false);
  EXPECT_EQ(Text(RecordJson(record), "ledger"), "null");
  record.ledger = Ledger();
  const Json json = RecordJson(record);
  const Json& ledger = *json.Find("ledger");
  EXPECT_EQ(Text(ledger, "cache_state"), "\"mixed\"");
  EXPECT_EQ(Items(ledger, "epochs").size(), 3U);
  EXPECT_EQ(Text(*json.Find("files"), "ledger"), "\"ledger.json\"");
}

TEST(WriteLedger, ErrorsNameTheFile) {
  const core::Status status =
      WriteLedger("/nonexistent/ledger.json", Ledger(), {});
  EXPECT_THAT(status.message(), HasSubstr("/nonexistent/ledger.json"));
}

}  // namespace
}  // namespace stoker::reporting
