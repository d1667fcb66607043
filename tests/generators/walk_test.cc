#include "generators/internal/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/generators/scenario.h"

namespace stoker::generators::internal {
namespace {

using ::testing::ElementsAre;

// Generation indices of each rank's contents.
std::vector<std::vector<std::uint64_t>> Shares(
    const GeneratePlan& plan, std::uint64_t ranks,
    const ContentWalk::Wanted& wanted = {}) {
  std::vector<std::vector<std::uint64_t>> shares(ranks);
  for (std::uint64_t rank = 0; rank < ranks; ++rank) {
    Place place;
    for (ContentWalk walk(plan, {.rank = rank, .ranks = ranks}, wanted);
         walk.Next(place);) {
      shares[rank].push_back(place.generation);
    }
  }
  return shares;
}

GeneratePlan VaryingPlan() {
  GeneratePlan plan = testing::NpzPlan();
  plan.train.total = 61;
  plan.valid.total = 13;
  return plan;
}

TEST(ContentWalk, SharesAreEvenInBytesWhereSizesVary) {
  const GeneratePlan plan = VaryingPlan();
  SpecCursor specs(plan);
  std::vector<std::uint64_t> bytes;
  for (std::uint64_t i = 0; i < plan.names(); ++i) {
    bytes.push_back(StoredBytes(*plan.format, specs.At(i)));
  }
  for (const std::uint64_t ranks : {2U, 3U, 7U}) {
    std::vector<std::uint64_t> sums;
    std::multiset<std::uint64_t> dealt;
    for (const auto& share : Shares(plan, ranks)) {
      std::uint64_t sum = 0;
      for (const std::uint64_t file : share) {
        sum += bytes[file];
        dealt.insert(file);
      }
      sums.push_back(sum);
    }
    const auto [least, most] = std::ranges::minmax(sums);
    EXPECT_LE(most - least, std::ranges::max(bytes));
    EXPECT_EQ(dealt.size(), plan.names());
    EXPECT_EQ(std::set(dealt.begin(), dealt.end()).size(), plan.names());
  }
}

TEST(ContentWalk, SharesOfOneSizeGoRoundAmongWhatIsWanted) {
  GeneratePlan plan = testing::NpzPlan();  // 5 + 2 files
  plan.sizes.stdev = 0;
  EXPECT_THAT(Shares(plan, 2),
              ElementsAre(ElementsAre(0, 2, 4, 6), ElementsAre(1, 3, 5)));
  const auto odd = [](const Place& place) { return place.generation % 2 == 1; };
  EXPECT_THAT(Shares(plan, 2, odd),
              ElementsAre(ElementsAre(1, 5), ElementsAre(3)));
}

TEST(ContentWalk, StreamsOfTheReferenceKeepTheirFiles) {
  GeneratePlan plan = VaryingPlan();
  plan.train.total = 7;
  plan.valid.total = 0;
  plan.content = {.mode = std::string(kDlioMode), .ranks = 3};
  EXPECT_THAT(Shares(plan, 2),
              ElementsAre(ElementsAre(0, 3, 6, 2, 5), ElementsAre(1, 4)));
}

}  // namespace
}  // namespace stoker::generators::internal
