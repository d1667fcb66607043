#include "dataset/names.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stoker::dataset {
namespace {

TEST(ObjectName, PadsTheIndexToTheDigitsOfTheTotal) {
  EXPECT_EQ(ObjectName({.total = 168}, 0), "train/img_000_of_168.npz");
  EXPECT_EQ(ObjectName({.suffix = "tfrecord", .total = 1024}, 7),
            "train/img_0007_of_1024.tfrecord");
  EXPECT_EQ(ObjectName({.suffix = "tfrecord", .total = 524288}, 524287),
            "train/img_524287_of_524288.tfrecord");
  EXPECT_EQ(ObjectName({.set = "valid", .total = 9}, 8),
            "valid/img_8_of_9.npz");
}

TEST(ObjectName, DealsFilesToSubfoldersInTurn) {
  EXPECT_EQ(ObjectName({.total = 168, .subfolders = 12}, 19),
            "train/07/img_019_of_168.npz");
  const Naming naming = {.total = 12, .subfolders = 11};
  EXPECT_EQ(ObjectName(naming, 0), "train/00/img_00_of_12.npz");
  EXPECT_EQ(ObjectName(naming, 1), "train/01/img_01_of_12.npz");
  EXPECT_EQ(ObjectName(naming, 11), "train/00/img_11_of_12.npz");
}

TEST(ObjectName, IsFlatWithOneSubfolder) {
  EXPECT_EQ(ObjectName({.total = 3, .subfolders = 1}, 2),
            "train/img_2_of_3.npz");
}

TEST(ObjectName, ReplacesTheTextAndKeepsItsMemory) {
  std::string name(200, 'x');
  const std::size_t capacity = name.capacity();
  ObjectName({.total = 3}, 2, name);
  EXPECT_EQ(name, "train/img_2_of_3.npz");
  EXPECT_EQ(name.capacity(), capacity);
}

TEST(IndexName, LiesBesideTheDataUnderTheWholeBaseName) {
  std::string name;
  IndexName({.suffix = "tfrecord", .total = 1024, .subfolders = 12}, 3, name);
  EXPECT_EQ(name, "index/train/img_0003_of_1024.tfrecord.idx");
}

TEST(ParseName, UndoesObjectName) {
  for (const Naming& naming :
       std::vector<Naming>{{.total = 168},
                           {.set = "valid", .suffix = "tfrecord", .total = 10},
                           {.prefix = "a_of_b", .total = 1},
                           {.total = 524288, .subfolders = 52},
                           {.prefix = "", .suffix = "csv.gz", .total = 11}}) {
    for (const std::uint64_t index : {std::uint64_t{0}, naming.total - 1}) {
      const std::string name = ObjectName(naming, index);
      const std::optional<ParsedName> parsed = ParseName(name);
      ASSERT_TRUE(parsed) << name;
      EXPECT_EQ(parsed->set, naming.set);
      EXPECT_EQ(parsed->prefix, naming.prefix);
      EXPECT_EQ(parsed->suffix, naming.suffix);
      EXPECT_EQ(parsed->total, naming.total);
      EXPECT_EQ(parsed->index, index);
      EXPECT_EQ(parsed->subfolder.empty(), naming.subfolders <= 1);
    }
  }
}

TEST(ParseName, TakesNamesWithoutTheSetsFolder) {
  const std::optional<ParsedName> flat = ParseName("img_000_of_168.npz");
  ASSERT_TRUE(flat);
  EXPECT_EQ(flat->set, "");
  EXPECT_EQ(flat->subfolder, "");
  const std::optional<ParsedName> nested = ParseName("07/img_019_of_168.npz");
  ASSERT_TRUE(nested);
  EXPECT_EQ(nested->set, "");
  EXPECT_EQ(nested->subfolder, "07");
}

TEST(ParseName, RefusesOtherForms) {
  for (const char* name :
       {"", "train/", "train/readme.txt", "train/img_0_of_168.npz",
        "train/img_0000_of_168.npz", "train/img_168_of_168.npz",
        "train/img_000_of_168", "train/img_000_of_168.", "img_000_of_.npz",
        "train/img_000_of_0168.npz", "train/img_00x_of_168.npz",
        "train/a/img_000_of_168.npz", "a/b/c/img_000_of_168.npz",
        "train//img_000_of_168.npz", "/img_000_of_168.npz",
        "train/img_-01_of_168.npz", "train/_of_168.npz", "000_of_168.npz",
        "img_00000000000000000000_of_99999999999999999999.npz"}) {
    EXPECT_FALSE(ParseName(name)) << name;
  }
}

}  // namespace
}  // namespace stoker::dataset
