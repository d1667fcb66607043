// What every back end promises of announced memory, of many ops at once, and of
// parts that end anywhere.

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "storage/backend.h"
#include "tests/conformance/backend_rows.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

constexpr std::size_t kUnit = 4096;  // no row asks for a larger alignment
constexpr std::size_t kOps = 6;

class BackendMemory : public ::testing::TestWithParam<Row> {
 protected:
  void Put(std::string_view name, std::string_view content) {
    const core::Status status = WriteObject(*backend_, name, content, clock_);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  bool stores() const { return GetParam().can.stores_data; }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ = testing::Open(GetParam().uri(dir_));
};

std::string_view TextAt(std::span<const std::byte> memory, std::size_t bytes) {
  return {reinterpret_cast<const char*>(memory.data()), bytes};
}

TEST_P(BackendMemory, OpsInsideAndOutsideOfAnnouncedMemoryReadTheSame) {
  // Every op reaches beyond the end of the object.
  const std::string content = testing::Letters(6 * kUnit + 17);
  Put("object", content);
  const auto queue =
      testing::NewQueue(*backend_, clock_, kOps, GetParam().access);
  const auto pool = core::AlignedBuffer::Make(kOps * 8 * kUnit, true);
  const auto other = core::AlignedBuffer::Make(kOps * 8 * kUnit, true);
  queue->RegisterMemory(pool.value().bytes());
  const ObjectId object = backend_->Resolve("object");
  std::vector<ReadOp> ops;
  for (std::size_t i = 0; i < kOps; ++i) {
    const auto& memory = i % 2 == 0 ? pool.value() : other.value();
    ops.push_back({.object = object,
                   .offset = i * kUnit,
                   .buffer = memory.bytes().subspan(i * 8 * kUnit, 8 * kUnit),
                   .tag = i});
  }
  ASSERT_EQ(queue->Submit(ops).value(), kOps);
  std::vector<ReadDone> done(kOps);
  ASSERT_EQ(queue->Reap(done, kOps, core::kNever).value(), kOps);
  for (const ReadDone& one : done) {
    ASSERT_TRUE(one.status.ok()) << one.status.ToString();
    if (stores()) {
      const std::string expected = content.substr(one.tag * kUnit, 8 * kUnit);
      ASSERT_EQ(one.bytes, expected.size());
      EXPECT_EQ(TextAt(ops[one.tag].buffer, one.bytes), expected);
    }
  }
  backend_->Release(object);
}

TEST_P(BackendMemory, PartsThatAreCutAnywhereMakeOneObject) {
  const std::string content = testing::Letters(9 * kUnit + 5);
  for (const std::size_t in_flight : {std::size_t{0}, std::size_t{2}}) {
    const auto stream = std::move(backend_->Create("object",
                                                   {.part_size = 2 * kUnit,
                                                    .in_flight = in_flight,
                                                    .patch = false},
                                                   clock_))
                            .value();
    std::size_t at = 0;
    for (const std::size_t cut : {kUnit, kUnit + 1, 4 * kUnit, 9 * kUnit}) {
      ASSERT_TRUE(
          stream->Write(testing::AsBytes(content.substr(at, cut - at))).ok());
      ASSERT_TRUE(stream->Cut().ok());
      at = cut;
    }
    ASSERT_TRUE(stream->Write(testing::AsBytes(content.substr(at))).ok());
    ASSERT_TRUE(stream->Commit().ok());
    const auto read = ReadObject(*backend_, "object", clock_);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read.value(), stores() ? content : "");
  }
}

TEST_P(BackendMemory, WhatWasWrittenIsNotMissing) {
  Put("object", testing::Letters(3 * kUnit + 1));
  const auto unwritten = backend_->UnwrittenBytes("object");
  ASSERT_TRUE(unwritten.ok()) << unwritten.status().ToString();
  EXPECT_EQ(unwritten.value().value_or(0), 0U);
}

INSTANTIATE_TEST_SUITE_P(All, BackendMemory, ::testing::ValuesIn(Rows()),
                         RowName);

}  // namespace
}  // namespace stoker::storage
