#include "reporting/cache_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

namespace stoker::reporting {
namespace {

using metrics::CacheOutlook;
using ::testing::HasSubstr;
using ::testing::Not;

CacheOutlook Outlook() {
  CacheOutlook outlook;
  outlook.policy = "never";
  outlook.order = "cyclic";
  outlook.fits = 1;
  outlook.store_bytes_per_s = 512.0 * (1U << 20U);
  outlook.device_read_bytes_per_s = 2.0 * (1U << 30U);
  outlook.demand_bytes_per_s = 1024.0 * (1U << 20U);
  outlook.first_hits = 0;
  outlook.later_hits = 1;
  outlook.first_au = 0.5;
  outlook.later_au = 0.995;
  outlook.tolerance = 0.02;
  outlook.most_accelerators = 22;
  return outlook;
}

metrics::RunSummary Reached(std::vector<double> au_percent) {
  metrics::RunSummary summary;
  summary.train.au_percent = std::move(au_percent);
  return summary;
}

TEST(CacheReport, TellsWhatIsExpectedBeforeTheRun) {
  const std::string text = ExpectationLines(Outlook());
  EXPECT_THAT(text, HasSubstr("0.0 % then 100.0 %"));
  EXPECT_THAT(text, HasSubstr("50.0 % then 99.5 %"));
  EXPECT_THAT(text, HasSubstr("22 accelerators at most"));
  EXPECT_THAT(text, HasSubstr("unknown writing"));
}

TEST(CacheReport, SaysWhyNothingIsExpected) {
  CacheOutlook outlook;
  outlook.trouble = "rank 1: the store is gone";
  EXPECT_THAT(ExpectationLines(outlook), HasSubstr("the store is gone"));
  outlook.store_bytes_per_s = 1;
  EXPECT_THAT(ExpectationLines(outlook), HasSubstr("the store is gone"));
}

TEST(CacheReport, NamesTheEpochsThatCameOutOtherwise) {
  CacheOutlook outlook = Outlook();
  EXPECT_THAT(
      OutcomeLines(outlook, Reached({51, 99})),
      AllOf(HasSubstr("51.0 %, 99.0 % reached"), Not(HasSubstr("OFF"))));
  outlook.off_epochs = {2};
  EXPECT_THAT(OutcomeLines(outlook, Reached({51, 80})),
              HasSubstr("OFF by more than 2 points in epoch 2"));
}

TEST(CacheReport, TellsHowLongADeviceLastsButNotHowLongMemoryDoes) {
  CacheOutlook outlook = Outlook();
  outlook.days_to_wear_out = 200;
  outlook.written_bytes_per_day = 1e12;
  outlook.drive_writes_per_day = 1;
  EXPECT_THAT(OutcomeLines(outlook, Reached({50, 99})),
              HasSubstr("it lasts 200 days"));
  outlook.in_memory = true;
  EXPECT_THAT(OutcomeLines(outlook, Reached({50, 99})),
              Not(HasSubstr("lasts")));
}

TEST(CacheReport, TellsWhatOtherSizesWouldHaveHit) {
  CacheOutlook outlook = Outlook();
  EXPECT_THAT(OutcomeLines(outlook, Reached({50, 99})),
              Not(HasSubstr("other sizes")));
  outlook.read_again = 0.5;
  outlook.other_sizes = {{.times = 0.125, .lru = 0, .never = 0.25},
                         {.times = 2, .lru = 1, .never = 1}};
  EXPECT_THAT(OutcomeLines(outlook, Reached({50, 99})),
              HasSubstr("0.125x 25.0 / 0.0 %, 2x 100.0 / 100.0 %"));
  const std::string json = DumpJson(CacheOutlookJson(outlook), 0);
  EXPECT_THAT(json, HasSubstr("\"read_again\""));
  EXPECT_THAT(json, HasSubstr("\"never_hits\""));
}

TEST(CacheReport, HasNullForWhatNobodyKnowsOrHasNoEnd) {
  CacheOutlook outlook = Outlook();
  outlook.later_au.reset();
  outlook.most_accelerators = std::numeric_limits<double>::infinity();
  const std::string text = DumpJson(CacheOutlookJson(outlook), -1);
  EXPECT_THAT(text, HasSubstr("\"later_au\":null"));
  EXPECT_THAT(text, HasSubstr("\"most_accelerators\":null"));
  EXPECT_EQ(DumpJson(CacheOutlookJson(std::nullopt), -1), "null");
}

}  // namespace
}  // namespace stoker::reporting
