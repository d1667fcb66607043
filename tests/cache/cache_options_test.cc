#include "cache/cache_options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "cache/cache_backend.h"
#include "storage/registry.h"

namespace stoker::cache {
namespace {

core::Result<CacheOptions> Parse(std::string_view text) {
  STOKER_ASSIGN(const storage::Uri uri, storage::ParseUri(text));
  STOKER_TRY(storage::CheckUriOptions(uri, CacheBackends()));
  return ParseCacheOptions(uri);
}

TEST(ParseCacheOptions, TakesDirectoriesAndTheRest) {
  const auto options = Parse(
      "cache:/a/x:/b/x?size=1GiB&slot=256KiB&small_slot=64KiB&policy=s3fifo&"
      "verify=sample&start=cold&fill=off&buffers=8MiB&engine=threads&seed=7&"
      "dwpd=0.3&budget=on&guard=2.5&balance=on&write=back&ack=backing&dirty=0."
      "25,"
      "null:");
  ASSERT_TRUE(options.ok()) << options.status().ToString();
  EXPECT_EQ(options.value().directories,
            (std::vector<std::string>{"/a/x", "/b/x"}));
  EXPECT_EQ(options.value().quota_bytes, 1U << 30U);
  EXPECT_EQ(options.value().slot_bytes, 256U << 10U);
  EXPECT_EQ(options.value().small_slot_bytes, 64U << 10U);
  EXPECT_EQ(options.value().policy, Policy::kS3Fifo);
  EXPECT_EQ(options.value().verify, Verify::kSample);
  EXPECT_EQ(options.value().start, Start::kCold);
  EXPECT_EQ(options.value().fill, Fill::kOff);
  EXPECT_EQ(options.value().buffer_bytes, 8U << 20U);
  EXPECT_EQ(options.value().engine, storage::BlockEngine::kThreads);
  EXPECT_EQ(options.value().seed, 7U);
  EXPECT_EQ(options.value().drive_writes_per_day, 0.3);
  EXPECT_TRUE(options.value().write_budget);
  EXPECT_EQ(options.value().guard, 2.5);
  EXPECT_TRUE(options.value().balance);
  EXPECT_EQ(options.value().write, Write::kBack);
  EXPECT_EQ(options.value().ack, Ack::kBacking);
  EXPECT_EQ(options.value().dirty_share, 0.25);
}

TEST(ParseCacheOptions, PrefetchesOnlyWithAnOrderToGoBy) {
  const auto options = Parse("cache:/a?policy=belady&prefetch=1GiB,null:");
  ASSERT_TRUE(options.ok()) << options.status().ToString();
  EXPECT_EQ(options.value().policy, Policy::kBelady);
  EXPECT_EQ(options.value().prefetch_bytes, 1U << 30U);
  EXPECT_EQ(Parse("cache:/a?policy=belady,null:").value().prefetch_bytes, 0U);
  EXPECT_EQ(Parse("cache:/a?prefetch=1GiB,null:").status().code(),
            core::Code::kInvalidArgument);
}

TEST(ParseCacheOptions, NeitherGuardsNorBalancesUnlessTold) {
  const auto options = Parse("cache:/a,null:");
  ASSERT_TRUE(options.ok()) << options.status().ToString();
  EXPECT_EQ(options.value().guard, 0);
  EXPECT_FALSE(options.value().balance);
  EXPECT_EQ(Parse("cache:/a?guard=off,null:").value().guard, 0);
}

TEST(ParseCacheOptions, RefusesWhatIsNoneByName) {
  for (const std::string_view text :
       {"cache:?size=1GiB,null:", "cache:/a?policy=mru,null:",
        "cache:/a?verify=some,null:", "cache:/a?start=hot,null:",
        "cache:/a?fill=maybe,null:", "cache:/a?dwpd=0,null:",
        "cache:/a?write=never,null:", "cache:/a?ack=soon,null:",
        "cache:/a?dirty=2,null:", "cache:/a?dwpd=x,null:",
        "cache:/a?guard=1,null:", "cache:/a?guard=on,null:",
        "cache:/a?guard=1001,null:", "cache:/a?balance=1,null:",
        "cache:/a?budget=1,null:", "cache:/a?engine=aio,null:",
        "cache:/a?sise=1GiB,null:"}) {
    EXPECT_EQ(Parse(text).status().code(), core::Code::kInvalidArgument)
        << text;
  }
}

TEST(ParseCacheOptions, UnderstandsTheShippedSiteFile) {
  std::ifstream text(STOKER_SOURCE_DIR "/configs/nvme_cache.yaml");
  int uris = 0;
  for (std::string line; std::getline(text, line);) {
    if (const std::size_t at = line.find("uri: \""); at != std::string::npos) {
      const std::string uri = line.substr(at + 6, line.rfind('"') - at - 6);
      EXPECT_EQ(Parse(uri).status().ToString(), "ok");
      ++uris;
    }
  }
  EXPECT_EQ(uris, 1);
}

}  // namespace
}  // namespace stoker::cache
