#include "core/fnv.h"

#include <gtest/gtest.h>

namespace stoker::core {
namespace {

TEST(Fnv1a64, HasThePublishedValues) {
  EXPECT_EQ(Fnv1a64(""), 0xCBF29CE484222325U);
  EXPECT_EQ(Fnv1a64("a"), 0xAF63DC4C8601EC8CU);
  EXPECT_EQ(Fnv1a64("foobar"), 0x85944171F73967E8U);
}

}  // namespace
}  // namespace stoker::core
