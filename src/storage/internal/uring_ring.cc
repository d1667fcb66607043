#include "storage/internal/uring_ring.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/units.h"

namespace stoker::storage::internal {

namespace {

constexpr std::uint64_t kWakeTag = UINT64_MAX;
constexpr std::size_t kLargestTransfer = std::size_t{1} << 30;
// The largest range the kernel registers in one piece.
constexpr std::size_t kRegistered = std::size_t{1} << 30;
// Completions run when the thread enters the kernel anyway, without interrupts
// (5.19). Not IORING_SETUP_DEFER_TASKRUN: such a ring can only be drained by
// the thread that submitted, and never once that thread has ended.
constexpr unsigned kBestFlags =
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

// The kernel may map a new ring where another thread's ring was. The one ends
// before the other begins, but thread sanitizers do not see liburing's system
// calls: this tells them.
void OrderRings() {
  static std::atomic<std::uint64_t> rings{0};
  rings.fetch_add(1, std::memory_order_acq_rel);
}

core::Status RingError(int failure, std::string_view what) {
  return core::Status::FromErrno(failure, what);
}

core::Status RegisterError(int failure, std::size_t bytes) {
  rlimit locked{};
  ::getrlimit(RLIMIT_MEMLOCK, &locked);
  const std::string size = core::FormatBytes(static_cast<double>(bytes));
  if (failure == ENOMEM && locked.rlim_cur < bytes) {
    return {core::Code::kUnsupported,
            fmt::format(
                "{} would be locked, the limit is {}, raise it with "
                "ulimit -l",
                size, core::FormatBytes(static_cast<double>(locked.rlim_cur))),
            failure};
  }
  return {core::Code::kUnsupported,
          fmt::format("{}: {}", size, std::generic_category().message(failure)),
          failure};
}

}  // namespace

struct UringRing::Impl {
  io_uring ring{};
  bool made = false;
  bool woken = false;
  int wake_fd = -1;
  std::uint64_t unfinished = 0;  // prepared or in flight, the wake-up excepted
  std::span<std::byte> registered;  // in pieces of kRegistered

  Impl() = default;
  ~Impl() {
    if (made) {
      OrderRings();
      ::io_uring_queue_exit(&ring);
    }
    if (wake_fd >= 0) {
      ::close(wake_fd);
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  core::Status MakeRing(unsigned entries);
  io_uring_sqe* NextEntry();
  // The registered piece that holds all of `buffer`.
  std::optional<int> PieceOf(std::span<const std::byte> buffer) const;
  void ArmWake();
  void SeeWake();
  void DropPrepared();
};

core::Status UringRing::Impl::MakeRing(unsigned entries) {
  io_uring_params params{};
  params.flags = kBestFlags;
  int result = ::io_uring_queue_init_params(entries, &ring, &params);
  if (result == -EINVAL) {
    params = {};
    result = ::io_uring_queue_init_params(entries, &ring, &params);
  }
  if (result == -ENOSYS || result == -EPERM || result == -EACCES) {
    return {core::Code::kUnsupported,
            "io_uring is refused by this kernel or container (see "
            "kernel.io_uring_disabled); use engine=threads",
            -result};
  }
  if (result < 0) {
    return RingError(-result, "set up io_uring");
  }
  made = true;
  OrderRings();
  if ((params.features & IORING_FEAT_EXT_ARG) == 0) {
    return {core::Code::kUnsupported,
            "this kernel's io_uring is older than 5.11; use engine=threads"};
  }
  return {};
}

io_uring_sqe* UringRing::Impl::NextEntry() {
  io_uring_sqe* const entry = ::io_uring_get_sqe(&ring);
  STOKER_CHECK(entry != nullptr && "more prepared than the ring was made for");
  return entry;
}

std::optional<int> UringRing::Impl::PieceOf(
    std::span<const std::byte> buffer) const {
  // Unsigned: what lies before the memory is far behind it.
  const std::uintptr_t start = std::bit_cast<std::uintptr_t>(buffer.data()) -
                               std::bit_cast<std::uintptr_t>(registered.data());
  if (buffer.empty() || start >= registered.size() ||
      buffer.size() > registered.size() - start ||
      start / kRegistered != (start + buffer.size() - 1) / kRegistered) {
    return std::nullopt;
  }
  return static_cast<int>(start / kRegistered);
}

void UringRing::Impl::ArmWake() {
  io_uring_sqe* const entry = NextEntry();
  ::io_uring_prep_poll_add(entry, wake_fd, POLLIN);
  ::io_uring_sqe_set_data64(entry, kWakeTag);
}

void UringRing::Impl::SeeWake() {
  eventfd_t count = 0;
  ::eventfd_read(wake_fd, &count);
  woken = true;
  ArmWake();
}

// What was prepared but never reached the kernel will not finish.
void UringRing::Impl::DropPrepared() {
  const io_uring_sq& queue = ring.sq;
  unsigned at = queue.sqe_tail - ::io_uring_sq_ready(&ring);
  for (; at != queue.sqe_tail; ++at) {
    io_uring_sqe& entry = queue.sqes[at & queue.ring_mask];
    if (std::exchange(entry.user_data, kWakeTag) != kWakeTag) {
      --unfinished;
    }
  }
}

UringRing::UringRing(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

core::Result<std::unique_ptr<UringRing>> UringRing::Make(
    std::uint32_t entries) {
  auto impl = std::make_unique<Impl>();
  STOKER_TRY(impl->MakeRing(entries + 2));  // the wake-up, twice while re-armed
  impl->wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl->wake_fd < 0) {
    return RingError(errno, "make an eventfd");
  }
  impl->ArmWake();
  return std::unique_ptr<UringRing>(new UringRing(std::move(impl)));
}

UringRing::~UringRing() {
  std::array<Completion, 16> finished;
  while (Drain(finished) > 0) {
  }
}

std::size_t UringRing::Drain(std::span<Completion> out) {
  impl_->DropPrepared();
  while (impl_->unfinished > 0) {
    if (const std::size_t count = Take(out); count > 0) {
      return count;
    }
    io_uring_cqe* first = nullptr;
    ::io_uring_wait_cqe(&impl_->ring, &first);
  }
  return 0;
}

core::Status UringRing::RegisterBuffers(std::span<std::byte> memory) {
  STOKER_CHECK(impl_->registered.empty() && impl_->unfinished == 0);
  std::vector<iovec> pieces;
  for (std::size_t at = 0; at < memory.size(); at += kRegistered) {
    pieces.push_back({.iov_base = memory.data() + at,
                      .iov_len = std::min(kRegistered, memory.size() - at)});
  }
  const int result = ::io_uring_register_buffers(
      &impl_->ring, pieces.data(), static_cast<unsigned>(pieces.size()));
  if (result < 0) {
    return RegisterError(-result, memory.size());
  }
  impl_->registered = memory;
  return {};
}

void UringRing::PrepareRead(int fd, std::span<std::byte> buffer,
                            std::uint64_t offset, std::uint64_t user_data) {
  io_uring_sqe* const entry = impl_->NextEntry();
  buffer = buffer.first(std::min(buffer.size(), kLargestTransfer));
  const auto bytes = static_cast<unsigned>(buffer.size());
  if (const std::optional<int> piece = impl_->PieceOf(buffer)) {
    ::io_uring_prep_read_fixed(entry, fd, buffer.data(), bytes, offset, *piece);
  } else {
    ::io_uring_prep_read(entry, fd, buffer.data(), bytes, offset);
  }
  ::io_uring_sqe_set_data64(entry, user_data);
  ++impl_->unfinished;
}

void UringRing::PrepareWrite(int fd, std::span<const std::byte> buffer,
                             std::uint64_t offset, std::uint64_t user_data) {
  io_uring_sqe* const entry = impl_->NextEntry();
  buffer = buffer.first(std::min(buffer.size(), kLargestTransfer));
  const auto bytes = static_cast<unsigned>(buffer.size());
  if (const std::optional<int> piece = impl_->PieceOf(buffer)) {
    ::io_uring_prep_write_fixed(entry, fd, buffer.data(), bytes, offset,
                                *piece);
  } else {
    ::io_uring_prep_write(entry, fd, buffer.data(), bytes, offset);
  }
  ::io_uring_sqe_set_data64(entry, user_data);
  ++impl_->unfinished;
}

void UringRing::PrepareOpen(const char* path, int flags,
                            std::uint64_t user_data) {
  io_uring_sqe* const entry = impl_->NextEntry();
  ::io_uring_prep_openat(entry, AT_FDCWD, path, flags, 0);
  ::io_uring_sqe_set_data64(entry, user_data);
  ++impl_->unfinished;
}

core::Status UringRing::Submit() {
  while (::io_uring_sq_ready(&impl_->ring) > 0) {
    const int result = ::io_uring_submit(&impl_->ring);
    if (result < 0 && result != -EINTR) {
      return RingError(-result, "submit to io_uring");
    }
  }
  return {};
}

std::size_t UringRing::Take(std::span<Completion> out) {
  std::size_t count = 0;
  io_uring_cqe* next = nullptr;
  while (count < out.size() && ::io_uring_peek_cqe(&impl_->ring, &next) == 0) {
    const std::uint64_t user_data = ::io_uring_cqe_get_data64(next);
    const std::int32_t result = next->res;
    ::io_uring_cqe_seen(&impl_->ring, next);
    if (user_data == kWakeTag) {
      impl_->SeeWake();
      continue;
    }
    STOKER_CHECK(impl_->unfinished > 0);
    --impl_->unfinished;
    out[count++] = {.user_data = user_data, .result = result};
  }
  return count;
}

core::Status UringRing::Wait(std::optional<core::Nanos> longest) {
  int result = 0;
  if (longest.has_value()) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*longest);
    __kernel_timespec limit{.tv_sec = seconds.count(),
                            .tv_nsec = (*longest - seconds).count()};
    io_uring_cqe* first = nullptr;
    result = ::io_uring_submit_and_wait_timeout(&impl_->ring, &first, 1, &limit,
                                                nullptr);
  } else {
    result = ::io_uring_submit_and_wait(&impl_->ring, 1);
  }
  if (result < 0 && result != -ETIME && result != -EINTR) {
    return RingError(-result, "wait for io_uring");
  }
  return {};
}

bool UringRing::TakeWoken() { return std::exchange(impl_->woken, false); }

void UringRing::Wake() { ::eventfd_write(impl_->wake_fd, 1); }

core::Status ProbeUring() { return UringRing::Make(1).status(); }

}  // namespace stoker::storage::internal
