#include "metrics/host_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string_view>

#include "tests/support/temp_dir.h"

namespace stoker::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

void Write(const testing::TempDir& folder, std::string_view name,
           std::string_view text) {
  std::ofstream(folder.path() / name) << text;
}

TEST(ReadHostFacts, CpuinfoKeepsLastValuesOfLinesWithOneColon) {
  const testing::TempDir proc;
  Write(proc, "cpuinfo",
        "processor\t: 0\n"
        "model name\t: Some CPU @ 2.00GHz\n"
        "cpu MHz\t\t: 2000.000\n"
        "two: colons: here\n"
        "none here\n"
        "power management:\n"
        "\n"
        "processor\t: 1\n"
        "model name\t: Some CPU @ 2.00GHz\n"
        "cpu MHz\t\t: 2100.000\n");
  const HostFacts facts = ReadHostFacts(proc.str());
  EXPECT_THAT(
      facts.cpuinfo,
      ElementsAre(Pair("model name", "Some CPU @ 2.00GHz"),
                  Pair("cpu MHz", "2100.000"), Pair("power management", "")));
  EXPECT_EQ(facts.cpu_count, 2U);
  EXPECT_EQ(facts.processor_name, "Some CPU @ 2.00GHz");
}

TEST(ReadHostFacts, MemoryIsMemTotalInBytes) {
  const testing::TempDir proc;
  Write(proc, "meminfo",
        "MemTotal:       97104344 kB\n"
        "MemFree:          123456 kB\n"
        "HugePages_Total:       0\n");
  const HostFacts facts = ReadHostFacts(proc.str());
  EXPECT_EQ(facts.memory_bytes, 97104344ULL * 1024);
  EXPECT_THAT(facts.meminfo, ElementsAre(Pair("MemTotal", "97104344 kB"),
                                         Pair("MemFree", "123456 kB"),
                                         Pair("HugePages_Total", "0")));
}

TEST(ReadHostFacts, WhatIsMissingStaysEmpty) {
  const testing::TempDir proc;
  const HostFacts facts = ReadHostFacts(proc.str());
  EXPECT_EQ(facts.cpu_count, 0U);
  EXPECT_EQ(facts.memory_bytes, 0U);
  EXPECT_EQ(facts.processor_name, "");
  EXPECT_TRUE(facts.cpuinfo.empty());
  EXPECT_FALSE(facts.hostname.empty());
}

TEST(ReadHostFacts, ThisHostHasCpusAndMemory) {
  const HostFacts facts = ReadHostFacts();
  EXPECT_GE(facts.cpu_count, 1U);
  EXPECT_GT(facts.memory_bytes, 0U);
  EXPECT_EQ(facts.meminfo.at(0).first, "MemTotal");
}

}  // namespace
}  // namespace stoker::metrics
