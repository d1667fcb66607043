// The power is lost at any moment while objects are written to a cache.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cache/cache_backend.h"
#include "core/random.h"
#include "storage/registry.h"
#include "storage/wrapper_backend.h"
#include "tests/cache/directory_support.h"
#include "tests/cache/support.h"

namespace stoker::cache {
namespace {

using testing::kSectorBytes;
using testing::PowerLossDisk;

#ifdef STOKER_SANITIZED
constexpr std::uint64_t kPowerCuts = 60;
#else
constexpr std::uint64_t kPowerCuts = 400;
#endif
constexpr std::uint64_t kPowerSlot = 16U << 10U;

// Slots in memory. What was not flushed is after a power loss there or not,
// sector by sector.
class PowerLossDevice final : public storage::BlockDevice {
 public:
  explicit PowerLossDevice(std::vector<std::byte> content)
      : stored_(content), now_(std::move(content)) {}

  // Called before each write and each flush.
  std::function<void()> before_change = [] {};
  bool fails_writes = false;
  bool fails_flushes = false;

  std::vector<std::byte> AfterPowerLoss(std::uint64_t seed) const {
    core::CounterRandom random(core::StreamKey(seed, 77));
    std::vector<std::byte> after = stored_;
    for (std::size_t at = 0; at < after.size(); at += kSectorBytes) {
      if (random() % 2 == 0) {
        std::copy_n(now_.begin() + static_cast<std::ptrdiff_t>(at),
                    kSectorBytes,
                    after.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    return after;
  }

  std::uint64_t size() const override { return now_.size(); }
  bool direct() const override { return false; }
  core::Status Flush() override {
    before_change();
    if (fails_flushes) {
      return core::Status::FromErrno(EIO, "flush the device");
    }
    stored_ = now_;
    return {};
  }
  core::Result<std::unique_ptr<storage::BlockQueue>> NewQueue(
      std::size_t depth, core::Clock& /*clock*/) override {
    return std::unique_ptr<storage::BlockQueue>(
        std::make_unique<Queue>(*this, depth));
  }

 private:
  class Queue final : public storage::BlockQueue {
   public:
    Queue(PowerLossDevice& device, std::size_t depth)
        : device_(device), depth_(depth) {}
    std::size_t capacity() const override { return depth_; }
    std::size_t in_flight() const override { return done_.size(); }
    core::Result<std::size_t> Submit(
        std::span<const storage::BlockOp> ops) override {
      for (const storage::BlockOp& op : ops) {
        std::byte* const place = device_.now_.data() + op.offset;
        core::Status status;
        if (op.kind == storage::BlockOp::Kind::kRead) {
          std::copy_n(place, op.buffer.size(), op.buffer.begin());
        } else if (device_.fails_writes) {
          status = core::Status::FromErrno(EIO, "write to the device");
        } else {
          device_.before_change();
          std::ranges::copy(op.buffer, place);
        }
        done_.push_back({.tag = op.tag, .status = std::move(status)});
      }
      return ops.size();
    }
    core::Result<std::size_t> Reap(std::span<storage::BlockDone> done,
                                   std::size_t /*at_least*/,
                                   core::TimePoint deadline) override {
      const std::size_t count = std::min(done.size(), done_.size());
      std::copy_n(done_.begin(), count, done.begin());
      done_.erase(done_.begin(),
                  done_.begin() + static_cast<std::ptrdiff_t>(count));
      if (count == 0) {
        clock_.SleepUntil(
            std::min(deadline, clock_.Now() + std::chrono::milliseconds(2)));
      }
      return count;
    }
    void Wake() override {}

   private:
    PowerLossDevice& device_;
    const std::size_t depth_;
    std::vector<storage::BlockDone> done_;
    core::SystemClock clock_;
  };

  std::vector<std::byte> stored_;
  std::vector<std::byte> now_;
};

// A store that is never there.
class NoStore final : public storage::WrapperBackend {
 public:
  NoStore() : WrapperBackend(storage::OpenBackend("mem:").value()) {}
  std::string_view scheme() const override { return "none"; }
  std::string uri() const override { return "none:,mem:"; }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    return inner().NewReadQueue(options, clock);
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view /*name*/, const storage::WriteOptions& /*options*/,
      core::Clock& /*clock*/) override {
    return core::Status(core::Code::kUnavailable, "there is no store");
  }
};

// A host with a cache.
struct Host {
  std::unique_ptr<PowerLossDisk> disk;
  PowerLossDevice* device = nullptr;
  std::unique_ptr<storage::Backend> backend;
};

core::SystemClock& PowerClock() {
  static core::SystemClock clock;
  return clock;
}

Host Boot(std::unique_ptr<PowerLossDisk> disk, std::vector<std::byte> content) {
  Host host{.disk = std::move(disk), .device = nullptr, .backend = nullptr};
  std::vector<TierUnit> units(1);
  units[0].directory = testing::OpenAt(*host.disk);
  Directory& directory = *units[0].directory;
  Index::Forget(directory.id());
  units[0].index = testing::Value(Index::Attach(
      {.id = directory.id(), .geometry = directory.geometry()},
      [&](const Index::Restore& restore) -> core::Result<std::uint32_t> {
        STOKER_ASSIGN(const std::uint32_t epoch, directory.NextEpoch());
        STOKER_TRY(directory.ReadRecords(restore).status());
        return epoch << 16U | 1U;
      },
      PowerClock()));
  auto device = std::make_unique<PowerLossDevice>(std::move(content));
  host.device = device.get();
  CacheOptions options;
  options.directories = {"disk"};
  options.buffer_bytes = 8 * kPowerSlot;
  options.write = Write::kBack;
  options.dirty_share = 0.9;
  host.backend = MakeCacheBackend(
      std::make_unique<Tier>(std::move(device), std::move(units)), options,
      std::make_unique<NoStore>());
  return host;
}

std::string PowerContent(std::uint64_t seed, std::uint64_t bytes) {
  std::string content(bytes, 0);
  core::FillCounterStream(seed, 0, std::as_writable_bytes(std::span(content)));
  return content;
}

std::string ReadOrNot(storage::Backend& backend, const std::string& name) {
  const auto read = storage::ReadObject(backend, name, PowerClock());
  return read.ok() ? read.value()
                   : std::string(core::CodeName(read.status().code()));
}

// What a name may be after the power loss: what was acknowledged last, and what
// was begun since; "" is nothing.
using Allowed = std::map<std::string, std::set<std::string>>;

TEST(WriteBackPower, WhatWasAcknowledgedIsThereAfterAPowerLossAtAnyMoment) {
  std::uint64_t cuts_within = 0;
  for (std::uint64_t seed = 0; seed < kPowerCuts; ++seed) {
    SCOPED_TRACE(seed);
    core::CounterRandom random(core::StreamKey(seed));
    auto disk = std::make_unique<PowerLossDisk>();
    // 24 slots.
    ASSERT_TRUE(testing::FormatAt(
                    *disk, {.quota_bytes = 65536 + 24 * (kPowerSlot + 256),
                            .slot_bytes = kPowerSlot,
                            .small_slot_bytes = 0})
                    .ok());
    Host host = Boot(std::move(disk), std::vector<std::byte>(24 * kPowerSlot));
    Allowed allowed = {{"a", {""}}, {"b", {""}}, {"c", {""}}};
    std::unique_ptr<PowerLossDisk> disk_after;
    std::vector<std::byte> content_after;
    Allowed allowed_after;
    std::uint64_t left = random.Below(60);
    const auto cut = [&] {
      if (disk_after == nullptr && left-- == 0) {
        disk_after = host.disk->AfterPowerLoss(seed);
        content_after = host.device->AfterPowerLoss(seed);
        allowed_after = allowed;
        ++cuts_within;
      }
    };
    host.device->before_change = cut;
    for (std::uint64_t step = 0; step < 12; ++step) {
      const std::string name(1, static_cast<char>('a' + random.Below(3)));
      if (random.Below(5) == 0) {
        allowed[name].insert("");
        ASSERT_TRUE(host.backend->Remove(name).ok() ||
                    ReadOrNot(*host.backend, name) == "not found");
        allowed[name] = {""};
      } else {
        const std::string content =
            PowerContent(seed * 100 + step, 1 + random.Below(40'000));
        allowed[name].insert(content);
        const core::Status written = storage::WriteObject(
            *host.backend, name, content, PowerClock(), {.durable = true});
        ASSERT_TRUE(written.ok()) << written.ToString();
        allowed[name] = {content};
      }
    }
    if (disk_after == nullptr) {
      left = 0;
      cut();
      --cuts_within;
    }
    host.device->before_change = [] {};
    host.backend.reset();
    Host again = Boot(std::move(disk_after), std::move(content_after));
    std::uint32_t blocks = 0;
    for (const auto& [name, contents] : allowed_after) {
      std::string found = ReadOrNot(*again.backend, name);
      found = found == "not found" ? "" : found;
      EXPECT_TRUE(contents.contains(found))
          << name << ": " << found.substr(0, 20) << ", " << found.size()
          << " bytes";
      blocks += static_cast<std::uint32_t>((found.size() + kPowerSlot - 1) /
                                           kPowerSlot);
    }
    // Nothing else takes room.
    Index& index = *TierOf(*again.backend)->units()[0].index;
    EXPECT_EQ(index.Count().dirty, blocks);
    const CacheId id = TierOf(*again.backend)->units()[0].directory->id();
    again.backend.reset();
    Index::Forget(id);
    if (HasFailure()) {
      break;
    }
  }
  EXPECT_GT(cuts_within, kPowerCuts / 2);
}

TEST(WriteBackPower, ADeviceThatFailsInASaveFailsItAndLeavesNothing) {
  auto disk = std::make_unique<PowerLossDisk>();
  ASSERT_TRUE(
      testing::FormatAt(*disk, {.quota_bytes = 65536 + 24 * (kPowerSlot + 256),
                                .slot_bytes = kPowerSlot,
                                .small_slot_bytes = 0})
          .ok());
  Host host = Boot(std::move(disk), std::vector<std::byte>(24 * kPowerSlot));
  const auto write = [&](const std::string& name) {
    return storage::WriteObject(*host.backend, name, PowerContent(1, 40'000),
                                PowerClock(), {.durable = true});
  };
  ASSERT_TRUE(write("kept").ok());
  Index& index = *TierOf(*host.backend)->units()[0].index;
  for (bool PowerLossDevice::* const fault :
       {&PowerLossDevice::fails_writes, &PowerLossDevice::fails_flushes}) {
    host.device->*fault = true;
    const core::Status failed = write("lost");
    EXPECT_EQ(failed.code(), core::Code::kIoError) << failed.ToString();
    host.device->*fault = false;
    EXPECT_EQ(ReadOrNot(*host.backend, "lost"), "not found");
    EXPECT_EQ(index.Count().dirty, 3U);  // of the one that was kept
  }
  EXPECT_EQ(ReadOrNot(*host.backend, "kept"), PowerContent(1, 40'000));
  ASSERT_TRUE(write("lost").ok());
  const CacheId id = TierOf(*host.backend)->units()[0].directory->id();
  host.backend.reset();
  Index::Forget(id);
}

}  // namespace
}  // namespace stoker::cache
