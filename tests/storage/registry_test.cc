#include "storage/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string OpenError(std::string_view uri) {
  const auto backend = OpenBackend(uri);
  EXPECT_EQ(backend.status().code(), core::Code::kInvalidArgument);
  return std::string(backend.status().message());
}

TEST(ParseUri, TakesAFileUriApart) {
  const Uri uri = ParseUri("file:///mnt/x?engine=threads&io_threads=4").value();
  EXPECT_EQ(uri.scheme, "file");
  EXPECT_EQ(uri.place, "/mnt/x");
  EXPECT_THAT(uri.options,
              ElementsAre(Pair("engine", "threads"), Pair("io_threads", "4")));
  EXPECT_EQ(uri.inner, "");
}

TEST(ParseUri, ABarePathIsAFile) {
  for (const std::string_view path :
       {"/mnt/x", "./data", "../data", "data", ".", "./a:b"}) {
    const Uri uri = ParseUri(path).value();
    EXPECT_EQ(uri.scheme, "file") << path;
    EXPECT_EQ(uri.place, path);
  }
}

TEST(ParseUri, TheInnerUriIsAllBehindTheFirstComma) {
  const Uri uri =
      ParseUri("model:?latency=1ms,fault:?nth=2&short=1,mem:x").value();
  EXPECT_EQ(uri.scheme, "model");
  EXPECT_THAT(uri.options, ElementsAre(Pair("latency", "1ms")));
  EXPECT_EQ(uri.inner, "fault:?nth=2&short=1,mem:x");
}

TEST(ParseUri, TakesPlacesWithAndWithoutSlashes) {
  EXPECT_EQ(ParseUri("mem:").value().place, "");
  EXPECT_EQ(ParseUri("mem:name").value().place, "name");
  EXPECT_EQ(ParseUri("mem://name").value().place, "name");
  EXPECT_EQ(ParseUri("file:/mnt/x").value().place, "/mnt/x");
  EXPECT_THAT(ParseUri("null:").value().options, IsEmpty());
}

TEST(ParseUri, RefusesWhatItCannotRead) {
  for (const std::string_view text :
       {"", "model:,", "mem:?latency", "mem:?=1", "mem:?", "mem:?a=1&a=2"}) {
    EXPECT_EQ(ParseUri(text).status().code(), core::Code::kInvalidArgument)
        << text;
  }
  EXPECT_THAT(std::string(ParseUri("mem:?latency").status().message()),
              HasSubstr("'latency' is not <key>=<value>"));
}

TEST(FormatUri, IsReadBackTheSame) {
  for (const std::string_view text :
       {"file:///mnt/x?engine=threads", "file://./data", "direct:///mnt/x",
        "mmap:///mnt/x?readahead=off", "mem:x",
        "null:", "model:?latency=1ms&servers=2,null:"}) {
    EXPECT_EQ(FormatUri(ParseUri(text).value()), text);
  }
}

TEST(OpenBackend, OpensEveryRowByItsExample) {
  ::setenv("AWS_ACCESS_KEY_ID", "key", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  for (const BackendInfo& info : Backends()) {
    const auto backend = OpenBackend(info.example);
    ASSERT_TRUE(backend.ok()) << info.example;
    EXPECT_EQ(backend.value()->scheme(), info.name);
    EXPECT_FALSE(info.summary.empty());
    EXPECT_EQ(ParseUri(info.example).value().scheme, info.name);
  }
}

TEST(OpenBackend, SaysWhereItIs) {
  EXPECT_EQ(testing::Open("file:///mnt/x?engine=threads")->uri(),
            "file:///mnt/x");
  EXPECT_EQ(testing::Open("./data")->uri(), "file://./data");
  EXPECT_EQ(testing::Open("direct:///mnt/x?engine=threads")->uri(),
            "direct:///mnt/x");
  EXPECT_EQ(testing::Open("mem:x")->uri(), "mem:x");
  EXPECT_EQ(testing::Open("model:?servers=2")->uri(), "model:?servers=2,null:");
  EXPECT_EQ(testing::Open("fault:?short=1,model:,mem:x")->uri(),
            "fault:?short=1,model:,mem:x");
}

TEST(OpenBackend, NamesTheNearestAndAllKnownBackends) {
  EXPECT_THAT(OpenError("fil:///mnt/x"),
              AllOf(HasSubstr("unknown storage 'fil'"),
                    HasSubstr("did you mean 'file'?"),
                    HasSubstr("file, direct, mmap, s3, mem, null, model, "
                              "fault")));
}

TEST(OpenBackend, NamesTheNearestAndAllKnownOptions) {
  EXPECT_THAT(OpenError("file:///mnt/x?engin=threads"),
              AllOf(HasSubstr("unknown option 'engin'"),
                    HasSubstr("did you mean 'engine'?"),
                    HasSubstr("engine, io_threads, write_threads")));
  EXPECT_THAT(OpenError("null:?size=3"), HasSubstr("known: none"));
}

TEST(OpenBackend, OpensWhatTheShippedSiteFilesName) {
  ::setenv("AWS_ACCESS_KEY_ID", "key", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  int uris = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(STOKER_SOURCE_DIR "/configs")) {
    std::ifstream text(file.path());
    for (std::string line; std::getline(text, line);) {
      const std::size_t at = line.find("uri: \"");
      if (at == std::string::npos) {
        continue;
      }
      const std::size_t start = at + 6;
      std::string uri = line.substr(start, line.rfind('"') - start);
      if (uri.starts_with("cache:")) {  // of a module above: what is behind
        uri = uri.substr(uri.find(',') + 1);
      }
      EXPECT_EQ(OpenBackend(uri).status().ToString(), "ok") << file.path();
      ++uris;
    }
  }
  EXPECT_GE(uris, 3);
}

TEST(OpenBackend, KnowsWhoWraps) {
  EXPECT_THAT(OpenError("mem:,null:"), HasSubstr("wraps no other storage"));
  EXPECT_THAT(OpenError("fault:?short=1"),
              HasSubstr("needs a storage to wrap"));
  EXPECT_THAT(OpenError("fault:?short=1,nil:"),
              HasSubstr("unknown storage 'nil'"));
}

TEST(OpenBackend, RefusesPlacesThatMeanNothing) {
  EXPECT_THAT(OpenError("file:"), HasSubstr("no folder given"));
  EXPECT_THAT(OpenError("null:x"), HasSubstr("'x' names a place"));
  EXPECT_THAT(OpenError("model:x,null:"), HasSubstr("'x' names a place"));
}

TEST(OpenBackend, RefusesBadOptionValues) {
  EXPECT_THAT(OpenError("file:///mnt/x?engine=aio"),
              HasSubstr("option engine=aio: allowed are auto, uring and "
                        "threads"));
  EXPECT_THAT(OpenError("file:///mnt/x?io_threads=0"),
              HasSubstr("option io_threads=0: allowed are 1 to 256"));
  EXPECT_THAT(OpenError("file:///mnt/x?write_threads=65"),
              HasSubstr("option write_threads=65: allowed are 1 to 64"));
  EXPECT_THAT(OpenError("model:?latency=3d"), HasSubstr("option latency=3d"));
  EXPECT_THAT(OpenError("model:?bandwidth=0"), HasSubstr("bandwidth=0"));
  EXPECT_THAT(OpenError("model:?servers=x"),
              HasSubstr("'x' is not a whole number"));
}

}  // namespace
}  // namespace stoker::storage
