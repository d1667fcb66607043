#include "storage/internal/s3_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/support/temp_dir.h"

namespace stoker::storage::internal {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

const Variables kKeys{{"AWS_ACCESS_KEY_ID", "key"},
                      {"AWS_SECRET_ACCESS_KEY", "secret"}};

Environment Of(Variables variables) {
  return [variables = std::move(variables)](
             const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt
                                    : std::optional(found->second);
  };
}

core::Result<S3Settings> Read(std::string_view uri,
                              const Variables& variables = kKeys) {
  const auto parsed = ParseUri(uri);
  return ReadS3Settings(parsed.value(), {}, Of(variables));
}

Variables With(Variables variables) {
  variables.insert(kKeys.begin(), kKeys.end());
  return variables;
}

std::vector<std::string> HostsOf(const S3Settings& settings) {
  std::vector<std::string> hosts;
  for (const S3Endpoint& endpoint : settings.endpoints) {
    hosts.push_back((endpoint.tls ? "s:" : "") + endpoint.host_header());
  }
  return hosts;
}

TEST(S3Settings, BucketAndPrefixComeFromThePlace) {
  const auto plain = Read("s3://bucket");
  ASSERT_TRUE(plain.ok()) << plain.status().ToString();
  EXPECT_EQ(plain.value().bucket, "bucket");
  EXPECT_EQ(plain.value().prefix, "");
  const auto deep = Read("s3://bucket/a/b/");
  EXPECT_EQ(deep.value().prefix, "a/b/");
  EXPECT_THAT(std::string(Read("s3://").status().message()),
              HasSubstr("bucket is missing"));
}

TEST(S3Settings, WithoutAnEndpointItIsAwsByVirtualHost) {
  const auto read = Read("s3://bucket?region=eu-central-1");
  EXPECT_EQ(HostsOf(read.value()),
            std::vector<std::string>{"s:s3.eu-central-1.amazonaws.com"});
  EXPECT_TRUE(read.value().virtual_host);
  EXPECT_FALSE(Read("s3://with.dots").value().virtual_host);
}

TEST(S3Settings, AnEndpointIsAddressedByPathUnlessAskedOtherwise) {
  const auto read = Read("s3://bucket?endpoint=http://store:9000");
  EXPECT_EQ(HostsOf(read.value()), std::vector<std::string>{"store:9000"});
  EXPECT_FALSE(read.value().virtual_host);
  EXPECT_TRUE(Read("s3://bucket?endpoint=http://store&addressing=virtual")
                  .value()
                  .virtual_host);
}

TEST(S3Settings, SeveralEndpointsComeAsListTemplateOrFile) {
  EXPECT_EQ(HostsOf(Read("s3://b?endpoint=http://a;https://b:444").value()),
            (std::vector<std::string>{"a", "s:b:444"}));
  EXPECT_EQ(HostsOf(Read("s3://b?endpoint=http://n{9...11}:80").value()),
            (std::vector<std::string>{"n9", "n10", "n11"}));
  EXPECT_EQ(HostsOf(Read("s3://b",
                         With({{"S3_ENDPOINT_URIS", "http://a:1,http://b:2"}}))
                        .value()),
            (std::vector<std::string>{"a:1", "b:2"}));
  const testing::TempDir dir;
  const std::string path = dir.str() + "/endpoints";
  std::ofstream(path) << "# ours\nhttp://x:5\nhttp://y:6\n";
  EXPECT_EQ(HostsOf(Read("s3://b", With({{"S3_ENDPOINT_FILE", path}})).value()),
            (std::vector<std::string>{"x:5", "y:6"}));
}

TEST(S3Settings, TheUriComesBeforeTheEnvironment) {
  const Variables variables =
      With({{"AWS_ENDPOINT_URL", "http://env:1"},
            {"AWS_REGION", "env"},
            {"S3_LOAD_BALANCE_STRATEGY", "least_connections"}});
  const auto env = Read("s3://b", variables);
  EXPECT_EQ(HostsOf(env.value()), std::vector<std::string>{"env:1"});
  EXPECT_EQ(env.value().region, "env");
  EXPECT_EQ(env.value().balance, S3Balance::kLeastConnections);
  const auto given = Read(
      "s3://b?endpoint=http://uri:2&region=uri&balance=round_robin", variables);
  EXPECT_EQ(HostsOf(given.value()), std::vector<std::string>{"uri:2"});
  EXPECT_EQ(given.value().region, "uri");
  EXPECT_EQ(given.value().balance, S3Balance::kRoundRobin);
}

TEST(S3Settings, CredentialsComeFromTheEnvironmentThenTheSharedFile) {
  const auto env =
      Read("s3://b", With({{"AWS_SESSION_TOKEN", "token"}})).value();
  EXPECT_EQ(env.credentials->access_key, "key");
  EXPECT_EQ(env.credentials->secret_key, "secret");
  EXPECT_EQ(env.credentials->session_token, "token");

  const testing::TempDir dir;
  const std::string path = dir.str() + "/credentials";
  std::ofstream(path) << "[default]\naws_access_key_id = d\n"
                         "aws_secret_access_key=ds\n\n[other]\n"
                         "aws_access_key_id=o\naws_secret_access_key=os\n"
                         "aws_session_token=ot\n";
  const Variables file{{"AWS_SHARED_CREDENTIALS_FILE", path}};
  EXPECT_EQ(Read("s3://b", file).value().credentials->access_key, "d");
  const auto other = Read("s3://b?profile=other", file).value();
  EXPECT_EQ(other.credentials->access_key, "o");
  EXPECT_EQ(other.credentials->session_token, "ot");
  // A profile that is named counts more than keys in the environment.
  Variables both = file;
  both.insert(kKeys.begin(), kKeys.end());
  EXPECT_EQ(Read("s3://b?profile=other", both).value().credentials->access_key,
            "o");
}

TEST(S3Settings, WithoutCredentialsItSaysWhereTheyBelong) {
  const auto none = Read("s3://b", {});
  EXPECT_EQ(none.status().code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(none.status().message()),
              HasSubstr("AWS_ACCESS_KEY_ID"));
  EXPECT_FALSE(Read("s3://b?sign=no", {}).value().credentials.has_value());
}

TEST(S3Settings, PasswordsInAnEndpointAreRefusedAndNotRepeated) {
  const auto read = Read("s3://b?endpoint=http://me:hunter2@store:9000");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(std::string(read.status().message()).find("hunter2"),
            std::string::npos);
}

TEST(S3Settings, BadValuesAreNamed) {
  for (const char* const uri :
       {"s3://b?endpoint=store:9000", "s3://b?endpoint=http://store/path",
        "s3://b?endpoint=http://store:99999", "s3://b?endpoint=http://n{1..3}",
        "s3://b?balance=random", "s3://b?addressing=dns", "s3://b?part=1MiB",
        "s3://b?range=100", "s3://b?payload=maybe", "s3://b?sign=maybe",
        "s3://b?connections=0", "s3://b?connect_timeout=0s",
        "s3://b?ca=/nowhere/ca.pem", "s3://b/a//c"}) {
    EXPECT_EQ(Read(uri).status().code(), core::Code::kInvalidArgument) << uri;
  }
}

}  // namespace
}  // namespace stoker::storage::internal
