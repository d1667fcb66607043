#include "cache/internal/ghost_table.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace stoker::cache::internal {
namespace {

Fingerprint Key(std::uint64_t number) { return {.high = 5, .low = number}; }

// How many of the keys [first, end) are remembered.
std::uint64_t Found(GhostTable& table, std::uint64_t first, std::uint64_t end) {
  std::uint64_t found = 0;
  for (std::uint64_t key = first; key < end; ++key) {
    found += table.Take(Key(key)) ? 1U : 0U;
  }
  return found;
}

TEST(GhostTable, RemembersTheLastNineTenths) {
  constexpr std::uint64_t kCells = 8000;
  std::vector<std::uint32_t> cells(kCells);
  std::uint32_t added = 0;
  GhostTable table(cells, added);
  for (std::uint64_t key = 0; key < 5 * kCells; ++key) {
    table.Add(Key(key));
  }
  EXPECT_EQ(added, 5 * kCells);
  // 0.9 * 8000 = 7200 are meant; one or two ticks of 64 are in doubt.
  constexpr std::uint64_t kSure = 5 * kCells - 7000;
  constexpr std::uint64_t kGone = 5 * kCells - 7400;
  // 16 cells of 20 bits: of 32,600 keys that are gone and 20,000 that never
  // were there 0.8 are taken for another.
  EXPECT_LE(Found(table, 0, kGone), 5U);
  EXPECT_LE(Found(table, 5 * kCells, 5 * kCells + 20'000), 5U);
  // With G(a) the share of cells older than a (in keys added, as a share of the
  // cells), the oldest of 16 cells gives way: G' = -(1 - (1 - G)^16). Solved by
  // steps, what is left of the keys of age a, -G', is 0.997 at 0.7 and 0.894 at
  // 0.875.
  EXPECT_GE(Found(table, 5 * kCells - 5600, 5 * kCells), 5600U * 99 / 100);
  EXPECT_GE(Found(table, kSure, 5 * kCells - 5600), 1400U * 90 / 100);
}

TEST(GhostTable, WhatIsTakenIsGone) {
  std::vector<std::uint32_t> cells(100);
  std::uint32_t added = 0;
  GhostTable table(cells, added);
  table.Add(Key(1));
  EXPECT_FALSE(table.Take(Key(2)));
  EXPECT_TRUE(table.Take(Key(1)));
  EXPECT_FALSE(table.Take(Key(1)));
}

TEST(GhostTable, BothHalvesOfAKeyCount) {
  std::vector<std::uint32_t> cells(100);
  std::uint32_t added = 0;
  GhostTable table(cells, added);
  table.Add({.high = 1, .low = 2});
  EXPECT_FALSE(table.Take({.high = 2, .low = 1}));
  EXPECT_FALSE(table.Take({.high = 1, .low = 3}));
  EXPECT_FALSE(table.Take({.high = 3, .low = 2}));
  EXPECT_TRUE(table.Take({.high = 1, .low = 2}));
}

TEST(GhostTable, TwoOverTheSameMemoryAreOne) {
  std::vector<std::uint32_t> cells(100);
  std::uint32_t added = 0;
  GhostTable one(cells, added);
  GhostTable other(cells, added);
  one.Add(Key(1));
  EXPECT_TRUE(other.Take(Key(1)));
  EXPECT_FALSE(one.Take(Key(1)));
}

TEST(GhostTable, SmallTablesRememberTheLastKey) {
  for (const std::size_t size : {1U, 2U, 7U, 8U, 9U, 31U}) {
    std::vector<std::uint32_t> cells(size);
    std::uint32_t added = 0;
    GhostTable table(cells, added);
    for (std::uint64_t key = 0; key < 100; ++key) {
      table.Add(Key(key));
      ASSERT_TRUE(table.Take(Key(key))) << size;
    }
  }
}

TEST(GhostTable, WithoutCellsRemembersNothing) {
  std::uint32_t added = 0;
  GhostTable table({}, added);
  table.Add(Key(1));
  EXPECT_FALSE(table.Take(Key(1)));
}

TEST(GhostTable, TheCountOfKeysMayWrap) {
  constexpr std::uint64_t kCells = 4096;
  std::vector<std::uint32_t> cells(kCells);
  std::uint32_t added = std::numeric_limits<std::uint32_t>::max() - 500;
  GhostTable table(cells, added);
  for (std::uint64_t key = 0; key < 1000; ++key) {
    table.Add(Key(key));
  }
  EXPECT_EQ(added, 499U);
  // A thousand keys in 4096 cells: a bucket's 16 cells are hardly ever full.
  EXPECT_GE(Found(table, 0, 1000), 999U);
}

}  // namespace
}  // namespace stoker::cache::internal
