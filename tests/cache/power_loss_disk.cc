#include "tests/cache/power_loss_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>

#include "core/check.h"
#include "core/random.h"

namespace stoker::testing {

namespace {

using Bytes = std::vector<std::byte>;
using cache::internal::DiskFile;
using cache::internal::DiskLock;
using cache::internal::DiskOpen;

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  STOKER_CHECK(slash != std::string::npos);
  return slash == 0 ? "/" : path.substr(0, slash);
}

core::Status Errno(int os_error, std::string_view operation,
                   const std::string& path) {
  return core::Status::FromErrno(os_error,
                                 fmt::format("{} {}", operation, path));
}

// Disks are copied often and their files seldom changed: copies share content
// until then.
using Shared = std::shared_ptr<const Bytes>;

void Resize(Shared& content, std::size_t size) {
  Bytes copy = *content;
  copy.resize(size);
  content = std::make_shared<const Bytes>(std::move(copy));
}

// `content` grows if it is shorter than that.
void Put(Bytes& content, std::uint64_t offset,
         std::span<const std::byte> bytes) {
  content.resize(std::max<std::size_t>(content.size(), offset + bytes.size()));
  std::ranges::copy(bytes,
                    content.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

struct PowerLossDisk::Inode {
  bool is_folder = false;
  Shared stored;   // as it was flushed last
  Shared current;  // as processes see it
  // What was written since the last flush: by sector, all it has been.
  std::map<std::uint64_t, std::vector<Bytes>> unflushed;
  std::vector<std::size_t> sizes;  // bytes, all since the last flush
  int shared = 0;                  // locks
  bool exclusive = false;

  std::size_t size() const { return current->size(); }
  void Write(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::size_t before = size();
    Bytes copy = *current;
    Put(copy, offset, bytes);
    for (std::uint64_t sector = offset / kSectorBytes;
         sector * kSectorBytes < offset + bytes.size(); ++sector) {
      const std::span<const std::byte> from =
          std::span(copy).subspan(sector * kSectorBytes);
      const auto part = from.first(std::min(from.size(), kSectorBytes));
      unflushed[sector].emplace_back(part.begin(), part.end());
    }
    current = std::make_shared<const Bytes>(std::move(copy));
    if (size() != before) {
      sizes.push_back(size());
    }
  }
  void Grow(std::size_t bytes) {
    Resize(current, std::max(size(), bytes));
    sizes.push_back(size());
  }
  void Flush() {
    stored = current;
    unflushed.clear();
    sizes.clear();
  }
  // Nothing of it is in doubt.
  static std::shared_ptr<Inode> Settled(const Shared& content, bool is_folder) {
    auto inode = std::make_shared<Inode>();
    inode->is_folder = is_folder;
    inode->stored = content;
    inode->current = content;
    return inode;
  }
  static std::shared_ptr<Inode> Empty(bool is_folder) {
    return Settled(std::make_shared<const Bytes>(), is_folder);
  }
  // What may be left of its content.
  template <class Kept, class OneOf>
  Shared AfterPowerLoss(const Kept& kept, const OneOf& one_of) const {
    if (sizes.empty() && unflushed.empty()) {
      return stored;
    }
    Bytes content = *stored;
    if (!sizes.empty() && kept()) {
      content.resize(one_of(sizes));
    }
    for (const auto& [sector, versions] : unflushed) {
      if (!kept() || sector * kSectorBytes >= content.size()) {
        continue;
      }
      Bytes version = one_of(versions);
      version.resize(std::min<std::size_t>(
          version.size(), content.size() - sector * kSectorBytes));
      Put(content, sector * kSectorBytes, version);
    }
    return std::make_shared<const Bytes>(std::move(content));
  }
};

// Of the names in one folder.
struct PowerLossDisk::Change {
  std::string path;              // gets `inode`, or is removed
  std::string from;              // of a rename: is removed
  std::shared_ptr<Inode> inode;  // null: removed
};

class PowerLossDisk::File final : public DiskFile {
 public:
  File(PowerLossDisk& disk, std::string path, std::shared_ptr<Inode> inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}
  ~File() override { Unlock(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  core::Result<std::uint64_t> Size() const override {
    return std::uint64_t{inode_->size()};
  }
  core::Result<std::uint64_t> ReservedBytes() const override { return Size(); }
  core::Result<std::size_t> ReadAt(std::uint64_t offset,
                                   std::span<std::byte> out) const override {
    STOKER_TRY(disk_.Begin("read", path_, false));
    const std::span<const std::byte> content = *inode_->current;
    const auto from =
        content.subspan(std::min<std::size_t>(offset, content.size()));
    const std::size_t bytes = std::min(from.size(), out.size());
    std::ranges::copy(from.first(bytes), out.begin());
    return bytes;
  }
  core::Status WriteAt(std::uint64_t offset,
                       std::span<const std::byte> bytes) override {
    STOKER_TRY(disk_.Begin("write", path_, true));
    STOKER_TRY(CheckRoom("write", offset + bytes.size()));
    inode_->Write(offset, bytes);
    return {};
  }
  core::Status Allocate(std::uint64_t bytes) override {
    STOKER_TRY(disk_.Begin("allocate", path_, true));
    STOKER_TRY(CheckRoom("allocate", bytes));
    inode_->Grow(bytes);
    return {};
  }
  core::Status Flush() override {
    STOKER_TRY(disk_.Begin("flush", path_, true));
    inode_->Flush();
    return {};
  }
  core::Result<bool> TryLock(DiskLock kind) override {
    STOKER_TRY(disk_.Begin("lock", path_, false));
    Unlock();
    if (inode_->exclusive ||
        (kind == DiskLock::kExclusive && inode_->shared > 0)) {
      return false;
    }
    held_ = kind;
    inode_->exclusive = kind == DiskLock::kExclusive;
    inode_->shared += kind == DiskLock::kShared ? 1 : 0;
    return true;
  }
  core::Result<bool> Linked() const override {
    return std::ranges::any_of(disk_.names_, [this](const auto& named) {
      return named.second == inode_;
    });
  }

 private:
  core::Status CheckRoom(std::string_view operation, std::uint64_t size) {
    const std::uint64_t now = inode_->size();
    const bool fits = size <= now ||
                      disk_.UsedBytes() + (size - now) <= disk_.capacity_bytes_;
    return fits ? core::Status() : Errno(ENOSPC, operation, path_);
  }
  void Unlock() {
    if (held_ == DiskLock::kShared) {
      --inode_->shared;
    } else if (held_ == DiskLock::kExclusive) {
      inode_->exclusive = false;
    }
    held_.reset();
  }

  PowerLossDisk& disk_;
  const std::string path_;
  const std::shared_ptr<Inode> inode_;
  std::optional<DiskLock> held_;
};

PowerLossDisk::PowerLossDisk(std::uint64_t capacity_bytes)
    : capacity_bytes_(capacity_bytes) {}
PowerLossDisk::~PowerLossDisk() = default;

std::unique_ptr<PowerLossDisk> PowerLossDisk::AfterPowerLoss(
    std::uint64_t seed) const {
  core::CounterRandom random(core::StreamKey(seed));
  // So that all or nothing being kept is seen as often as any mixture.
  const double keep = static_cast<double>(random.Below(5)) / 4;
  const auto kept = [&random, keep] { return random.Uniform() < keep; };
  const auto one_of = [&random](const auto& all) {
    return all[random.Below(all.size())];
  };

  Names names = stored_names_;
  const bool in_order = random.Below(2) == 0;
  for (const Change& change : changes_) {
    if (kept()) {
      Apply(change, names);
    } else if (in_order) {
      break;
    }
  }
  auto after = std::make_unique<PowerLossDisk>(capacity_bytes_);
  for (const auto& [path, inode] : names) {
    const std::string folder = FolderOf(path);
    if (folder != "/" && !names.contains(folder)) {
      continue;  // the folder was not kept, nor what is in it
    }
    after->names_[path] =
        Inode::Settled(inode->AfterPowerLoss(kept, one_of), inode->is_folder);
  }
  after->stored_names_ = after->names_;
  return after;
}

std::unique_ptr<PowerLossDisk> PowerLossDisk::AfterKill() const {
  auto after = std::make_unique<PowerLossDisk>(capacity_bytes_);
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  const auto copy = [&copies](const std::shared_ptr<Inode>& inode) {
    std::shared_ptr<Inode>& twin = copies[inode.get()];
    if (twin == nullptr && inode != nullptr) {
      twin = std::make_shared<Inode>(*inode);
      twin->shared = 0;
      twin->exclusive = false;
    }
    return twin;
  };
  for (const auto& [path, inode] : names_) {
    after->names_[path] = copy(inode);
  }
  for (const auto& [path, inode] : stored_names_) {
    after->stored_names_[path] = copy(inode);
  }
  for (const Change& change : changes_) {
    after->changes_.push_back({.path = change.path,
                               .from = change.from,
                               .inode = copy(change.inode)});
  }
  return after;
}

void PowerLossDisk::LosePowerAfter(std::uint64_t operations) {
  operations_left_ = operations;
}

core::Status PowerLossDisk::Begin(std::string_view operation,
                                  const std::string& path, bool changes) {
  if (changes && operations_left_ == 0) {
    has_power_ = false;
  }
  if (!has_power_) {
    return Errno(EIO, operation, path);
  }
  if (const int failure = fault_ ? fault_(operation, path) : 0; failure != 0) {
    return Errno(failure, operation, path);
  }
  if (changes) {
    ++operations_;
    --operations_left_;
  }
  return {};
}

void PowerLossDisk::Apply(const Change& change, Names& names) {
  if (!change.from.empty()) {
    names.erase(change.from);
  }
  if (change.inode != nullptr) {
    names[change.path] = change.inode;
  } else {
    names.erase(change.path);
  }
}

core::Status PowerLossDisk::Note(Change change) {
  Apply(change, names_);
  changes_.push_back(std::move(change));
  return {};
}

bool PowerLossDisk::IsFolder(const std::string& path) const {
  const auto found = names_.find(path);
  return path == "/" || (found != names_.end() && found->second->is_folder);
}

std::uint64_t PowerLossDisk::UsedBytes() const {
  std::uint64_t used = 0;
  for (const auto& [path, inode] : names_) {
    used += inode->size();
  }
  return used;
}

Bytes PowerLossDisk::Content(const std::string& path) const {
  return *names_.at(path)->current;
}

void PowerLossDisk::SetContent(const std::string& path, Bytes content) {
  names_.at(path)->current = std::make_shared<const Bytes>(std::move(content));
  names_.at(path)->Flush();
}

bool PowerLossDisk::Exists(const std::string& path) const {
  return names_.contains(path);
}

core::Result<std::unique_ptr<DiskFile>> PowerLossDisk::Open(
    const std::string& path, DiskOpen how) {
  const auto found = names_.find(path);
  const bool make = found == names_.end() && how == DiskOpen::kCreate;
  STOKER_TRY(Begin("open", path, make));
  if (found == names_.end() && (!make || !IsFolder(FolderOf(path)))) {
    return Errno(ENOENT, "open", path);
  }
  if (make) {
    STOKER_TRY(Note({.path = path,
                     .from = "",
                     .inode = Inode::Empty(/*is_folder=*/false)}));
  }
  return std::unique_ptr<DiskFile>(
      std::make_unique<File>(*this, path, names_.at(path)));
}

core::Status PowerLossDisk::Rename(const std::string& from,
                                   const std::string& to) {
  STOKER_TRY(Begin("rename", from, true));
  const auto found = names_.find(from);
  if (found == names_.end()) {
    return Errno(ENOENT, "rename", from);
  }
  STOKER_CHECK(FolderOf(from) == FolderOf(to));
  return Note({.path = to, .from = from, .inode = found->second});
}

core::Status PowerLossDisk::Remove(const std::string& path) {
  STOKER_TRY(Begin("remove", path, true));
  if (!names_.contains(path)) {
    return Errno(ENOENT, "remove", path);
  }
  return Note({.path = path, .from = "", .inode = nullptr});
}

core::Result<std::vector<std::string>> PowerLossDisk::List(
    const std::string& folder) {
  STOKER_TRY(Begin("list", folder, false));
  if (!IsFolder(folder)) {
    return Errno(ENOENT, "list", folder);
  }
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_) {
    if (FolderOf(path) == folder) {
      names.push_back(path.substr(path.rfind('/') + 1));
    }
  }
  return names;
}

core::Result<bool> PowerLossDisk::MakeFolder(const std::string& path) {
  STOKER_TRY(Begin("make folder", path, true));
  if (IsFolder(path)) {
    return false;
  }
  if (!IsFolder(FolderOf(path))) {
    return Errno(ENOENT, "make folder", path);
  }
  STOKER_TRY(Note(
      {.path = path, .from = "", .inode = Inode::Empty(/*is_folder=*/true)}));
  return true;
}

core::Result<bool> PowerLossDisk::RemoveFolder(const std::string& path) {
  STOKER_TRY(Begin("remove folder", path, true));
  STOKER_ASSIGN(const std::vector<std::string> names, List(path));
  if (!names.empty()) {
    return false;
  }
  STOKER_TRY(Note({.path = path, .from = "", .inode = nullptr}));
  return true;
}

core::Status PowerLossDisk::FlushFolder(const std::string& path) {
  STOKER_TRY(Begin("flush folder", path, true));
  std::erase_if(changes_, [&](const Change& change) {
    const bool here = FolderOf(change.path) == path;
    if (here) {
      Apply(change, stored_names_);
    }
    return here;
  });
  return {};
}

core::Result<std::uint64_t> PowerLossDisk::FreeBytes(
    const std::string& /*folder*/) {
  return capacity_bytes_ - std::min(capacity_bytes_, UsedBytes());
}

}  // namespace stoker::testing
