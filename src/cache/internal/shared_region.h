#pragma once

// Memory that processes of a user share by name.

#include <cstddef>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/status.h"

namespace stoker::cache::internal {

// The name in /dev/shm of what belongs to `name` and to this user.
std::string SharedName(std::string_view name);

// Mapped memory, zero when new. It outlives the process if it has a name.
class SharedRegion {
 public:
  // Without a name: for this process and those it forks.
  static std::unique_ptr<SharedRegion> MakePrivate(std::size_t bytes);
  // Opens or makes `name`, of exactly `bytes`; one of another size is replaced
  // by a new one. Returns with the set-up lock held. kUnavailable: somebody
  // else has held it for `patience`. kIoError, kPermission; out of memory says
  // how much was asked for.
  static core::Result<std::unique_ptr<SharedRegion>> Open(
      const std::string& name, std::size_t bytes, core::Clock& clock,
      core::Nanos patience);
  static void Remove(const std::string& name);
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  std::byte* memory() const { return memory_; }
  std::size_t bytes() const { return bytes_; }
  // Held by one process at a time, and let go of by the kernel if it dies.
  core::Status Lock(core::Clock& clock, core::Nanos patience);
  void Unlock();

 private:
  SharedRegion(std::string name, int fd, std::size_t bytes)
      : name_(std::move(name)), fd_(fd), bytes_(bytes) {}
  core::Status Map();

  std::string name_;
  int fd_;
  std::size_t bytes_;
  std::byte* memory_ = nullptr;
};

}  // namespace stoker::cache::internal
