#include "comm/communicator.h"

#include <cstring>
#include <mutex>
#include <type_traits>
#include <utility>

#include "core/check.h"

namespace stoker::comm {

namespace {

class SelfCommunicator final : public Communicator {
 public:
  explicit SelfCommunicator(const core::CancelFlag* cancel) : cancel_(cancel) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  int node() const override { return 0; }
  int node_count() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }

  core::Result<RankedValue> BarrierMax(core::Nanos /*timeout*/,
                                       std::int64_t value) override {
    STOKER_TRY(Check("barrier"));
    return RankedValue{.value = value, .rank = 0};
  }

  core::Status Broadcast(Bytes& /*data*/, int root) override {
    STOKER_CHECK(root == 0);
    return Check("broadcast");
  }

  core::Result<std::vector<Bytes>> Gather(std::span<const std::byte> mine,
                                          int root) override {
    STOKER_CHECK(root == 0);
    STOKER_TRY(Check("gather"));
    return std::vector<Bytes>{Bytes(mine.begin(), mine.end())};
  }

  void Abort(const core::Status& cause) override {
    STOKER_CHECK(!cause.ok());
    const std::scoped_lock lock(mutex_);
    if (aborted_.ok()) {
      aborted_ = core::Status(core::Code::kUnavailable,
                              "rank 0: " + std::string(cause.message()));
    }
  }

 private:
  core::Status Check(std::string_view what) {
    if (failed_.ok()) {
      failed_ = Interrupted(what);
    }
    return failed_;
  }

  core::Status Interrupted(std::string_view what) const {
    const std::scoped_lock lock(mutex_);
    if (!aborted_.ok()) {
      return aborted_;
    }
    if (cancel_ != nullptr && cancel_->IsSet()) {
      return core::Status(core::Code::kCancelled, "the run was asked to stop")
          .WithContext(what);
    }
    return {};
  }

  const core::CancelFlag* cancel_;
  core::Status failed_;       // of this rank's first call that failed
  mutable std::mutex mutex_;  // guards aborted_
  core::Status aborted_;
};

// Fixed-width values and texts one after the other, little-endian.
class Packer {
 public:
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void Add(const T& value) {
    Append(std::as_bytes(std::span(&value, 1)));
  }

  void AddBlock(std::span<const std::byte> block) {
    Add(static_cast<std::uint64_t>(block.size()));
    Append(block);
  }

  Bytes Take() { return std::move(bytes_); }

 private:
  void Append(std::span<const std::byte> block) {
    bytes_.insert(bytes_.end(), block.begin(), block.end());
  }

  Bytes bytes_;
};

// Reads what a Packer wrote, of this same program.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
    requires std::is_trivially_copyable_v<T>
  T Take() {
    T value;
    std::memcpy(&value, Cut(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> TakeBlock() { return Cut(Take<std::uint64_t>()); }

 private:
  std::span<const std::byte> Cut(std::size_t size) {
    STOKER_CHECK(size <= bytes_.size());
    const auto block = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return block;
  }

  std::span<const std::byte> bytes_;
};

Bytes PackStatus(const core::Status& status) {
  Packer packer;
  packer.Add(status.code());
  packer.Add(static_cast<std::int32_t>(status.os_error()));
  packer.AddBlock(ToBytes(status.message()));
  return packer.Take();
}

core::Status UnpackStatus(std::span<const std::byte> bytes) {
  Unpacker unpacker(bytes);
  const auto code = unpacker.Take<core::Code>();
  const auto os_error = unpacker.Take<std::int32_t>();
  return {code, ToText(unpacker.TakeBlock()), os_error};
}

}  // namespace

std::unique_ptr<Communicator> MakeSelf(const core::CancelFlag* cancel) {
  return std::make_unique<SelfCommunicator>(cancel);
}

core::Status Agree(Communicator& comm, const core::Status& mine) {
  if (comm.size() == 1) {
    return mine;
  }
  const auto all = AllGather(comm, PackStatus(mine));
  if (!all.ok()) {
    return mine.ok() ? all.status() : mine;
  }
  for (std::size_t rank = 0; rank < all.value().size(); ++rank) {
    const core::Status status = UnpackStatus(all.value()[rank]);
    if (!status.ok()) {
      return status.WithContext("rank " + std::to_string(rank));
    }
  }
  return {};
}

core::Result<std::vector<Bytes>> AllGather(Communicator& comm,
                                           std::span<const std::byte> mine) {
  STOKER_ASSIGN(std::vector<Bytes> all, comm.Gather(mine, 0));
  if (comm.size() == 1) {
    return all;
  }
  Packer packer;
  for (const Bytes& bytes : all) {
    packer.AddBlock(bytes);
  }
  Bytes packed = packer.Take();
  STOKER_TRY(comm.Broadcast(packed, 0));
  if (comm.rank() == 0) {
    return all;
  }
  Unpacker unpacker(packed);
  all.resize(static_cast<std::size_t>(comm.size()));
  for (Bytes& bytes : all) {
    const auto block = unpacker.TakeBlock();
    bytes.assign(block.begin(), block.end());
  }
  return all;
}

Bytes ToBytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string ToText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace stoker::comm
