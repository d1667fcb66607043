#include "core/aligned_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

namespace stoker::core {

namespace {

// What a huge page of x86-64 and, with 4 KiB pages, of arm64 covers.
constexpr std::size_t kHugePage = std::size_t{2} << 20U;

// `bytes` of fresh memory that start at a multiple of `align`, or null.
std::byte* MapAligned(std::size_t bytes, std::size_t align) {
  void* const all = ::mmap(nullptr, bytes + align, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) {
    return nullptr;
  }
  auto* const first = static_cast<std::byte*>(all);
  const auto address = reinterpret_cast<std::uintptr_t>(first);
  const std::size_t before = (align - address % align) % align;
  if (before > 0) {
    ::munmap(first, before);
  }
  if (align > before) {
    ::munmap(first + before + bytes, align - before);
  }
  return first + before;
}

// Every page is there when this returns; false with errno if memory is short.
bool Populate(std::byte* start, std::size_t bytes, std::size_t page) {
  if (::madvise(start, bytes, MADV_POPULATE_WRITE) == 0) {
    return true;
  }
  if (errno != EINVAL) {
    return false;
  }
  for (std::size_t at = 0; at < bytes; at += page) {  // before Linux 5.14
    *static_cast<volatile std::byte*>(start + at) = std::byte{0};
  }
  return true;
}

}  // namespace

Result<AlignedBuffer> AlignedBuffer::Make(std::size_t bytes, bool resident) {
  AlignedBuffer buffer;
  if (bytes == 0) {
    return buffer;
  }
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t mapped = (bytes + page - 1) / page * page;
  const bool huge = resident && mapped >= 2 * kHugePage;
  std::byte* const start = MapAligned(mapped, huge ? kHugePage : page);
  if (start == nullptr) {
    return Status::FromErrno(
        errno, "allocate a buffer of " + std::to_string(bytes) + " bytes");
  }
  buffer.data_ = start;
  buffer.size_ = bytes;
  buffer.mapped_ = mapped;
  if (huge) {
    // A device takes 1 MiB of such a page in one piece, and a copy into it
    // looks up one address. A kernel that has none ignores the wish.
    ::madvise(start, mapped, MADV_HUGEPAGE);
  }
  if (resident && !Populate(start, mapped, page)) {
    return Status::FromErrno(
        errno,
        "fill a buffer of " + std::to_string(bytes) + " bytes with pages");
  }
  return buffer;
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr) {
    ::munmap(data_, mapped_);
  }
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

}  // namespace stoker::core
