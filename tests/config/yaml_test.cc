#include "config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "config/scalar.h"
#include "core/text.h"
#include "tests/config/load_helpers.h"

namespace stoker::config {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The document as flow text; "<line>:<column> <message>" of the first problem
// if there is any.
std::string Read(std::string_view text) {
  Problems problems;
  const auto root = ParseYaml(text, problems);
  if (!problems.empty()) {
    return std::to_string(problems[0].mark.line) + ":" +
           std::to_string(problems[0].mark.column) + " " + problems[0].text;
  }
  return root ? FlowText(*root) : "no tree and no problem";
}

TEST(ParseYaml, ReadsBlocksFlowsAndQuotes) {
  EXPECT_EQ(Read("a: 1\nb: [x, '2', \"3\\n\"]\nc: {d: off}\ne:\n"),
            "{a: 1, b: [x, '2', \"3\\x0a\"], c: {d: false}, e: null}");
  EXPECT_EQ(Read("a: |\n  two\n  lines\n"), "{a: \"two\\x0alines\\x0a\"}");
  EXPECT_EQ(Read("# only this\na: b # that\n"), "{a: b}");
}

TEST(ParseYaml, MarksNamesAndValues) {
  Problems problems;
  const auto root = ParseYaml("a:\n  bc: 17\n", problems);
  ASSERT_TRUE(root);
  const Entry& entry = root->entries[0].value.entries[0];
  EXPECT_EQ(entry.mark.line, 2);
  EXPECT_EQ(entry.mark.column, 3);
  EXPECT_EQ(entry.value.mark.line, 2);
  EXPECT_EQ(entry.value.mark.column, 7);
  EXPECT_EQ(entry.value.text, "17");
}

TEST(ParseYaml, ReportsMalformedTextWithItsPlace) {
  // The quote that is never closed began at 1:4.
  EXPECT_THAT(Read("a: 'unterminated"), HasSubstr("begins at 1:4"));
  EXPECT_THAT(Read("- a\nb: 1"), StartsWith("2:1 "));
  EXPECT_THAT(Read("a: 1\n: 2"), StartsWith("2:1 "));
  EXPECT_THAT(Read("a: 1\n...\ngarbage: ["), HasSubstr("3:"));
  EXPECT_THAT(Read("a: [1, 2\nb: 3"), StartsWith("2:"));
  EXPECT_THAT(Read("a:\n\tb: 1"), StartsWith("2:1 "));
  EXPECT_THAT(Read("a: b: c"), StartsWith("1:5 "));
  EXPECT_THAT(Read("x: *nope"), StartsWith("1:4 the alias '*nope'"));
}

TEST(ParseYaml, NamesTheByteOfBadUtf8) {
  EXPECT_THAT(Read("a: \xff"), HasSubstr("byte 3"));
}

TEST(ParseYaml, ReportsDuplicatesWithBothPlacesAndGoesOn) {
  Problems problems;
  const auto root = ParseYaml("a: 1\nb: 2\na: 3\nb: 4\n", problems);
  ASSERT_TRUE(root);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].mark.line, 3);
  EXPECT_EQ(problems[0].text, "'a' is given twice, first at 1:1");
  EXPECT_EQ(problems[1].text, "'b' is given twice, first at 2:1");
}

TEST(ParseYaml, TakesOneDocument) {
  EXPECT_EQ(Read("---\na: 1\n...\n"), "{a: 1}");
  EXPECT_THAT(Read("a: 1\n---\nb: 2\n"), StartsWith("2:1 a second YAML"));
  EXPECT_THAT(Read(""), HasSubstr("holds no YAML document"));
  EXPECT_THAT(Read("# nothing\n"), HasSubstr("holds no YAML document"));
}

TEST(ParseYaml, ExpandsAnchorsAndMergeKeys) {
  EXPECT_EQ(Read("a: &x [1, 2]\nb: *x\n"), "{a: [1, 2], b: [1, 2]}");
  // A value of its own wins over a merged one, the first source over the rest.
  EXPECT_EQ(Read("p: &p {a: 1, b: 2}\nq: &q {b: 3, c: 4}\n"
                 "r:\n  <<: [*p, *q]\n  a: 0\n"),
            "{p: {a: 1, b: 2}, q: {b: 3, c: 4}, r: {a: 0, b: 2, c: 4}}");
  EXPECT_THAT(Read("a: {<<: 5}"), HasSubstr("'<<' takes a map"));
  EXPECT_THAT(Read("a: &x [*x]"), HasSubstr("no complete anchor"));
}

TEST(ParseYaml, UnderstandsCoreTagsOnly) {
  EXPECT_EQ(Read("a: !!str 5\nb: !!float 3\nc: ! off\n"),
            "{a: '5', b: 3, c: 'off'}");
  EXPECT_THAT(Read("a: !!int x"), StartsWith("1:4 "));
  EXPECT_THAT(Read("a: !!python/name:os.system ''"),
              HasSubstr("cannot be read as"));
  EXPECT_THAT(Read("a: !mine {}"), HasSubstr("'!mine' is not supported"));
}

TEST(ParseYaml, BoundsNestingAndExpansion) {
  const std::string nested(100000, '[');
  EXPECT_THAT(Read(nested), HasSubstr("nested deeper than 64"));
  EXPECT_EQ(Read(std::string(64, '[') + std::string(64, ']')),
            std::string(64, '[') + std::string(64, ']'));
  // Ten values nine times over: 10^9 nodes if it were followed.
  std::string bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    const std::string name = "a" + std::to_string(i);
    bomb += name + ": &" + name + " [" + last;
    for (int k = 1; k < 10; ++k) {
      bomb += ", " + last;
    }
    bomb += "]\n";
  }
  EXPECT_THAT(Read(bomb), HasSubstr("more than 100000 values"));
}

TEST(ReadYamlFile, NamesAMissingFileAndATooLargeOne) {
  const stoker::testing::TempDir dir;
  EXPECT_EQ(ReadYamlFile(dir.str() + "/none.yaml").status().code(),
            core::Code::kNotFound);
  EXPECT_EQ(ReadYamlFile(dir.str()).status().code(), core::Code::kIoError);
  const std::string path = dir.str() + "/large.yaml";
  testing::WriteText(path, std::string(kMaxYamlBytes, '#'));
  EXPECT_TRUE(ReadYamlFile(path).ok());
  testing::WriteText(path, std::string(kMaxYamlBytes + 1, '#'));
  const core::Status status = ReadYamlFile(path).status();
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("larger than 4 MiB"));
}

}  // namespace
}  // namespace stoker::config
