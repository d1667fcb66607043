#include "config/overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/scalar.h"

namespace stoker::config {
namespace {

using ::testing::HasSubstr;
using Kind = Override::Kind;

// The value as flow text, or the error.
std::string Value(const std::string& text) {
  const auto parsed = ParseOverride("++k=" + text, 1);
  return parsed.ok() ? FlowText(parsed.value().value)
                     : std::string(parsed.status().message());
}

TEST(ParseOverride, TellsTheForms) {
  EXPECT_EQ(ParseOverride("++a.b=1", 1).value().kind, Kind::kSet);
  EXPECT_EQ(ParseOverride("+a.b=1", 1).value().kind, Kind::kAdd);
  EXPECT_EQ(ParseOverride("a.b=1", 1).value().kind, Kind::kChange);
  const auto deletion = ParseOverride("~a.b", 3);
  EXPECT_EQ(deletion.value().kind, Kind::kDelete);
  EXPECT_EQ(deletion.value().mark.source, 3);
  EXPECT_FALSE(deletion.value().has_value);
  EXPECT_TRUE(ParseOverride("~a.b=2", 1).value().has_value);
}

TEST(ParseOverride, DropsTheWorkloadPrefix) {
  EXPECT_EQ(ParseOverride("++workload.a.b=1", 1).value().key, "a.b");
  EXPECT_EQ(ParseOverride("a.b=1", 1).value().key, "a.b");
  EXPECT_EQ(ParseOverride("++workloads.b=1", 1).value().key, "workloads.b");
}

TEST(ParseOverride, ReadsBareWords) {
  EXPECT_EQ(Value("4"), "4");
  EXPECT_EQ(Value(""), "''");
  EXPECT_EQ(Value("010"), "'010'");
  EXPECT_EQ(Value("a.b/c"), "a.b/c");
  EXPECT_EQ(Value("a b "), "a b");
  EXPECT_EQ(Value("-x+$%*@?|:"), "'-x+$%*@?|:'");
  EXPECT_EQ(Value("a\\,b"), "'a,b'");
  EXPECT_EQ(Value("${model.name}/x"), "'${model.name}/x'");
}

TEST(ParseOverride, ReadsQuotedText) {
  EXPECT_EQ(Value("\"x y\""), "x y");
  EXPECT_EQ(Value("'1'"), "'1'");
  EXPECT_EQ(Value("'1,2'"), "'1,2'");
  EXPECT_EQ(Value(R"('it\'s')"), "'it''s'");
  EXPECT_EQ(Value(R"("a\"b")"), "'a\"b'");
  EXPECT_EQ(Value(R"('a\nb')"), R"('a\nb')");  // no other escapes
  EXPECT_EQ(Value(R"('a\\')"), R"('a\')");
  EXPECT_THAT(Value("'open"), HasSubstr("lacks its closing '"));
  EXPECT_THAT(Value("'a'b"), HasSubstr("outside quotes"));
}

TEST(ParseOverride, ReadsListsAndMaps) {
  EXPECT_EQ(Value("[1,2,a]"), "[1, 2, a]");
  EXPECT_EQ(Value("[]"), "[]");
  EXPECT_EQ(Value("[ [1] , {} ]"), "[[1], {}]");
  EXPECT_EQ(Value("{a:1,b:x}"), "{a: 1, b: x}");
  EXPECT_EQ(Value("{type: normal, mean: 0.5}"), "{type: normal, mean: 0.5}");
  EXPECT_EQ(Value("{a: b:c}"), "{a: 'b:c'}");
  EXPECT_THAT(Value("[1"), HasSubstr("lacks its ']'"));
  EXPECT_THAT(Value("[1,,2]"), HasSubstr("empty element"));
  EXPECT_THAT(Value("{a:1"), HasSubstr("lacks its '}'"));
  EXPECT_THAT(Value("{a}"), HasSubstr("{name: value, ...}"));
  EXPECT_THAT(Value("{a:1,a:2}"), HasSubstr("given twice"));
  EXPECT_THAT(Value(std::string(70, '[')), HasSubstr("deeper than 64"));
}

TEST(ParseOverride, RefusesSweepsAndStrayCharacters) {
  EXPECT_THAT(Value("1,2"), HasSubstr("sweep"));
  EXPECT_THAT(Value("1,2"), HasSubstr("quote the value"));
  EXPECT_THAT(Value("choice(1,2)"), HasSubstr("functions"));
  EXPECT_THAT(Value("a=b"), HasSubstr("'=' outside quotes"));
  EXPECT_THAT(Value("a;b"), HasSubstr("';' outside quotes"));
  EXPECT_THAT(Value("${a"), HasSubstr("lacks its '}'"));
}

TEST(ParseOverride, RefusesBadKeys) {
  const auto error = [](std::string_view text) {
    return std::string(ParseOverride(text, 1).status().message());
  };
  EXPECT_THAT(error("a.b"), HasSubstr("key=value"));
  EXPECT_THAT(error("=5"), HasSubstr("words separated by dots"));
  EXPECT_THAT(error("a..b=5"), HasSubstr("words separated by dots"));
  EXPECT_THAT(error("a b=5"), HasSubstr("words separated by dots"));
  EXPECT_THAT(error("workload=unet3d_h100"), HasSubstr("--workload FILE"));
  EXPECT_THAT(error("++hydra.run.dir=x"), HasSubstr("--results-dir"));
}

TEST(OverrideText, ReadsBackEqual) {
  // The texts an override can hold that need care, with their kinds.
  for (const char* text :
       {"x", "", "1", "010", "null", "TRUE", "a b", "it's", R"(a\)", R"(\')",
        R"(a\\'b)", "1,2", "a=b", "[x]", "off", "\xc3\xa9"}) {
    const Node node = TextNode(text);
    const auto parsed = ParseOverride("++k=" + OverrideText(node), 1);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed.value().value.kind, Node::Kind::kString) << text;
    EXPECT_EQ(parsed.value().value.text, text);
  }
  EXPECT_EQ(OverrideText(YamlScalar("0x10")), "16");
  EXPECT_EQ(OverrideText(YamlScalar("off")), "false");
  EXPECT_EQ(OverrideText(ParseOverride("++k=[1,{a: 'x y'}]", 1).value().value),
            "[1,{a:'x y'}]");
}

}  // namespace
}  // namespace stoker::config
