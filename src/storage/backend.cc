#include "storage/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/aligned_buffer.h"

namespace stoker::storage {

namespace {

// Releases the object when the reading is over, whatever came of it.
class Resolved {
 public:
  Resolved(Backend& backend, std::string_view name)
      : backend_(backend), id_(backend.Resolve(name)) {}
  ~Resolved() { backend_.Release(id_); }
  Resolved(const Resolved&) = delete;
  Resolved& operator=(const Resolved&) = delete;
  ObjectId id() const { return id_; }

 private:
  Backend& backend_;
  ObjectId id_;
};

core::Result<std::uint64_t> RunOne(ReadQueue& queue, const ReadOp& op,
                                   core::Clock& clock,
                                   core::TimePoint deadline = core::kNever) {
  STOKER_TRY(queue.Submit(std::span(&op, 1)).status());
  std::array<ReadDone, 1> done;
  while (queue.in_flight() > 0) {
    STOKER_ASSIGN(const std::size_t reaped, queue.Reap(done, 1, deadline));
    if (reaped == 0 && clock.Now() >= deadline) {
      return core::Status(core::Code::kTimedOut, "the storage does not answer");
    }
  }
  STOKER_TRY(done[0].status);
  return done[0].bytes;
}

}  // namespace

core::Result<std::uint64_t> Backend::RemoveAll(
    std::span<const std::string> object_names) {
  std::uint64_t removed = 0;
  for (const std::string& name : object_names) {
    const core::Status status = Remove(name);
    if (status.code() != core::Code::kNotFound) {
      STOKER_TRY(status);
      ++removed;
    }
  }
  return removed;
}

core::Result<std::uint64_t> AskSize(ReadQueue& queue, ObjectId object,
                                    core::Clock& clock, core::Nanos patience) {
  return RunOne(queue, {.kind = ReadOp::Kind::kSize, .object = object}, clock,
                clock.Now() + patience);
}

core::Result<std::uint64_t> ObjectSize(Backend& backend, std::string_view name,
                                       core::Clock& clock) {
  const Resolved object(backend, name);
  STOKER_ASSIGN(const std::unique_ptr<ReadQueue> queue,
                backend.NewReadQueue({.depth = 1}, clock));
  return RunOne(*queue, {.kind = ReadOp::Kind::kSize, .object = object.id()},
                clock);
}

std::string NotesOn(const Capabilities& capabilities) {
  std::string notes;
  const auto note = [&notes](bool is_so, std::string_view text) {
    if (is_so) {
      notes.append(notes.empty() ? "" : ", ").append(text);
    }
  };
  note(capabilities.simulated, "simulated store");
  note(capabilities.faulty, "faults put in");
  note(capabilities.foresees, "what-if: the cache knows what will be read");
  return notes;
}

core::Result<std::string> ReadObject(Backend& backend, std::string_view name,
                                     core::Clock& clock, std::uint64_t limit) {
  const Resolved object(backend, name);
  STOKER_ASSIGN(const std::unique_ptr<ReadQueue> queue,
                backend.NewReadQueue({.depth = 1}, clock));
  STOKER_ASSIGN(
      const std::uint64_t size,
      RunOne(*queue, {.kind = ReadOp::Kind::kSize, .object = object.id()},
             clock));
  if (size > limit) {
    return core::Status(core::Code::kInvalidArgument,
                        fmt::format("read {}: it has {} bytes, at most {} are "
                                    "expected",
                                    name, size, limit));
  }
  // Pages, and as many as the queue's alignment asks for behind the end.
  const std::uint64_t align = queue->limits().offset_align;
  STOKER_ASSIGN(
      const core::AlignedBuffer memory,
      core::AlignedBuffer::Make((size + align - 1) / align * align, false));
  std::uint64_t got = 0;
  while (got < size) {
    const std::uint64_t start = got / align * align;
    STOKER_ASSIGN(const std::uint64_t bytes,
                  RunOne(*queue,
                         {.object = object.id(),
                          .offset = start,
                          .buffer = memory.bytes().subspan(start)},
                         clock));
    if (start + bytes <= got) {
      break;  // it shrank since its size was asked
    }
    got = start + bytes;
  }
  const std::span<const std::byte> content =
      memory.bytes().first(std::min(got, size));
  return std::string(reinterpret_cast<const char*>(content.data()),
                     content.size());
}

core::Status WriteObject(Backend& backend, std::string_view name,
                         std::string_view content, core::Clock& clock,
                         const WriteOptions& options) {
  WriteOptions known = options;
  known.expected_size = content.size();
  STOKER_ASSIGN(const std::unique_ptr<WriteStream> stream,
                backend.Create(name, known, clock));
  STOKER_TRY(
      stream->Write(std::as_bytes(std::span(content.data(), content.size()))));
  return stream->Commit().status();
}

}  // namespace stoker::storage
