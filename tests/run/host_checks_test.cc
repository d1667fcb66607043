#include "run/internal/host_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/crc.h"
#include "dataset/manifest.h"
#include "storage/registry.h"
#include "tests/run/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::run::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kRanks = 5;
constexpr int kRanksPerHost = 2;  // three hosts: 2, 2, 1

// What each rank of `body` returns, in virtual time.
std::vector<core::Status> OnHosts(
    const std::function<core::Status(const RankContext&)>& body,
    int ranks_per_host = kRanksPerHost) {
  std::vector<core::Status> outcomes(kRanks);
  core::VirtualClock clock;
  core::CancelFlag cancel;
  comm::RunThreads(
      kRanks, clock, &cancel,
      [&](comm::Communicator& comm) {
        Console console({.speaks = false});
        outcomes[static_cast<std::size_t>(comm.rank())] =
            body({.comm = &comm,
                  .clock = &clock,
                  .cancel = &cancel,
                  .console = &console});
      },
      ranks_per_host);
  return outcomes;
}

// The same on every rank.
std::string MessageOf(const std::vector<core::Status>& outcomes) {
  for (const core::Status& outcome : outcomes) {
    EXPECT_EQ(outcome.ToString(), outcomes.front().ToString());
  }
  return std::string(outcomes.front().message());
}

HostIdentity Host(int node) {
  return {.host = "n" + std::to_string(node),
          .program = "stoker 1",
          .settings = {{"reader.batch_size", "7"}, {"train.epochs", "5"}}};
}

std::string Compare(const std::function<void(HostIdentity&)>& change,
                    int changed_node) {
  return MessageOf(OnHosts([&](const RankContext& context) {
    HostIdentity mine = Host(context.comm->node());
    if (context.comm->node() == changed_node) {
      change(mine);
    }
    return CompareHosts(context, [&mine] { return mine; });
  }));
}

TEST(CompareHosts, HostsThatAreAlikePass) {
  EXPECT_EQ(Compare([](HostIdentity&) {}, -1), "");
}

TEST(CompareHosts, AnotherProgramNamesItsHostAndBoth) {
  EXPECT_THAT(Compare([](HostIdentity& mine) { mine.program = "stoker 2"; }, 1),
              AllOf(HasSubstr("n0, n2: stoker 1; n1: stoker 2"),
                    HasSubstr("--dlio-bin-path")));
}

TEST(CompareHosts, OtherSettingsNameKeyHostsAndValues) {
  EXPECT_THAT(
      Compare([](HostIdentity& mine) { mine.settings[0].second = "4"; }, 2),
      AllOf(HasSubstr("reader.batch_size is 4 on n2, 7 on n0"),
            Not(HasSubstr("train.epochs"))));
}

TEST(CompareHosts, KeysThatOnlyOneHostHasAreNamed) {
  EXPECT_THAT(Compare([](HostIdentity& mine) { mine.settings.pop_back(); }, 1),
              HasSubstr("train.epochs is not set on n1, 5 on n0"));
  EXPECT_THAT(
      Compare([](HostIdentity& mine) { mine.settings.push_back({"a.b", "c"}); },
              1),
      HasSubstr("a.b is c on n1, not set on n0"));
}

TEST(CompareHosts, ManyDifferencesAreCounted) {
  const std::string message = Compare(
      [](HostIdentity& mine) {
        for (int i = 0; i < 20; ++i) {
          mine.settings.push_back({"key" + std::to_string(i), "x"});
        }
      },
      1);

  EXPECT_THAT(message, HasSubstr("and 14 more"));
}

TEST(CompareHosts, OneHostIsNotCompared) {
  const auto outcomes = OnHosts(
      [](const RankContext& context) {
        return CompareHosts(context,
                            [&] { return Host(context.comm->rank()); });
      },
      kRanks);

  EXPECT_EQ(MessageOf(outcomes), "");
}

// Reading an executable takes time that all ranks of a host would share.
TEST(CompareHosts, EachHostIsIdentifiedOnceAndALoneOneNever) {
  std::atomic<int> calls = 0;
  const auto counted = [&calls](const RankContext& context) {
    return CompareHosts(context, [&] {
      ++calls;
      EXPECT_EQ(context.comm->local_rank(), 0);
      return Host(0);
    });
  };
  EXPECT_EQ(MessageOf(OnHosts(counted)), "");
  EXPECT_EQ(calls, 3);

  calls = 0;
  EXPECT_EQ(MessageOf(OnHosts(counted, kRanks)), "");
  EXPECT_EQ(calls, 0);
}

TEST(ReadHostIdentity, IsOfThisExecutableAndItsConfiguration) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
  const std::uint32_t crc =
      core::Crc32c(std::as_bytes(std::span(content.data(), content.size())));
  const HostIdentity identity = ReadHostIdentity(
      testing::Workload("unet3d_h100", {"reader.batch_size=3"}),
      {{"--data-dir", "/x"}});

  std::array<char, 9> hex{};
  std::snprintf(hex.data(), hex.size(), "%08x", crc);
  EXPECT_THAT(identity.program,
              AllOf(HasSubstr(std::to_string(content.size()) + " bytes"),
                    HasSubstr("CRC-32C " + std::string(hex.data()))));
  EXPECT_THAT(
      identity.settings,
      AllOf(::testing::Contains(::testing::Pair("--data-dir", "/x")),
            ::testing::Contains(::testing::Pair("reader.batch_size", "3"))));
}

// A folder per host, with the first, middle and last file of five.
class DatasetsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const stoker::testing::TempDir& dir : dirs_) {
      std::filesystem::create_directories(dir.path() / "train");
      for (const int file : {0, 2, 4}) {
        Write(dir, file, 100);
      }
    }
  }
  static void Write(const stoker::testing::TempDir& dir, int file, int size) {
    std::ofstream(dir.path() / "train" /
                  ("img_" + std::to_string(file) + "_of_5.npz"))
        << std::string(static_cast<std::size_t>(size), 'x');
  }
  std::string Check(
      const std::function<core::Status(const RankContext&, storage::Backend&)>&
          check) {
    return MessageOf(OnHosts([&](const RankContext& context) {
      const auto node = static_cast<std::size_t>(context.comm->node());
      auto backend = storage::OpenBackend("file://" + dirs_[node].str());
      return check(context, *backend.value());
    }));
  }
  std::string CompareAll() {
    return Check([](const RankContext& context, storage::Backend& backend) {
      Dataset dataset;
      dataset.train.total = 5;
      // The message names the place as each host opened it.
      const core::Status status = CompareDatasets(context, backend, dataset);
      return status.ok()
                 ? status
                 : core::Status(status.code(),
                                std::string(status.message().substr(
                                    status.message().find("; remedy"))));
    });
  }

  std::array<stoker::testing::TempDir, 3> dirs_;
};

TEST_F(DatasetsTest, EqualFilesPass) { EXPECT_EQ(CompareAll(), ""); }

TEST_F(DatasetsTest, AnotherSizeIsSeen) {
  Write(dirs_[2], 2, 101);
  EXPECT_THAT(CompareAll(), HasSubstr("remedy"));
}

TEST_F(DatasetsTest, AMissingFileIsSeen) {
  std::filesystem::remove(dirs_[1].path() / "train/img_4_of_5.npz");
  EXPECT_THAT(CompareAll(), HasSubstr("remedy"));
}

TEST_F(DatasetsTest, AManifestOnOneHostOnlyIsSeen) {
  core::SystemClock clock;
  const auto backend = storage::OpenBackend("file://" + dirs_[0].str());
  dataset::Manifest manifest;
  manifest.format = "npz";
  manifest.train.total = 5;
  ASSERT_TRUE(dataset::WriteManifest(*backend.value(), manifest, clock).ok());

  EXPECT_THAT(CompareAll(), HasSubstr("remedy"));
}

TEST_F(DatasetsTest, FoldersThatAreNotSharedAreToldBeforeWriting) {
  const auto outcomes = OnHosts([&](const RankContext& context) {
    const auto node = static_cast<std::size_t>(context.comm->node());
    auto backend = storage::OpenBackend("file://" + dirs_[node].str());
    return CheckSharedPlace(context, *backend.value());
  });

  for (const core::Status& outcome : outcomes) {
    EXPECT_THAT(std::string(outcome.message()),
                HasSubstr("does not see what rank 0 wrote"));
  }
  // Nothing of the look remains.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dirs_[0].path()),
                          std::filesystem::directory_iterator()),
            1);
}

TEST_F(DatasetsTest, AFolderThatIsSharedPasses) {
  EXPECT_EQ(MessageOf(OnHosts([&](const RankContext& context) {
              auto backend = storage::OpenBackend("file://" + dirs_[0].str());
              return CheckSharedPlace(context, *backend.value());
            })),
            "");
}

TEST(CompareDatasets, StoresWithoutDataAreNotAsked) {
  EXPECT_EQ(MessageOf(OnHosts([](const RankContext& context) {
              auto backend = storage::OpenBackend("null:");
              Dataset dataset;
              dataset.train.total = 5;
              return CompareDatasets(context, *backend.value(), dataset);
            })),
            "");
}

}  // namespace
}  // namespace stoker::run::internal
