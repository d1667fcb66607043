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

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
