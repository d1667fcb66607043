#include "reporting/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace stoker::reporting {
namespace {

TEST(DumpJson, FieldsKeepTheirOrder) {
  Json json = Json::MakeObject();
  json.Add("z", 1).Add("a", -2).Add("m", true).Add("n", Json());
  EXPECT_EQ(DumpJson(json, -1), R"({"z":1,"a":-2,"m":true,"n":null})");
}

TEST(DumpJson, IndentIsAsPythons) {
  Json json = Json::MakeObject();
  json.Add("list", std::vector<int>{1, 2});
  json.Add("none", Json::Array{});
  EXPECT_EQ(DumpJson(json, 4),
            "{\n    \"list\": [\n        1,\n        2\n    ],\n"
            "    \"none\": []\n}");
}

TEST(DumpJson, NumbersReadBackTheSame) {
  EXPECT_EQ(DumpJson(0.1, 0), "0.1");
  EXPECT_EQ(DumpJson(75.0, 0), "75.0");
  EXPECT_EQ(DumpJson(~0ULL, 0), "18446744073709551615");
  EXPECT_EQ(DumpJson(std::int64_t{-5}, 0), "-5");
  // 1/3 needs 16 or 17 digits.
  EXPECT_EQ(std::stod(DumpJson(1.0 / 3, 0)), 1.0 / 3);
}

TEST(DumpJson, NotANumberIsNull) {
  EXPECT_EQ(DumpJson(std::nan(""), 0), "null");
  EXPECT_EQ(DumpJson(std::numeric_limits<double>::infinity(), 0), "null");
}

TEST(DumpJson, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(DumpJson("a\xFFz", 0), "\"a\xEF\xBF\xBDz\"");
}

TEST(ParseJson, ComesBackInOrder) {
  const std::string text = R"({"b":[1,-1,0.5,"x",null,true],"a":{}})";
  const core::Result<Json> json = ParseJson(text);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(DumpJson(json.value(), -1), text);
}

TEST(ParseJson, BadTextIsCorruption) {
  EXPECT_EQ(ParseJson("{\"a\":").status().code(), core::Code::kCorruption);
  EXPECT_EQ(ParseJson("").status().code(), core::Code::kCorruption);
}

TEST(Json, SetReplacesInPlace) {
  Json json = Json::MakeObject();
  json.Add("a", 1).Add("b", 2);
  json.Set("a", "x");
  json.Set("c", 3);
  EXPECT_EQ(DumpJson(json, -1), R"({"a":"x","b":2,"c":3})");
  EXPECT_EQ(json.Find("d"), nullptr);
  EXPECT_EQ(Json(1).Find("a"), nullptr);
}

TEST(FromYamlText, ScalarsTakeTheirTypes) {
  EXPECT_EQ(DumpJson(FromYamlText("42"), 0), "42");
  EXPECT_EQ(DumpJson(FromYamlText("0.323"), 0), "0.323");
  EXPECT_EQ(DumpJson(FromYamlText("true"), 0), "true");
  EXPECT_EQ(DumpJson(FromYamlText("null"), 0), "null");
  EXPECT_EQ(DumpJson(FromYamlText("pytorch"), 0), "\"pytorch\"");
  EXPECT_EQ(DumpJson(FromYamlText("\"42\""), 0), "\"42\"");
  EXPECT_EQ(DumpJson(FromYamlText("'it''s off'"), 0), "\"it's off\"");
  EXPECT_EQ(DumpJson(FromYamlText("[1, 2]"), -1), "[1,2]");
}

TEST(NestDotted, SectionsGather) {
  const Json json =
      NestDotted({{"a.b", 1}, {"c", 2}, {"a.d.e", 3}, {"a.b", 4}, {"ab.x", 5}});
  EXPECT_EQ(DumpJson(json, -1),
            R"({"a":{"b":4,"d":{"e":3}},"c":2,"ab":{"x":5}})");
}

TEST(Json, FieldsOfAnotherKindAreNone) {
  const auto json =
      ParseJson(R"({"t": "x", "n": -3, "u": 7, "r": 1.5, "b": true})");
  ASSERT_TRUE(json.ok());

  EXPECT_EQ(TextField(json.value(), "t"), "x");
  EXPECT_EQ(TextField(json.value(), "n"), "");
  EXPECT_EQ(TextField(json.value(), "none"), "");
  EXPECT_EQ(WholeField(json.value(), "n"), -3);
  EXPECT_EQ(WholeField(json.value(), "u"), 7);
  EXPECT_EQ(WholeField(json.value(), "r"), std::nullopt);
  EXPECT_EQ(NumberField(json.value(), "r"), 1.5);
  EXPECT_EQ(NumberField(json.value(), "n"), -3);
  EXPECT_EQ(NumberField(json.value(), "t"), std::nullopt);
  EXPECT_EQ(BoolField(json.value(), "b"), true);
  EXPECT_EQ(BoolField(json.value(), "u"), std::nullopt);
  EXPECT_EQ(TextField(Json(1), "t"), "");
}

}  // namespace
}  // namespace stoker::reporting
