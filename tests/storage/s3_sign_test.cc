// Against the examples that AWS publishes with the algorithm ("Examples:
// Signature Calculations in AWS Signature Version 4", Amazon S3 API Reference).

#include "storage/internal/s3_sign.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace stoker::storage::internal {
namespace {

constexpr std::string_view kEmpty =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kHost = "examplebucket.s3.amazonaws.com";
// 2013-05-24T00:00:00Z.
constexpr std::chrono::system_clock::time_point kThen{
    std::chrono::seconds(1369353600)};

S3Signer ExampleSigner(std::string token = "") {
  return {{.access_key = "AKIAIOSFODNN7EXAMPLE",
           .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
           .session_token = std::move(token)},
          "us-east-1"};
}

std::string Value(const std::vector<HttpHeader>& headers,
                  std::string_view name) {
  for (const HttpHeader& header : headers) {
    if (header.name == name) {
      return std::string(header.value);
    }
  }
  return "";
}

std::string Sign(const RequestToSign& request,
                 std::vector<HttpHeader> headers = {}) {
  S3Signer signer = ExampleSigner();
  signer.Sign(request, kThen, headers);
  return Value(headers, "authorization");
}

constexpr std::string_view kCredential =
    "AWS4-HMAC-SHA256 "
    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,";

TEST(S3Signer, SignsTheExampleOfARangedGet) {
  EXPECT_EQ(
      Sign({.method = "GET",
            .host = kHost,
            .path = "/test.txt",
            .query = "",
            .payload_sha256 = kEmpty},
           {{"range", "bytes=0-9"}}),
      std::string(kCredential) +
          "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
          "Signature="
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(S3Signer, SignsTheExampleOfAPut) {
  EXPECT_EQ(
      Sign({.method = "PUT",
            .host = kHost,
            .path = "/" + EncodeUri("test$file.text", true),
            .query = "",
            .payload_sha256 = Sha256Hex("Welcome to Amazon S3.")},
           {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
            {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}),
      std::string(kCredential) +
          "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;"
          "x-amz-storage-class,Signature="
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(S3Signer, SignsTheExampleOfAQueryWithoutValue) {
  EXPECT_EQ(
      Sign({.method = "GET",
            .host = kHost,
            .path = "/",
            .query = EncodeQuery({{"lifecycle", ""}}),
            .payload_sha256 = kEmpty}),
      std::string(kCredential) +
          "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(S3Signer, SignsTheExampleOfAList) {
  EXPECT_EQ(
      Sign({.method = "GET",
            .host = kHost,
            .path = "/",
            .query = EncodeQuery({{"prefix", "J"}, {"max-keys", "2"}}),
            .payload_sha256 = kEmpty}),
      std::string(kCredential) +
          "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3Signer, SignsAndSendsTheTokenOfTemporaryCredentials) {
  std::vector<HttpHeader> headers;
  S3Signer signer = ExampleSigner("token");
  signer.Sign({.method = "GET",
               .host = kHost,
               .path = "/",
               .query = "",
               .payload_sha256 = kEmpty},
              kThen, headers);
  EXPECT_EQ(Value(headers, "x-amz-security-token"), "token");
  EXPECT_NE(Value(headers, "authorization").find("x-amz-security-token"),
            std::string::npos);
  EXPECT_EQ(Value(headers, "x-amz-date"), "20130524T000000Z");
}

TEST(S3Signer, SignsEachOfManyRequestsAsTheOnlyOne) {
  S3Signer one = ExampleSigner();
  for (const std::string_view path : {"/longer/name", "/a", "/longer/name"}) {
    for (const auto days : {0, 1}) {
      const RequestToSign request{.method = "GET",
                                  .host = kHost,
                                  .path = path,
                                  .query = "",
                                  .payload_sha256 = kEmpty};
      const auto when = kThen + std::chrono::days(days);
      std::vector<HttpHeader> headers = {{"range", "bytes=0-9"}};
      one.Sign(request, when, headers);
      S3Signer other = ExampleSigner();
      std::vector<HttpHeader> expected = {{"range", "bytes=0-9"}};
      other.Sign(request, when, expected);
      EXPECT_EQ(Value(headers, "authorization"),
                Value(expected, "authorization"));
    }
  }
}

TEST(S3Signer, EncodesAllButUnreservedCharacters) {
  EXPECT_EQ(EncodeUri("a/b c+d~e_f-g.h$\xC3\xA4", true),
            "a/b%20c%2Bd~e_f-g.h%24%C3%A4");
  EXPECT_EQ(EncodeUri("a/b", false), "a%2Fb");
  EXPECT_EQ(DecodeUri("a%2Fb+c%zz%4"), "a/b c%zz%4");
}

TEST(S3Signer, SumsAreThoseOfTheStandards) {
  EXPECT_EQ(Sha256Hex(""), kEmpty);
  // RFC 1321: MD5("abc") = 900150983cd24fb0d6963f7d28e17f72.
  EXPECT_EQ(Md5Base64("abc"), "kAFQmDzST7DWlj99KOF/cg==");
  EXPECT_EQ(Md5Hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
}

}  // namespace
}  // namespace stoker::storage::internal
