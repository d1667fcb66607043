// Reads one object through a back end's queue and prints what it took, as JSON.
//
// usage: read_bench URI OBJECT SIZE BLOCK DEPTH COUNT
//
// COUNT reads of BLOCK bytes, front to back and from the front again, DEPTH of
// them in flight. An object that is not there is made first, SIZE bytes long.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache_backend.h"
#include "core/aligned_buffer.h"
#include "core/random.h"
#include "core/text.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker {
namespace {

struct Task {
  std::uint64_t size = 0;   // bytes of the object
  std::uint64_t block = 0;  // bytes of a read
  std::uint64_t depth = 0;
  std::uint64_t count = 0;
};

double CpuSeconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

core::Status Make(storage::Backend& backend, std::string_view name,
                  std::uint64_t size, core::Clock& clock) {
  STOKER_ASSIGN(
      const std::unique_ptr<storage::WriteStream> stream,
      backend.Create(name, {.expected_size = size, .patch = false}, clock));
  for (std::uint64_t at = 0; at < size;) {
    STOKER_ASSIGN(std::span<std::byte> part, stream->Buffer());
    part = part.first(std::min<std::uint64_t>(part.size(), size - at));
    core::FillCounterStream(1, at, part);
    STOKER_TRY(stream->Append(part.size()));
    at += part.size();
  }
  return stream->Commit().status();
}

core::Status ReadAll(storage::Backend& backend, std::string_view name,
                     const Task& task, core::Clock& clock) {
  STOKER_ASSIGN(const std::unique_ptr<storage::ReadQueue> queue,
                backend.NewReadQueue(
                    {.depth = task.depth, .gives_up_buffers = true}, clock));
  STOKER_ASSIGN(const core::AlignedBuffer memory,
                core::AlignedBuffer::Make(task.block * task.depth, true));
  const storage::ObjectId object = backend.Resolve(name);
  std::vector<storage::ReadDone> done(task.depth);
  const std::uint64_t blocks =
      std::max<std::uint64_t>(1, task.size / task.block);
  const double cpu = CpuSeconds();
  const core::TimePoint start = clock.Now();
  std::uint64_t begun = 0;
  std::uint64_t bytes = 0;
  const auto submit = [&](std::uint64_t slot) -> core::Status {
    const storage::ReadOp op{
        .object = object,
        .offset = begun % blocks * task.block,
        .buffer = memory.bytes().subspan(slot * task.block, task.block),
        .tag = slot};
    ++begun;
    return queue->Submit(std::span(&op, 1)).status();
  };
  for (std::uint64_t slot = 0; slot < task.depth && begun < task.count;
       ++slot) {
    STOKER_TRY(submit(slot));
  }
  while (queue->in_flight() > 0) {
    STOKER_ASSIGN(const std::size_t count, queue->Reap(done, 1, core::kNever));
    for (std::size_t i = 0; i < count; ++i) {
      STOKER_TRY(done[i].status);
      bytes += done[i].bytes;
      if (begun < task.count) {
        STOKER_TRY(submit(done[i].tag));
      }
    }
  }
  fmt::print(
      R"({{"reads": {}, "bytes": {}, "wall_s": {:.6f}, "cpu_s": {:.6f}, )"
      R"("engine": "{}"}})"
      "\n",
      begun, bytes, core::Seconds(clock.Now() - start), CpuSeconds() - cpu,
      queue->engine());
  backend.Release(object);
  return {};
}

core::Status Run(char** words) {
  Task task;
  STOKER_ASSIGN(task.size, core::ParseBytes(words[3]));
  STOKER_ASSIGN(task.block, core::ParseBytes(words[4]));
  STOKER_ASSIGN(task.depth, core::ParseBytes(words[5]));
  STOKER_ASSIGN(task.count, core::ParseBytes(words[6]));
  core::SystemClock clock;
  STOKER_ASSIGN(
      const std::unique_ptr<storage::Backend> backend,
      storage::OpenBackend(words[1], {.more = cache::CacheBackends()}));
  const auto size = storage::ObjectSize(*backend, words[2], clock);
  if (size.status().code() == core::Code::kNotFound) {
    STOKER_TRY(Make(*backend, words[2], task.size, clock));
  } else {
    STOKER_TRY(size.status());
  }
  return ReadAll(*backend, words[2], task, clock);
}

}  // namespace
}  // namespace stoker

int main(int count, char** words) {
  if (count != 7) {
    fmt::print(stderr, "usage: read_bench URI OBJECT SIZE BLOCK DEPTH COUNT\n");
    return 2;
  }
  const stoker::core::Status status = stoker::Run(words);
  if (!status.ok()) {
    fmt::print(stderr, "read_bench: {}\n", status.message());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
