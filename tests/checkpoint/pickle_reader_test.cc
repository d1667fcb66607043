// The pickles were written by CPython 3.11, of objects that pickle as tensors
// do.

#include "checkpoint/internal/pickle_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/internal/pickle_writer.h"
#include "tests/checkpoint/pickles.h"

namespace stoker::checkpoint {
namespace {

using core::Code;
using stoker::testing::FromHex;
using ::testing::HasSubstr;

// {"state": {0: {"step": 3, "x": six elements}},
//  "list": [1.5, None, a scalar, (True, 2**70, -1)],
//  "sd": OrderedDict with a Parameter of shape (2, 2) and attributes},
// all in one storage.
void ExpectMixture(std::string_view hex) {
  const core::Result<std::vector<PickledTensor>> read =
      ReadPickle(FromHex(hex));
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  const std::vector<PickledTensor>& tensors = read.value();
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[0].spec, (TensorSpec{"state.0", "x", DataType::kFp16, 6}));
  EXPECT_EQ(tensors[0].first_element, 0U);
  EXPECT_EQ(tensors[1].spec, (TensorSpec{"list", "2", DataType::kFp16, 1}));
  EXPECT_EQ(tensors[1].first_element, 5U);
  EXPECT_EQ(tensors[2].spec, (TensorSpec{"sd", "w.0", DataType::kFp16, 4}));
  EXPECT_EQ(tensors[2].first_element, 2U);
  for (const PickledTensor& tensor : tensors) {
    EXPECT_EQ(tensor.storage, "0");
    EXPECT_EQ(tensor.storage_elements, 6U);
  }
}

void ExpectError(std::string_view hex, Code code, const std::string& words) {
  const core::Status status = ReadPickle(FromHex(hex)).status();
  EXPECT_EQ(status.code(), code);
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(ReadPickle, OrdinaryValuesAroundTensorsInProtocol2) {
  ExpectMixture(
      "80027d7100285805000000737461746571017d71024b007d710328580400"
      "00007374657071044b03580100000078710563746f7263682e5f7574696c"
      "730a5f72656275696c645f74656e736f725f76320a710628285807000000"
      "73746f72616765710763746f7263680a48616c6653746f726167650a7108"
      "58010000003071095803000000637075710a4b0674710b514b004b068571"
      "0c4b0185710d8963636f6c6c656374696f6e730a4f726465726564446963"
      "740a710e2952710f747110527111757358040000006c69737471125d7113"
      "28473ff80000000000004e68062828680768086809680a4b06747114514b"
      "05292989680e29527115747116527117888a090000000000000000404aff"
      "ffffff87711865580200000073647119680e2952711a5803000000772e30"
      "711b63746f7263682e5f7574696c730a5f72656275696c645f706172616d"
      "657465720a711c68062828680768086809680a4b0674711d514b024b024b"
      "0286711e4b024b0186711f89680e2952712074712152712288680e295271"
      "23877124527125737d712658090000005f6d657461646174617127680e29"
      "52712858010000006171297d712a580700000076657273696f6e712b4b01"
      "73737362752e");
}

// The same with {"big": b"abc"} in addition.
TEST(ReadPickle, OrdinaryValuesAroundTensorsInProtocol4) {
  ExpectMixture(
      "80049585010000000000007d94288c057374617465947d944b007d94288c"
      "0473746570944b038c0178948c0c746f7263682e5f7574696c73948c125f"
      "72656275696c645f74656e736f725f763294939428288c0773746f726167"
      "65948c05746f726368948c0b48616c6653746f726167659493948c013094"
      "8c03637075944b067494514b004b0685944b018594898c0b636f6c6c6563"
      "74696f6e73948c0b4f726465726564446963749493942952947494529475"
      "738c046c697374945d9428473ff80000000000004e680828286809680c68"
      "0d680e4b067494514b05292989681429529474945294888a090000000000"
      "000000404affffffff8794658c0273649468142952948c03772e30946806"
      "8c125f72656275696c645f706172616d6574657294939468082828680968"
      "0c680d680e4b067494514b024b024b0286944b024b018694896814295294"
      "7494529488681429529487945294737d948c095f6d657461646174619468"
      "142952948c0161947d948c0776657273696f6e944b01737373628c036269"
      "6794430361626394752e");
}

TEST(ReadPickle, GivesBackWhatWasWritten) {
  const std::vector<TensorSpec> tensors{
      {"7", "0", DataType::kInt8, 255},
      {"7", "1", DataType::kUint8, 70'000},
      {"", "x", DataType::kBf16, 3'000'000'000},
      {"10", "a", DataType::kFp64, 1},
      {"10", "b", DataType::kFp32, 0}};
  const std::string pickle = PickleOf(tensors);
  const core::Result<std::vector<PickledTensor>> read =
      ReadPickle(std::as_bytes(std::span(pickle)));
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_EQ(read.value().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(read.value()[i].spec, tensors[i]);
    EXPECT_EQ(read.value()[i].storage, std::to_string(i));
  }
}

TEST(ReadPickle, TypesThatWeDoNotKnowAreNamed) {
  ExpectError(
      "80027d710058010000006e710163746f7263682e5f7574696c730a5f7265"
      "6275696c645f74656e736f725f76320a71022828580700000073746f7261"
      "6765710363746f7263680a4c6f6e6753746f726167650a71045801000000"
      "307105580300000063707571064b01747107514b0029298963636f6c6c65"
      "6374696f6e730a4f726465726564446963740a71082952710974710a5271"
      "0b732e",
      Code::kUnsupported, "torch.LongStorage");
  ExpectError(
      "80027d710058010000006e710163636f6c6c656374696f6e730a436f756e"
      "7465720a71027d7103857104527105732e",
      Code::kUnsupported, "collections.Counter");
}

TEST(ReadPickle, TransposedTensorsAreRefused) {
  // Shape (2, 3), strides (1, 2).
  ExpectError(
      "80027d710058010000006e710163746f7263682e5f7574696c730a5f7265"
      "6275696c645f74656e736f725f76320a71022828580700000073746f7261"
      "6765710363746f7263680a466c6f617453746f726167650a710458010000"
      "00307105580300000063707571064b06747107514b004b024b038671084b"
      "014b028671098963636f6c6c656374696f6e730a4f726465726564446963"
      "740a710a2952710b74710c52710d732e",
      Code::kUnsupported, "tensor 'n' is not contiguous");
}

TEST(ReadPickle, TensorsStayWithinTheirStorage) {
  // Three elements from 4 of a storage of six.
  ExpectError(
      "80027d710058010000006e710163746f7263682e5f7574696c730a5f7265"
      "6275696c645f74656e736f725f76320a71022828580700000073746f7261"
      "6765710363746f7263680a466c6f617453746f726167650a710458010000"
      "00307105580300000063707571064b06747107514b044b038571084b0185"
      "71098963636f6c6c656374696f6e730a4f726465726564446963740a710a"
      "2952710b74710c52710d732e",
      Code::kCorruption, "expected 3 elements from 4 within its storage of 6");
}

TEST(ReadPickle, DictsThatHoldThemselvesEnd) {
  ExpectError("80027d7100580400000073656c6671016800732e", Code::kUnsupported,
              "nested more than 32 deep");
}

TEST(ReadPickle, WhatIsMissingOnTheStackIsAnError) {
  for (const char* hex :
       {"", "8002", "80022e", "8002302e", "8002742e", "80027d732e",
        "800228732e", "8002685a2e", "80025268", "800251", "80026362"}) {
    ExpectError(hex, Code::kCorruption, "pickle at ");
  }
}

TEST(ReadPickle, LengthsAreHeldAgainstWhatIsThere) {
  ExpectError("800258ffffffff41", Code::kCorruption,
              "expected 4294967295 more bytes, found 1");
  ExpectError("80028dffffffffffffffff", Code::kCorruption,
              "expected 18446744073709551615 more bytes, found 0");
}

TEST(ReadPickle, UnknownOperationsAndProtocols) {
  ExpectError("8002ff", Code::kUnsupported, "0xff is not read");
  ExpectError("80014e2e", Code::kUnsupported, "protocol 1");
}

TEST(ReadPickle, DictsThatDoubleWithEachLevelEnd) {
  // Thirty dicts, each twice in the next.
  std::string hex = "80027d7100";
  for (int i = 0; i < 30; ++i) {
    // {"a": memo 0, "b": memo 0} becomes memo 0.
    hex += "7d28";
    hex += "5801000000616800";
    hex += "5801000000626800";
    hex += "757100";
  }
  ExpectError(hex + "2e", Code::kUnsupported, "more than 8388608 values");
}

}  // namespace
}  // namespace stoker::checkpoint
