#include "cli/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/cli/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Said;
using ::testing::SizeIs;
using Words = std::vector<std::string>;

class HistoryTest : public ::testing::Test {
 protected:
  std::string file() const { return dir_.str() + "/state/history.jsonl"; }
  std::int64_t Add(const Words& words) {
    const auto id = AddHistory(file(), "/work", words);
    EXPECT_TRUE(id.ok()) << id.status().ToString();
    return id.ok() ? id.value() : 0;
  }
  std::vector<HistoryEntry> Read() {
    const auto entries = ReadHistory(file());
    EXPECT_TRUE(entries.ok()) << entries.status().ToString();
    return entries.ok() ? entries.value() : std::vector<HistoryEntry>();
  }
  std::string Text() const {
    std::ifstream stream(file());
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }

  stoker::testing::TempDir dir_;
};

TEST_F(HistoryTest, NothingWasCalledYet) { EXPECT_THAT(Read(), IsEmpty()); }

TEST_F(HistoryTest, EntriesAreCountedFromOneAndReadBackAsTyped) {
  const Words words{"training", "run",         "-dd",
                    "my data",  "--x='\"\\\n", "\xc3\xa9"};

  EXPECT_EQ(Add({"training", "datagen"}), 1);
  EXPECT_EQ(Add(words), 2);
  const std::vector<HistoryEntry> entries = Read();
  ASSERT_THAT(entries, SizeIs(2));
  EXPECT_EQ(entries[1].id, 2);
  EXPECT_EQ(entries[1].words, words);
  EXPECT_EQ(entries[1].folder, "/work");
  EXPECT_TRUE(entries[1].complete);
  EXPECT_FALSE(entries[1].exit_status.has_value());
}

TEST_F(HistoryTest, TheEndOfAnInvocationIsNoted) {
  Add({"a"});
  Add({"b"});
  ASSERT_TRUE(EndHistory(file(), 1, 130).ok());

  EXPECT_EQ(Read()[0].exit_status, 130);
  EXPECT_FALSE(Read()[1].exit_status.has_value());
}

TEST_F(HistoryTest, ALineCutShortDoesNotSwallowTheNext) {
  Add({"a"});
  std::ofstream(file(), std::ios::app) << R"({"id": 2, "words": ["b)";

  EXPECT_EQ(Add({"c"}), 2);
  EXPECT_THAT(Read()[1].words, ElementsAre("c"));
}

TEST_F(HistoryTest, ThreadsDoNotTearEachOthersLines) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5;
  Add({"a"});
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < kEach; ++i) {
        Add({std::string(5000, 'x')});
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }

  const std::vector<HistoryEntry> entries = Read();
  ASSERT_THAT(entries, SizeIs(1 + kThreads * kEach));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].id, static_cast<std::int64_t>(i) + 1);
  }
}

TEST_F(HistoryTest, SecretsAreLeftOutAndThatIsKnown) {
  Add({"training", "run", "-dd", "s3://key:hush@host/bucket"});

  EXPECT_FALSE(Read()[0].complete);
  EXPECT_THAT(Text(), Not(HasSubstr("hush")));
}

TEST(WithoutSecrets, KnowsSecretsByPlaceAndByName) {
  EXPECT_THAT(
      WithoutSecrets(Words{"s3://key:hush@host/b?x=1", "--s3-secret=hush",
                           "--access-key-id", "hush", "-p",
                           "storage.options.Secret_Key=hush",
                           "cache:/n?token=hush&size=1GiB,s3://u@h/b",
                           "++a.b=c", "--data-dir", "/mnt/a@b"}),
      ElementsAre("s3://***@host/b?x=1", "--s3-secret=***", "--access-key-id",
                  "***", "-p", "storage.options.Secret_Key=***",
                  "cache:/n?token=***&size=1GiB,s3://***@h/b", "++a.b=c",
                  "--data-dir", "/mnt/a@b"));
}

TEST(HistoryFile, IsNamedByTheEnvironment) {
  ::setenv("STOKER_HISTORY", "/x/y", 1);
  EXPECT_EQ(HistoryFile(), "/x/y");
  ::unsetenv("STOKER_HISTORY");
  ::setenv("XDG_STATE_HOME", "/state", 1);
  EXPECT_EQ(HistoryFile(), "/state/stoker/history.jsonl");
  ::unsetenv("XDG_STATE_HOME");
  ::setenv("HOME", "/h", 1);
  EXPECT_EQ(HistoryFile(), "/h/.local/state/stoker/history.jsonl");
  ::unsetenv("HOME");
  EXPECT_EQ(HistoryFile(), "");
}

class HistoryCommandTest : public HistoryTest {
 protected:
  void SetUp() override { ::setenv("STOKER_HISTORY", file().c_str(), 1); }
  void TearDown() override { ::setenv("STOKER_HISTORY", "", 1); }
  static Said Say(const Words& words) { return testing::RunCaptured(words); }
};

TEST_F(HistoryCommandTest, NoEntriesIsABadArgumentAsInTheReference) {
  EXPECT_EQ(Say({"history"}).exit_code, 2);
}

TEST_F(HistoryCommandTest, ShowsAllTheLastOrOne) {
  Add({"training", "datagen", "-dd", "a b"});
  Add({"training", "run"});

  EXPECT_THAT(Say({"history", "show"}).out,
              HasSubstr("stoker training datagen -dd 'a b'\n"));
  EXPECT_THAT(Say({"history", "-n", "1"}).out, Not(HasSubstr("datagen")));
  EXPECT_THAT(Say({"history", "show", "--id", "1"}).out,
              HasSubstr("folder: /work\n"));
}

TEST_F(HistoryCommandTest, WhatIsNotThereIsABadArgument) {
  Add({"training", "run", "-dd", "s3://k@h/b"});

  for (const Words& words :
       {Words{"history", "show", "-i", "9"},
        Words{"history", "show", "-n", "x"}, Words{"history", "show", "3"},
        Words{"history", "rerun"}, Words{"history", "rerun", "x"},
        Words{"history", "rerun", "9"},
        // Held a secret.
        Words{"history", "rerun", "1"}, Words{"history", "shw"}}) {
    const Said said = Say(words);
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_THAT(said.err, HasSubstr("stoker: error: "));
  }
}

TEST_F(HistoryCommandTest, HelpNamesTheFile) {
  EXPECT_THAT(Say({"history", "--help"}).out, HasSubstr(file()));
}

}  // namespace
}  // namespace stoker::cli
