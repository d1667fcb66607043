#include "core/aligned_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace stoker::core {

Result<AlignedBuffer> AlignedBuffer::Make(std::size_t bytes, bool resident) {
  AlignedBuffer buffer;
  if (bytes == 0) {
    return buffer;
  }
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t mapped = (bytes + page - 1) / page * page;
  void* start = ::mmap(
      nullptr, mapped, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | (resident ? MAP_POPULATE : 0), -1, 0);
  if (start == MAP_FAILED) {
    return Status::FromErrno(
        errno, "allocate a buffer of " + std::to_string(bytes) + " bytes");
  }
  buffer.data_ = static_cast<std::byte*>(start);
  buffer.size_ = bytes;
  buffer.mapped_ = mapped;
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
