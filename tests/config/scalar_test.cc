#include "config/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace stoker::config {
namespace {

// "<kind> <canonical text>"
std::string Typed(const Node& node) {
  return std::string(KindName(node.kind)) + " " + FlowText(node);
}

struct Vector {
  const char* text;
  const char* typed;
};

TEST(YamlScalar, TypesAsOmegaConf) {
  // Verified against OmegaConf 2.2; PyYAML alone would leave 1e-3 a text.
  const std::vector<Vector> vectors{
      {"off", "boolean false"},
      {"on", "boolean true"},
      {"yes", "boolean true"},
      {"no", "boolean false"},
      {"True", "boolean true"},
      {"FALSE", "boolean false"},
      {"1e-3", "float 0.001"},
      {"1E3", "float 1000"},
      {"1_000", "integer 1000"},
      {"0x10", "integer 16"},
      {"010", "integer 8"},
      {"0b101", "integer 5"},
      {"12:30:45", "integer 45045"},  // (12*60 + 30)*60 + 45
      {"null", "null null"},
      {"~", "null null"},
      {"", "null null"},
      {"none", "text none"},
      {"-7", "integer -7"},
      {"+4", "integer 4"},
      {"1.5", "float 1.5"},
      {"7.", "float 7"},
      {".5", "float 0.5"},
      {"1:30.5", "float 90.5"},
      {".inf", "float .inf"},
      {"-.INF", "float -.inf"},
      {".nan", "float .nan"},
      {"inf", "text inf"},
      {"seed", "text seed"},
      {"2024-01-02", "text '2024-01-02'"}};
  for (const Vector& vector : vectors) {
    EXPECT_EQ(Typed(YamlScalar(vector.text)), vector.typed) << vector.text;
  }
}

TEST(YamlScalar, LeavesWhatIsNoNumberAsText) {
  for (const char* text :
       {"08", "1__2.x", "0x", "0xg", "1:60", "1:2:", "1e", "e5", ".", "-", "+",
        "1.2.3", "--1", "0b2", "12:30:45x", "_1", "0b_", "0x_", "oN"}) {
    EXPECT_EQ(YamlScalar(text).kind, Node::Kind::kString) << text;
  }
}

TEST(YamlScalar, IntegersBeyond64BitsBecomeFloats) {
  EXPECT_EQ(YamlScalar("9223372036854775807").integer, 9223372036854775807);
  const Node node = YamlScalar("9223372036854775808");  // 2^63
  ASSERT_EQ(node.kind, Node::Kind::kFloat);
  EXPECT_EQ(node.real, 0x1p63);
  EXPECT_TRUE(std::isinf(YamlScalar("1e999").real));
  EXPECT_EQ(YamlScalar("1e-999").real, 0.0);
}

TEST(OverrideScalar, TypesAsHydra) {
  const std::vector<Vector> vectors{
      {"1", "integer 1"},         {"1_000", "integer 1000"},
      {"1e-3", "float 0.001"},    {".5", "float 0.5"},
      {"7.", "float 7"},          {"1.0", "float 1"},
      {"-3", "integer -3"},       {"+4", "integer 4"},
      {"inf", "float .inf"},      {"-Inf", "float -.inf"},
      {"NaN", "float .nan"},      {"true", "boolean true"},
      {"FALSE", "boolean false"}, {"off", "text 'off'"},
      {"yes", "text 'yes'"},      {"null", "null null"},
      {"NULL", "null null"},      {"~", "text '~'"},
      {"010", "text '010'"},      {"0x10", "text '0x10'"},
      {"12:30", "text '12:30'"},  {"1__0", "text '1__0'"},
      {"-", "text '-'"},          {"1e", "text '1e'"}};
  for (const Vector& vector : vectors) {
    EXPECT_EQ(Typed(OverrideScalar(vector.text)), vector.typed) << vector.text;
  }
}

TEST(FlowText, QuotesWhatYamlWouldMisread) {
  EXPECT_EQ(FlowText("local_fs"), "local_fs");
  EXPECT_EQ(FlowText("./data/unet3d"), "./data/unet3d");
  EXPECT_EQ(FlowText("off"), "'off'");
  EXPECT_EQ(FlowText("y"), "'y'");
  EXPECT_EQ(FlowText("010"), "'010'");
  EXPECT_EQ(FlowText(""), "''");
  EXPECT_EQ(FlowText("it's: #1"), "'it''s: #1'");
  EXPECT_EQ(FlowText("a\nb\"\\"), "\"a\\x0ab\\\"\\\\\"");
  EXPECT_EQ(FlowText("ends in space "), "'ends in space '");
}

TEST(FlowText, WritesFloatsThatPyYamlReadsAsFloats) {
  EXPECT_EQ(FlowText(0.323), "0.323");
  EXPECT_EQ(FlowText(1e-5), "1.0e-05");
  EXPECT_EQ(FlowText(1.5e300), "1.5e+300");
  EXPECT_EQ(FlowText(1e22), "1.0e+22");
  EXPECT_EQ(FlowText(114660.07), "114660.07");
  EXPECT_EQ(FlowText(2828486.0), "2828486");
}

}  // namespace
}  // namespace stoker::config
