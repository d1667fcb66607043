#include "storage/internal/s3_xml.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stoker::storage::internal {
namespace {

TEST(S3Xml, AListPageGivesDecodedKeysSizesAndTheNextToken) {
  const auto page = ParseListPage(
      "<?xml version=\"1.0\"?><ListBucketResult "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>a/b&amp;c</NextContinuationToken>"
      "<Contents><Key>x%20y/%C3%A4</Key><Size>5368709121</Size></Contents>"
      "<Contents><Key>z</Key><Size>0</Size></Contents></ListBucketResult>");
  ASSERT_TRUE(page.ok()) << page.status().ToString();
  ASSERT_EQ(page.value().objects.size(), 2U);
  EXPECT_EQ(page.value().objects[0].key, "x y/\xC3\xA4");
  EXPECT_EQ(page.value().objects[0].size, 5368709121U);
  EXPECT_EQ(page.value().next_token, "a/b&c");
}

TEST(S3Xml, TheLastPageHasNoToken) {
  const auto page = ParseListPage(
      "<ListBucketResult><IsTruncated>false</IsTruncated>"
      "<NextContinuationToken>old</NextContinuationToken></ListBucketResult>");
  EXPECT_EQ(page.value().next_token, "");
}

TEST(S3Xml, WhatIsNoSuchDocumentIsCorruption) {
  for (const char* const text :
       {"", "<html>", "<ListBucketResult", "{}",
        "<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated>"
        "</ListBucketResult>"}) {
    EXPECT_EQ(ParseListPage(text).status().code(), core::Code::kCorruption)
        << text;
  }
  EXPECT_FALSE(ParseUploadId("<InitiateMultipartUploadResult/>").ok());
  EXPECT_FALSE(ParseDeleteResult("<Error/>").ok());
  EXPECT_FALSE(ParseUploadPage("<Error/>").ok());
}

TEST(S3Xml, ErrorsGiveCodeAndMessage) {
  const S3Error error = ParseS3Error(
      "<Error><Code>NoSuchKey</Code><Message>gone &lt;x&gt;</Message>"
      "</Error>");
  EXPECT_EQ(error.code, "NoSuchKey");
  EXPECT_EQ(error.message, "gone <x>");
  EXPECT_EQ(ParseS3Error("Service Unavailable").code, "");
}

TEST(S3Xml, DeleteTellsWhatIsLeft) {
  const auto left = ParseDeleteResult(
      "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error>"
      "</DeleteResult>");
  ASSERT_EQ(left.value().size(), 1U);
  EXPECT_EQ(left.value()[0].key, "k");
  EXPECT_EQ(left.value()[0].error.code, "AccessDenied");
}

TEST(S3Xml, BodiesAreEscaped) {
  EXPECT_EQ(DeleteObjectsBody(std::vector<std::string>{"a&b<c"}),
            "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b&lt;c</Key>"
            "</Object></Delete>");
  EXPECT_EQ(CompleteUploadBody(std::vector<std::string>{"\"e1\"", "\"e2\""}),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"
            "\"e1\"</ETag></Part><Part><PartNumber>2</PartNumber><ETag>"
            "\"e2\"</ETag></Part></CompleteMultipartUpload>");
}

}  // namespace
}  // namespace stoker::storage::internal
