#pragma once

// What the tests of rules share.

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "rules/allowed.h"

namespace stoker::testing {

// The finding of one rule, which must be there.
inline const rules::Finding& FindingOf(const rules::Judgement& judgement,
                                       std::string_view rule) {
  const auto found =
      std::ranges::find(judgement.findings, rule, &rules::Finding::rule);
  EXPECT_NE(found, judgement.findings.end()) << rule;
  return *found;
}

}  // namespace stoker::testing
