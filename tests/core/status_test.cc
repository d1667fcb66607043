#include "core/status.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace stoker::core {
namespace {

TEST(Status, DefaultIsOk) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_EQ(status.os_error(), 0);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(status.ToString(), "ok");
}

TEST(Status, CodeOkDropsTheMessage) {
  const Status status(Code::kOk, "unused");
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.message(), "");
}

TEST(Status, ErrorKeepsWhatItWasGiven) {
  const Status status(Code::kCorruption, "block 7 of a.npz", 5);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kCorruption);
  EXPECT_EQ(status.os_error(), 5);
  EXPECT_EQ(status.ToString(), "corruption: block 7 of a.npz");
}

TEST(Status, EveryCodeHasItsOwnName) {
  constexpr std::array kCodes{Code::kOk,          Code::kInvalidArgument,
                              Code::kNotFound,    Code::kPermission,
                              Code::kIoError,     Code::kCorruption,
                              Code::kUnavailable, Code::kTimedOut,
                              Code::kCancelled,   Code::kUnsupported};
  std::set<std::string_view> names;
  for (const Code code : kCodes) {
    names.insert(CodeName(code));
  }
  EXPECT_EQ(names.size(), kCodes.size());
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(Status, FromErrnoChoosesTheCode) {
  EXPECT_EQ(Status::FromErrno(ENOENT, "x").code(), Code::kNotFound);
  EXPECT_EQ(Status::FromErrno(EACCES, "x").code(), Code::kPermission);
  EXPECT_EQ(Status::FromErrno(EPERM, "x").code(), Code::kPermission);
  EXPECT_EQ(Status::FromErrno(ETIMEDOUT, "x").code(), Code::kTimedOut);
  EXPECT_EQ(Status::FromErrno(ENOSPC, "x").code(), Code::kIoError);
}

TEST(Status, FromErrnoSaysWhatTheSystemSaid) {
  const Status status = Status::FromErrno(ENOENT, "open /a/b");
  EXPECT_EQ(status.os_error(), ENOENT);
  EXPECT_EQ(status.message(), "open /a/b: No such file or directory");
}

TEST(Status, OnlyPassingTroubleIsRetryable) {
  EXPECT_TRUE(Status(Code::kUnavailable, "").Retryable());
  EXPECT_TRUE(Status(Code::kTimedOut, "").Retryable());
  EXPECT_FALSE(Status(Code::kIoError, "").Retryable());
  EXPECT_FALSE(Status(Code::kCancelled, "").Retryable());
  EXPECT_FALSE(Status().Retryable());
}

TEST(Status, ContextComesBeforeTheMessage) {
  const Status inner(Code::kIoError, "short read", 5);
  const Status outer = inner.WithContext("epoch 2");
  EXPECT_EQ(outer.message(), "epoch 2: short read");
  EXPECT_EQ(outer.code(), Code::kIoError);
  EXPECT_EQ(outer.os_error(), 5);
  EXPECT_EQ(inner.message(), "short read");
  EXPECT_TRUE(Status().WithContext("epoch 2").ok());
}

Result<int> Half(int value) {
  if (value % 2 != 0) {
    return Status(Code::kInvalidArgument, "odd");
  }
  return value / 2;
}

Status Quarter(int value, int& out) {
  STOKER_ASSIGN(const int half, Half(value));
  STOKER_ASSIGN(out, Half(half));
  return {};
}

Status BothEven(int a, int b) {
  STOKER_TRY(Half(a).status());
  STOKER_TRY(Half(b).status().WithContext("second"));
  return {};
}

TEST(Result, HoldsAValueOrAStatus) {
  EXPECT_TRUE(Half(4).ok());
  EXPECT_EQ(Half(4).value(), 2);
  EXPECT_TRUE(Half(4).status().ok());
  EXPECT_FALSE(Half(3).ok());
  EXPECT_EQ(Half(3).status().message(), "odd");
}

TEST(Result, MovesItsValueOut) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(StokerAssign, LeavesWithTheError) {
  int out = -1;
  EXPECT_TRUE(Quarter(12, out).ok());
  EXPECT_EQ(out, 3);
  EXPECT_EQ(Quarter(6, out).message(), "odd");
  EXPECT_EQ(out, 3);
}

TEST(StokerTry, LeavesWithTheFirstError) {
  EXPECT_TRUE(BothEven(2, 4).ok());
  EXPECT_EQ(BothEven(1, 3).message(), "odd");
  EXPECT_EQ(BothEven(2, 3).message(), "second: odd");
}

}  // namespace
}  // namespace stoker::core
