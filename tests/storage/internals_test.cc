// The small containers behind the queues.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <thread>

#include "storage/internal/done_ring.h"
#include "storage/internal/held_ops.h"
#include "storage/internal/slot_ring.h"
#include "storage/object_table.h"

namespace stoker::storage::internal {
namespace {

core::TimePoint At(std::int64_t nanos) {
  return core::TimePoint(core::Nanos(nanos));
}

TEST(ObjectTable, EntriesStayWhereTheyAreWhileItGrows) {
  ObjectTable<std::string> table;
  const ObjectId first = table.Take([](std::string& name) { name = "a"; });
  const std::string* const place = &table.Get(first);
  std::set<ObjectId> ids{first};
  for (int i = 1; i < 1000; ++i) {
    const ObjectId id =
        table.Take([i](std::string& name) { name = std::to_string(i); });
    EXPECT_EQ(table.Get(id), std::to_string(i));
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000U);
  EXPECT_EQ(&table.Get(first), place);
  EXPECT_EQ(*place, "a");
}

TEST(ObjectTable, ReusesWhatIsGivenBack) {
  ObjectTable<std::string> table;
  const ObjectId id = table.Take([](std::string& name) { name = "gone"; });
  std::string cleared;
  table.Give(id, [&cleared](std::string& name) { cleared = name; });
  EXPECT_EQ(cleared, "gone");
  EXPECT_EQ(table.Take([](std::string&) {}), id);
}

TEST(ObjectTable, MayBeUsedByManyThreads) {
  ObjectTable<std::string> table;
  const auto work = [&table](const std::string& mine) {
    for (int i = 0; i < 500; ++i) {
      const ObjectId id =
          table.Take([&mine](std::string& name) { name = mine; });
      EXPECT_EQ(table.Get(id), mine);
      if (i % 2 == 0) {
        table.Give(id, [](std::string& name) { name.clear(); });
      }
    }
  };
  std::thread other(work, "other");
  work("this");
  other.join();
}

TEST(DoneRing, IsFirstInFirstOutAcrossItsEnd) {
  DoneRing ring(3);
  std::array<ReadDone, 2> out;
  std::uint64_t next = 0;
  for (std::uint64_t tag = 0; tag < 9; tag += 3) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      ring.Push({.tag = tag + i});
    }
    while (ring.size() > 0) {
      const std::size_t count = ring.Pop(out);
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(out[i].tag, next++);
      }
    }
  }
  EXPECT_EQ(next, 9U);
}

TEST(SlotRing, IsFirstInFirstOutAcrossItsEnd) {
  SlotRing ring(3);
  EXPECT_TRUE(ring.empty());
  std::uint32_t next_in = 0;
  std::uint32_t next_out = 0;
  for (int round = 0; round < 5; ++round) {
    ring.Push(next_in++);
    ring.Push(next_in++);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(ring.front(), next_out++);
      ring.Pop();
    }
    EXPECT_TRUE(ring.empty());
  }
}

TEST(HeldOps, ComeOutWhenDueAndInOrder) {
  HeldOps held(4);
  EXPECT_EQ(held.next_due(), core::kNever);
  held.Push(At(30), {.tag = 3});
  held.Push(At(10), {.tag = 1});
  held.Push(At(30), {.tag = 4});
  held.Push(At(20), {.tag = 2});
  std::array<ReadDone, 4> out;
  EXPECT_EQ(held.next_due(), At(10));
  EXPECT_EQ(held.Pop(At(9), out), 0U);
  EXPECT_EQ(held.Pop(At(20), out), 2U);
  EXPECT_EQ(out[0].tag, 1U);
  EXPECT_EQ(out[1].tag, 2U);
  EXPECT_EQ(held.Pop(At(30), std::span(out).first(1)), 1U);
  EXPECT_EQ(out[0].tag, 3U);
  EXPECT_EQ(held.Pop(At(30), out), 1U);
  EXPECT_EQ(out[0].tag, 4U);
}

TEST(ClockWaker, AnEarlyWakeEndsTheNextWait) {
  core::VirtualClock clock;
  ClockWaker waker;
  waker.Wake(clock);
  waker.WaitUntil(clock, core::kNever);
  EXPECT_TRUE(waker.TakeWoken());
  EXPECT_FALSE(waker.TakeWoken());
}

}  // namespace
}  // namespace stoker::storage::internal
