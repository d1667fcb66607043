#pragma once

// Page-aligned memory, taken once before a run.

#include <cstddef>
#include <span>

#include "core/status.h"

namespace stoker::core {

// Owns anonymous pages. Movable; not copyable.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // `bytes` rounded up to whole pages. With `resident` every page is touched
  // now, so that a run neither faults nor finds memory missing later.
  // kIoError with ENOMEM when the kernel refuses.
  static Result<AlignedBuffer> Make(std::size_t bytes, bool resident);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  // Exactly the bytes asked for; the start is page-aligned.
  std::span<std::byte> bytes() const { return {data_, size_}; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
};

}  // namespace stoker::core
