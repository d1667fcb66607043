// Against pickles that CPython 3.11 wrote (protocol 2) of dicts of objects that
// pickle as tensors do.

#include "checkpoint/internal/pickle_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/checkpoint/pickles.h"

namespace stoker::checkpoint {
namespace {

using stoker::testing::ToHex;
using ::testing::EndsWith;

TEST(PickleOf, OneTensor) {
  EXPECT_EQ(
      ToHex(PickleOf(std::vector<TensorSpec>{{"", "0", DataType::kFp16, 3}})),
      "80027d7100580100000030710163746f7263682e5f7574696c730a5f7265"
      "6275696c645f74656e736f725f76320a71022828580700000073746f7261"
      "6765710363746f7263680a48616c6653746f726167650a71045801000000"
      "307105580300000063707571064b03747107514b004b038571084b018571"
      "098963636f6c6c656374696f6e730a4f726465726564446963740a710a29"
      "52710b74710c52710d732e");
}

TEST(PickleOf, GroupsTypesAndIntegersOfEachWidth) {
  EXPECT_EQ(ToHex(PickleOf(std::vector<TensorSpec>{
                {"7", "0", DataType::kFp16, 255},
                {"7", "1", DataType::kFp32, 70'000},
                {"", "x", DataType::kFp16, 3'000'000'000}})),
            "80027d71002858010000003771017d710228580100000030710363746f72"
            "63682e5f7574696c730a5f72656275696c645f74656e736f725f76320a71"
            "042828580700000073746f72616765710563746f7263680a48616c665374"
            "6f726167650a71065801000000307107580300000063707571084bff7471"
            "09514b004bff85710a4b0185710b8963636f6c6c656374696f6e730a4f72"
            "6465726564446963740a710c2952710d74710e52710f5801000000317110"
            "68042828680563746f7263680a466c6f617453746f726167650a71115801"
            "00000031711268084a70110100747113514b004a701101008571144b0185"
            "711589680c29527116747117527118755801000000787119680428286805"
            "6806580100000032711a68088a05005ed0b20074711b514b008a05005ed0"
            "b20085711c4b0185711d89680c2952711e74711f527120752e");
}

TEST(PickleOf, EmptyDict) { EXPECT_EQ(ToHex(PickleOf({})), "80027d71002e"); }

// {"0": …, …}: '(' opens a batch, 'u' closes it.
std::string Tensors(std::size_t count) {
  std::vector<TensorSpec> tensors(count, {"", "", DataType::kFp16, 1});
  for (std::size_t i = 0; i < count; ++i) {
    tensors[i].key = std::to_string(i);
  }
  return PickleOf(tensors);
}

TEST(PickleOf, BatchesOfAThousandEntries) {
  EXPECT_THAT(Tensors(999), EndsWith("u."));
  EXPECT_THAT(Tensors(999), ::testing::Not(EndsWith("(u.")));
  // CPython begins a batch before it sees that nothing is left.
  EXPECT_THAT(Tensors(1000), EndsWith("u(u."));
  // "(" and the key "1000" follow the batch that "u" closed.
  EXPECT_NE(Tensors(1001).find(std::string("u(X\x04\0\0\0", 7) + "1000"),
            std::string::npos);
}

TEST(PickleOf, SizesOfTheKnownFiles) {
  const auto optimizer = [](std::uint64_t share, std::uint64_t norms) {
    std::vector<TensorSpec> tensors;
    for (int i = 0; i < 6; ++i) {
      tensors.push_back(
          {"", std::to_string(i), DataType::kFp32, i % 2 == 0 ? share : norms});
    }
    return PickleOf(tensors).size();
  };
  EXPECT_EQ(optimizer(1'003'782'656, 20'480), 472U);
  EXPECT_EQ(optimizer(792'682'400, 81'920), 484U);
}

}  // namespace
}  // namespace stoker::checkpoint
