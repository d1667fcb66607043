#include "cache/block_key.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <utility>

#include "core/crc.h"

namespace stoker::cache {
namespace {

TEST(StoreName, IsThePlaceWhateverItIsReachedThrough) {
  EXPECT_EQ(StoreName("file:///data/x"), "file:///data/x");
  EXPECT_EQ(StoreName("direct:///data/x?depth=8"), "file:///data/x");
  EXPECT_EQ(StoreName("model:?latency=1ms,fault:?rate=0.1,mmap:///data/x/"),
            "file:///data/x");
  EXPECT_EQ(StoreName("s3://bucket/prefix?range=1MiB"), "s3://bucket/prefix");
  EXPECT_EQ(StoreName("s3://b/p?range=1MiB&endpoint=http://x:80&region=r"),
            "s3://b/p@http://x:80");
  EXPECT_NE(StoreName("s3://b/p?endpoint=http://x:80"),
            StoreName("s3://b/p?endpoint=http://y:80"));
  EXPECT_EQ(StoreName("null:"), "null:");
}

TEST(ObjectKey, DiffersByNameAndVersion) {
  std::set<std::pair<std::uint64_t, std::uint64_t>> keys;
  for (const std::string name :
       {"", "a", "b", "ab", "a/b", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaa\0"}) {
    for (const std::uint64_t version : {0U, 1U, 2U}) {
      const Fingerprint key = ObjectKey(name, version);
      keys.emplace(key.high, key.low);
    }
  }
  EXPECT_EQ(keys.size(), 7U * 3U);  // the last two names are the same text
}

TEST(GranuleCrc, DependsOnWhatTheBytesAreSaidToBe) {
  const Fingerprint key = BlockKey(ObjectKey("a", 1), 0);
  const Fingerprint next = BlockKey(ObjectKey("a", 1), 1);
  const std::array<std::byte, 16> bytes{};
  const std::set<std::uint32_t> crcs{
      GranuleCrc(key, 1, 1, 0, bytes), GranuleCrc(next, 1, 1, 0, bytes),
      GranuleCrc(key, 2, 1, 0, bytes), GranuleCrc(key, 1, 2, 0, bytes),
      GranuleCrc(key, 1, 1, 1, bytes)};
  EXPECT_EQ(crcs.size(), 5U);
}

}  // namespace
}  // namespace stoker::cache
