#include "config/time_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "config/yaml.h"
#include "tests/config/load_helpers.h"

namespace stoker::config {
namespace {

using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::LoadText;

// The duration that `text` gives train.computation_time, as flow text.
std::string Time(const std::string& text) {
  const auto loaded = LoadText("train:\n  computation_time: " + text + "\n");
  return loaded.ok()
             ? std::string(loaded.value().Value("train.computation_time"))
             : std::string(loaded.status().message());
}

TEST(TimeSpec, ReadsAllForms) {
  EXPECT_EQ(Time("0.323"), "0.323");
  EXPECT_EQ(Time("2"), "2");
  EXPECT_EQ(Time("0"), "{}");
  EXPECT_EQ(Time("{}"), "{}");
  EXPECT_EQ(Time("null"), "{}");
  EXPECT_EQ(Time("{mean: 1.5}"), "1.5");
  EXPECT_EQ(Time("{mean: 1.5, stdev: 0.1}"),
            "{type: normal, mean: 1.5, stdev: 0.1}");
  EXPECT_EQ(Time("{type: normal, mean: 1, stdev: 2}"),
            "{type: normal, mean: 1, stdev: 2}");
  EXPECT_EQ(Time("{type: uniform, min: 1, max: 2}"),
            "{type: uniform, min: 1, max: 2}");
  EXPECT_EQ(Time("{type: gamma, shape: 1, scale: 2}"),
            "{type: gamma, shape: 1, scale: 2}");
  EXPECT_EQ(Time("{type: exponential, scale: 2}"),
            "{type: exponential, scale: 2}");
  EXPECT_EQ(Time("{type: poisson, lam: 2}"), "{type: poisson, lam: 2}");
}

TEST(TimeSpec, StoresTheParameters) {
  const auto loaded = LoadText(
      "evaluation: {eval_time: {type: uniform, min: 0.25, max: 0.5}}\n"
      "reader: {preprocess_time: {type: gamma, shape: 3, scale: 0.125}}\n");
  ASSERT_TRUE(loaded.ok());
  const TimeSpec& eval = loaded.value().workload.evaluation.eval_time;
  EXPECT_EQ(eval.kind, TimeSpec::Kind::kUniform);
  EXPECT_EQ(eval.min, 0.25);
  EXPECT_EQ(eval.max, 0.5);
  const TimeSpec& preprocess = loaded.value().workload.reader.preprocess_time;
  EXPECT_EQ(preprocess.kind, TimeSpec::Kind::kGamma);
  EXPECT_EQ(preprocess.shape, 3);
  EXPECT_EQ(preprocess.scale, 0.125);
}

TEST(TimeSpec, ACompanionAddsTheStdev) {
  const auto loaded =
      LoadText("train: {computation_time_stdev: 0.25, computation_time: 1}\n");
  ASSERT_TRUE(loaded.ok());
  const TimeSpec& time = loaded.value().workload.train.computation_time;
  EXPECT_EQ(time.kind, TimeSpec::Kind::kNormal);
  EXPECT_EQ(time.mean, 1);
  EXPECT_EQ(time.stdev, 0.25);
  EXPECT_THAT(ErrorOf("train: {computation_time: {mean: 1, stdev: 1}, "
                      "computation_time_stdev: 2}"),
              HasSubstr("has a stdev of its own"));
  EXPECT_THAT(ErrorOf("train: {computation_time: {type: poisson, lam: 1}, "
                      "computation_time_stdev: 2}"),
              HasSubstr("not normally distributed"));
}

TEST(TimeSpec, ANegativeConstantLosesItsSignWithAWarning) {
  const auto loaded = LoadText("train: {computation_time: -0.5}\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value().workload.train.computation_time.mean, 0.5);
  EXPECT_THAT(loaded.value().warnings,
              ElementsAre("w.yaml:1:9: train.computation_time: negative, so "
                          "0.5 s is taken"));
}

TEST(TimeSpec, RefusesWhatIsNoDuration) {
  EXPECT_THAT(Time("fast"), HasSubstr("'fast' (text) is no number of seconds"));
  EXPECT_THAT(Time("true"), HasSubstr("(boolean) is no number"));
  EXPECT_THAT(Time("[1]"), HasSubstr("(list)"));
  EXPECT_THAT(Time(".nan"), HasSubstr("beyond 1000000 s"));
  EXPECT_THAT(Time("1e7"), HasSubstr("beyond 1000000 s"));
  EXPECT_THAT(Time("{type: weibull, a: 1}"),
              HasSubstr("the type 'weibull' is unknown; allowed: seconds"));
  EXPECT_THAT(Time("{mean: 1, sdtev: 2}"),
              HasSubstr("'sdtev' is no parameter of type normal"));
  EXPECT_THAT(Time("{type: normal, mean: 1}"), HasSubstr("'stdev' is missing"));
  EXPECT_THAT(Time("{stdev: 1}"), HasSubstr("'mean' is missing"));
  EXPECT_THAT(Time("{mean: 1, stdev: -1}"), HasSubstr("-1 is negative"));
  EXPECT_THAT(Time("{type: uniform, min: 2, max: 1}"),
              HasSubstr("min is above max"));
}

}  // namespace
}  // namespace stoker::config
