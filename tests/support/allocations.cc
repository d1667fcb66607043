#include "tests/support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace stoker::testing {
namespace {
std::atomic<std::uint64_t> allocations = 0;
}  // namespace

std::uint64_t Allocations() { return allocations.load(); }

}  // namespace stoker::testing

void* operator new(std::size_t bytes) {
  ++stoker::testing::allocations;
  if (void* memory = std::malloc(bytes); memory != nullptr) {
    return memory;
  }
  throw std::bad_alloc();
}

// What std::stable_sort asks for its buffer.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++stoker::testing::allocations;
  return std::malloc(bytes);
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
