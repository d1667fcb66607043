#pragma once

// What the storage tests share.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/clock.h"
#include "storage/backend.h"
#include "storage/registry.h"
#include "tests/support/temp_dir.h"

namespace stoker::testing {

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// The content of a file; "" if it cannot be read.
inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Of a clock that began at 0.
inline core::TimePoint AtMillis(std::int64_t millis) {
  return core::TimePoint(std::chrono::milliseconds(millis));
}

// Whether the file system of TempDir takes O_DIRECT; elsewhere there is nothing
// to run the direct back end on.
inline bool DirectIsAllowed() {
  const TempDir dir;
  const std::string path = dir.str() + "/file";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0600);
  if (fd >= 0) {
    ::close(fd);
  }
  return fd >= 0;
}

// "abc…", `size` letters, different for each `start`.
inline std::string Letters(std::size_t size, std::size_t start = 0) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    // The second term has no period in common with pages or parts.
    text[i] = static_cast<char>('a' + (start + i + i / 251) % 26);
  }
  return text;
}

inline std::unique_ptr<storage::Backend> Open(std::string_view uri) {
  auto backend = storage::OpenBackend(uri);
  if (!backend.ok()) {
    std::cerr << backend.status().ToString() << '\n';
  }
  STOKER_CHECK(backend.ok());
  return std::move(backend).value();
}

inline std::unique_ptr<storage::ReadQueue> NewQueue(
    storage::Backend& backend, core::Clock& clock, std::size_t depth = 4,
    storage::Access access = storage::Access::kDefault) {
  auto queue = backend.NewReadQueue({.depth = depth, .access = access}, clock);
  STOKER_CHECK(queue.ok());
  return std::move(queue).value();
}

// Submits one op and waits for it.
inline storage::ReadDone RunOne(storage::ReadQueue& queue,
                                const storage::ReadOp& op) {
  const auto taken = queue.Submit(std::span(&op, 1));
  STOKER_CHECK(taken.ok() && taken.value() == 1);
  std::array<storage::ReadDone, 1> done;
  std::size_t count = 0;
  while (count == 0) {
    const auto reaped = queue.Reap(done, 1, core::kNever);
    STOKER_CHECK(reaped.ok());
    count = reaped.value();
  }
  return done[0];
}

// As ReadInto, by a wider read that obeys the alignment of `queue`.
inline storage::ReadDone ReadWidened(std::string& text,
                                     storage::ReadQueue& queue,
                                     storage::ObjectId object,
                                     std::uint64_t offset, std::size_t wanted) {
  const std::uint64_t align = queue.limits().offset_align;
  const std::uint64_t start = offset / align * align;
  const std::uint64_t end = (offset + wanted + align - 1) / align * align;
  auto memory = core::AlignedBuffer::Make(end - start, false);
  STOKER_CHECK(memory.ok());
  const std::span<std::byte> all = memory.value().bytes();
  storage::ReadDone done =
      RunOne(queue, {.object = object, .offset = start, .buffer = all});
  const std::uint64_t skip = std::min(offset - start, done.bytes);
  done.bytes = std::min<std::uint64_t>(wanted, done.bytes - skip);
  text.assign(reinterpret_cast<const char*>(all.data()) + skip, done.bytes);
  return done;
}

// Reads `wanted` bytes of an object; `text` gets what arrived.
inline storage::ReadDone ReadInto(std::string& text, storage::ReadQueue& queue,
                                  storage::ObjectId object,
                                  std::uint64_t offset, std::size_t wanted) {
  if (queue.limits().offset_align > 1) {
    return ReadWidened(text, queue, object, offset, wanted);
  }
  text.assign(wanted, '?');
  storage::ReadDone done = RunOne(
      queue,
      {.object = object,
       .offset = offset,
       .buffer = std::as_writable_bytes(std::span(text.data(), text.size()))});
  text.resize(std::min<std::size_t>(done.bytes, wanted));
  return done;
}

// Name to size.
inline std::map<std::string, std::uint64_t> ListAll(storage::Backend& backend,
                                                    std::string_view prefix) {
  std::map<std::string, std::uint64_t> found;
  const core::Status status =
      backend.List(prefix, [&found](const storage::ObjectInfo& object) {
        found.emplace(object.name, object.size);
        return true;
      });
  STOKER_CHECK(status.ok());
  return found;
}

}  // namespace stoker::testing
