#include "run/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "formats/registry.h"
#include "storage/registry.h"

namespace stoker::run {
namespace {

using ::testing::HasSubstr;

TEST(DescribeBackends, NamesEachBackendItsExampleAndItsOptions) {
  const std::string text = DescribeBackends();

  EXPECT_THAT(text, HasSubstr("\n  cache "));
  for (const storage::BackendInfo& backend : storage::Backends()) {
    EXPECT_THAT(text, HasSubstr("\n  " + std::string(backend.name) + " "));
    EXPECT_THAT(text, HasSubstr("e.g. " + std::string(backend.example)));
    for (const storage::OptionHelp& option : backend.options) {
      EXPECT_THAT(text, HasSubstr(" " + std::string(option.name) + "="));
    }
  }
}

TEST(DescribeFormats, NamesEachFormat) {
  const std::string text = DescribeFormats();

  EXPECT_THAT(text, HasSubstr("npz"));
  for (const formats::FormatInfo& format : formats::Formats()) {
    EXPECT_THAT(text, HasSubstr("  " + std::string(format.name) + " "));
    EXPECT_THAT(text, HasSubstr(std::string(format.summary)));
  }
}

TEST(DescribeLoaders, NamesEachLoaderModel) {
  const std::string text = DescribeLoaders();

  for (const char* name : {"dlio-v2", "dlio-v3", "lean"}) {
    EXPECT_THAT(text, HasSubstr("\n  " + std::string(name) + " "));
  }
}

}  // namespace
}  // namespace stoker::run
