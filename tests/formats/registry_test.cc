#include "formats/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace stoker::formats {
namespace {

using ::testing::HasSubstr;

TEST(FindFormat, FindsEveryRowOfTheTable) {
  ASSERT_GT(Formats().size(), 1U);
  for (const FormatInfo& info : Formats()) {
    const core::Result<const Format*> format = FindFormat(info.name);
    ASSERT_TRUE(format.ok());
    EXPECT_EQ(format.value(), info.format);
    EXPECT_EQ(format.value()->name(), info.name);
    EXPECT_FALSE(info.summary.empty());
  }
}

TEST(FindFormat, UnknownNameIsUnsupportedAndNamesTheKnown) {
  const core::Result<const Format*> format = FindFormat("hdf5_opt");
  ASSERT_FALSE(format.ok());
  EXPECT_EQ(format.status().code(), core::Code::kUnsupported);
  const std::string message(format.status().message());
  EXPECT_THAT(message, HasSubstr("\"hdf5_opt\""));
  EXPECT_THAT(message, HasSubstr("npz, tfrecord"));
}

}  // namespace
}  // namespace stoker::formats
