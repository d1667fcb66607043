#pragma once

// A disk in memory that can lose its power: what was not flushed is then there
// or not, sector by sector and name by name, as a seed has it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/internal/disk.h"

namespace stoker::testing {

// What a disk is promised to write as a whole or not at all.
inline constexpr std::size_t kSectorBytes = 512;

// Folders are "/" (always there, durable) and those made below it. Belongs to
// one thread; outlives its files.
class PowerLossDisk final : public cache::internal::Disk {
 public:
  explicit PowerLossDisk(std::uint64_t capacity_bytes = 1ULL << 40);
  ~PowerLossDisk() override;

  // A disk as this one may be found after a power loss now. Equal seeds give
  // equal disks. Of each sector it has what was flushed last or any of what was
  // written since; of each file its size likewise; of the changes of names in
  // folders not flushed since it has, by the seed, the first few or any.
  std::unique_ptr<PowerLossDisk> AfterPowerLoss(std::uint64_t seed) const;
  // The same after all processes were killed: nothing is lost but the locks.
  std::unique_ptr<PowerLossDisk> AfterKill() const;

  // After that many more changing operations the power is gone: every operation
  // fails with EIO and does nothing.
  void LosePowerAfter(std::uint64_t operations);
  bool has_power() const { return has_power_; }
  // Changing operations so far.
  std::uint64_t operations() const { return operations_; }

  // Called before each operation; what it returns, if not 0, is the errno the
  // operation fails with. Operations: "open", "read", "write", "allocate",
  // "flush", "lock", "rename", "remove", "list", "make folder", "remove
  // folder", "flush folder".
  using Fault =
      std::function<int(std::string_view operation, const std::string& path)>;
  void SetFault(Fault fault) { fault_ = std::move(fault); }

  // The content of a file, as its readers see it.
  std::vector<std::byte> Content(const std::string& path) const;
  // Replaces it: what a medium did on its own. It counts as flushed.
  void SetContent(const std::string& path, std::vector<std::byte> content);
  bool Exists(const std::string& path) const;
  // Files and folders, but "/".
  std::size_t entries() const { return names_.size(); }

  core::Result<std::unique_ptr<cache::internal::DiskFile>> Open(
      const std::string& path, cache::internal::DiskOpen how) override;
  core::Status Rename(const std::string& from, const std::string& to) override;
  core::Status Remove(const std::string& path) override;
  core::Result<std::vector<std::string>> List(
      const std::string& folder) override;
  core::Result<bool> MakeFolder(const std::string& path) override;
  core::Result<bool> RemoveFolder(const std::string& path) override;
  core::Status FlushFolder(const std::string& path) override;
  core::Result<std::uint64_t> FreeBytes(const std::string& folder) override;

 private:
  struct Inode;
  struct Change;
  class File;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  // Whether the operation may go on; counts it if it changes something.
  core::Status Begin(std::string_view operation, const std::string& path,
                     bool changes);
  core::Status Note(Change change);
  static void Apply(const Change& change, Names& names);
  bool IsFolder(const std::string& path) const;
  std::uint64_t UsedBytes() const;

  const std::uint64_t capacity_bytes_;
  Names names_;                  // as processes see them
  Names stored_names_;           // as they are for certain after a power loss
  std::vector<Change> changes_;  // from these to those, in order
  std::uint64_t operations_ = 0;
  std::uint64_t operations_left_ = UINT64_MAX;
  bool has_power_ = true;
  Fault fault_;
};

}  // namespace stoker::testing
