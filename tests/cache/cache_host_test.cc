// Hosts that are not as a cache would like them.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cache/internal/boot_id.h"
#include "cache/internal/process_table.h"
#include "cache/internal/shared_region.h"
#include "tests/cache/cache_faults_support.h"
#include "tests/storage/tight_space.h"

namespace stoker::cache {
namespace {

constexpr uid_t kOtherUser = 65534;

class CacheHost : public CacheFaults {
 protected:
  std::string SharedPath() const {
    return "/dev/shm" + internal::SharedName(id_.ToString());
  }
  // From now on this process (a child) is somebody without rights.
  static bool BecomeOther() {
    return ::geteuid() != 0 ||
           (::setgid(kOtherUser) == 0 && ::setuid(kOtherUser) == 0);
  }
  void LetOthersIn(std::filesystem::perms more) {
    std::filesystem::permissions(dir_.path(), more,
                                 std::filesystem::perm_options::add);
  }
};

TEST_F(CacheHost, MemoryOfAnotherBootIsMadeAnewFromTheRecords) {
  CheckWhole();
  const std::string boot = internal::BootId();
  const int fd = ::open(SharedPath().c_str(), O_RDWR);
  ASSERT_GE(fd, 0);
  std::string header(4096, '\0');
  ASSERT_EQ(::pread(fd, header.data(), header.size(), 0), 4096);
  const std::size_t at = header.find(boot);
  ASSERT_NE(at, std::string::npos);
  ASSERT_EQ(::pwrite(fd, "another", 7, static_cast<off_t>(at)), 7);
  ::close(fd);
  const auto backend = Open();
  EXPECT_TRUE(TierOf(*backend)->units()[0].index->made());
  EXPECT_TRUE(Read(*backend));
  EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U);
}

TEST_F(CacheHost, MemoryOfAnotherVersionsSizeIsReplaced) {
  CheckWhole();
  for (const std::uintmax_t bytes :
       {std::uintmax_t{4096}, std::uintmax_t{0}, std::uintmax_t{16} << 20U}) {
    std::filesystem::resize_file(SharedPath(), bytes);
    const auto backend = Open();
    EXPECT_TRUE(TierOf(*backend)->units()[0].index->made()) << bytes;
    EXPECT_TRUE(Read(*backend));
    EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U) << bytes;
  }
}

TEST_F(CacheHost, AProcessWithTheNumberOfADeadOneIsAnother) {
  std::array<internal::ProcessRow, internal::kMostProcesses>* const rows = new (
      ::mmap(nullptr, sizeof(internal::ProcessRow) * internal::kMostProcesses,
             PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
      std::array<internal::ProcessRow, internal::kMostProcesses>();
  internal::ProcessTable table(*rows);
  table.Reset();
  const std::uint16_t row = table.Join("run").value();
  EXPECT_TRUE(table.IsAlive(row));
  // The number is ours, but who took the row began at another time.
  (*rows)[row].started.fetch_sub(1);
  EXPECT_FALSE(table.IsAlive(row));
  EXPECT_TRUE(table.IsDead(row));
  EXPECT_FALSE(table.IsAlive(internal::kMostProcesses));
  EXPECT_TRUE(table.IsFree(internal::kMostProcesses));
  ::munmap(rows, sizeof(*rows));
}

TEST_F(CacheHost, WhoHasNoFileLeftTakesNobodyForDead) {
  Child child([] {
    const auto rows = std::make_unique<
        std::array<internal::ProcessRow, internal::kMostProcesses>>();
    internal::ProcessTable table(*rows);
    table.Reset();
    const std::uint16_t row = table.Join("run").value();
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (::setrlimit(RLIMIT_NOFILE, &none) != 0) {
      return 2;
    }
    return table.IsAlive(row) && !table.IsDead(row) && !table.BeginBurial(row)
               ? 0
               : 1;
  });
  EXPECT_EQ(child.Wait(), 0);
}

// Until what it had is taken back nobody may move into its row.
TEST_F(CacheHost, TheRowOfADeadProcessIsFreeOnceItIsBuriedAndByOneOnly) {
  const auto rows = std::make_unique<
      std::array<internal::ProcessRow, internal::kMostProcesses>>();
  internal::ProcessTable table(*rows);
  table.Reset();
  const std::uint16_t row = table.Join("run").value();
  (*rows)[row].started.fetch_sub(1);
  EXPECT_TRUE(table.BeginBurial(row));
  EXPECT_FALSE(table.BeginBurial(row));  // this process is at it
  EXPECT_FALSE(table.IsFree(row));
  EXPECT_NE(table.Join("other").value(), row);
  table.Leave(row);
  EXPECT_TRUE(table.IsFree(row));
}

TEST_F(CacheHost, ACacheThatMayNotBeWrittenIsRefusedByName) {
  CheckWhole();
  LetOthersIn(std::filesystem::perms::others_read |
              std::filesystem::perms::others_exec);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(cache_path())) {
    std::filesystem::permissions(entry,
                                 std::filesystem::perms::owner_read |
                                     std::filesystem::perms::others_read);
  }
  std::filesystem::permissions(cache_path(),
                               std::filesystem::perms::owner_read |
                                   std::filesystem::perms::owner_exec |
                                   std::filesystem::perms::others_read |
                                   std::filesystem::perms::others_exec);
  Child other([this] {
    CacheOptions options;
    options.directories = {cache_path()};
    if (!BecomeOther()) {
      return 2;
    }
    const auto refused = OpenTier(options, "", clock_);
    if (refused.ok()) {
      return 3;
    }
    const std::string told = refused.status().ToString();
    return refused.status().code() == core::Code::kPermission &&
                   told.find(cache_path()) != std::string::npos
               ? 0
               : 4;
  });
  EXPECT_EQ(other.Wait(), 0);
  std::filesystem::permissions(cache_path(), std::filesystem::perms::owner_all);
}

TEST_F(CacheHost, WithoutMemoryToLockReadsAreRight) {
  LetOthersIn(std::filesystem::perms::all);
  Child other([this] {
    const rlimit none{};
    if (!BecomeOther() || ::setrlimit(RLIMIT_MEMLOCK, &none) != 0) {
      return 2;
    }
    CacheOptions options;
    options.directories = {dir_.str() + "/theirs"};
    options.quota_bytes = 4U << 20U;
    options.slot_bytes = kFaultSlot;
    options.small_slot_bytes = 0;
    options.buffer_bytes = 8 * kFaultSlot;
    auto tier = OpenTier(options, "", clock_);
    if (!tier.ok()) {
      return 3;
    }
    const CacheId id = tier.value()->units()[0].directory->id();
    const std::string store = "file://" + dir_.str() + "/their-store";
    int result = 0;
    {
      const auto backend =
          MakeCacheBackend(std::move(tier).value(), options,
                           storage::OpenBackend(store).value());
      if (!storage::WriteObject(*backend, "object", content_, clock_).ok()) {
        result = 4;
      }
      for (int i = 0; i < 2 && result == 0; ++i) {
        result = Read(*backend) ? 0 : 5;
      }
      if (result == 0 && CountersOf(*backend)->fills.load() == 0) {
        result = 6;
      }
    }
    Index::Forget(id);
    return result;
  });
  EXPECT_EQ(other.Wait(), 0);
}

// A file system of its own for the child, or else a limit on files: both refuse
// the memory when it is reserved, and not with a signal later.
TEST_F(CacheHost, WhereSharedMemoryIsFullItSaysHowMuchIsNeeded) {
  Child tight([this] {
    std::unique_ptr<testing::FileSizeLimit> limit;
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k") != 0) {
      limit = std::make_unique<testing::FileSizeLimit>(64U << 10U);
    }
    CacheOptions options;
    options.directories = {cache_path()};
    const auto refused = OpenTier(options, "", clock_);
    if (refused.ok()) {
      return 2;
    }
    const std::string told = refused.status().ToString();
    if (told.find("reserve ") == std::string::npos ||
        told.find("/dev/shm/stoker-cache-") == std::string::npos) {
      return 3;
    }
    // Nothing of it is left to be found by the next.
    return std::filesystem::exists(SharedPath()) ? 4 : 0;
  });
  EXPECT_EQ(tight.Wait(), 0);
  CheckWhole();
}

}  // namespace
}  // namespace stoker::cache
