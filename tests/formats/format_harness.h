#pragma once

// What format tests share: payload by formula, files in memory, and a driver
// that plays the part of storage for a reader program.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/clock.h"
#include "core/status.h"
#include "formats/format.h"
#include "storage/write_stream.h"

namespace stoker::testing {

using File = std::vector<std::byte>;

// Bits 13 to 20 of offset·2654435761 + sample·40503 + file·97.
class PatternPayload final : public formats::PayloadSource {
 public:
  void Fill(std::uint64_t file, std::uint32_t sample, std::uint64_t offset,
            std::span<std::byte> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::uint64_t value = (offset + i) * 2654435761U +
                                  std::uint64_t{sample} * 40503U + file * 97U;
      out[i] = static_cast<std::byte>(value >> 13);
    }
  }
};

// Keeps every part.
class MemoryWriteStream final : public storage::WriteStream {
 public:
  explicit MemoryWriteStream(core::Clock& clock, std::size_t part = 8U << 20)
      : WriteStream({.part_size = part}, clock) {}

  // The object, once committed.
  const File& file() const { return file_; }

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t) override {
    return std::span<std::byte>(parts_.emplace_back(options().part_size));
  }
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    file_.resize(std::max<std::size_t>(file_.size(), offset + part.size()));
    std::ranges::copy(part,
                      file_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  core::Status DoCommit(std::uint64_t size, storage::WriteTimes&) override {
    STOKER_CHECK(file_.size() == size);
    return {};
  }

  std::deque<File> parts_;
  File file_;
};

inline File Encode(const formats::Format& format, const formats::FileSpec& spec,
                   std::size_t part = 8U << 20) {
  core::SystemClock clock;
  PatternPayload payload;
  MemoryWriteStream out(clock, part);
  STOKER_CHECK(format.Encode(spec, payload, out).ok());
  STOKER_CHECK(out.Commit().ok());
  return out.file();
}

inline File EncodeSidecar(const formats::Format& format,
                          const formats::FileSpec& spec, std::size_t which) {
  core::SystemClock clock;
  MemoryWriteStream out(clock);
  STOKER_CHECK(format.EncodeSidecar(spec, which, out).ok());
  STOKER_CHECK(out.Commit().ok());
  return out.file();
}

// An npz file of 536 bytes, 30 of them payload: x.npy from 0, y.npy from 213,
// the directory from 412.
inline formats::FileSpec SmallNpzSpec() {
  return {.index = 1, .samples = 2, .rows = 3, .columns = 5};
}

// One kRead and what came back.
struct Read {
  std::uint64_t offset = 0;
  std::uint64_t asked = 0;
  std::uint64_t got = 0;

  friend bool operator==(const Read&, const Read&) = default;
};

struct Sample {
  std::uint32_t index = 0;
  std::uint64_t payload = 0;

  friend bool operator==(const Sample&, const Sample&) = default;
};

struct Trace {
  std::vector<Read> reads;
  std::vector<Sample> samples;
  int size_queries = 0;
  std::size_t reads_before_size = 0;  // at the last size query
  core::Status status;
};

// Fills `out` from `offset` of a file.
using Serve = std::function<void(std::uint64_t offset, std::span<std::byte>)>;

// One visit of a file of `size` bytes (0: a store without data). Each read has
// memory of its own, gone when the program asks for the next, so that a program
// that looks too late is caught by the address sanitizer.
inline Trace Visit(formats::ReaderProgram& program,
                   const formats::FileSpec& spec, std::uint32_t sample,
                   std::uint64_t size, const Serve& serve) {
  using Event = formats::ReaderProgram::Event;
  using Next = formats::ReaderProgram::Next;
  Trace trace;
  File buffer;
  program.Reset(spec, sample, "some_file");
  Event event;
  while (true) {
    const core::Result<Next> next = program.Step(event);
    if (!next.ok()) {
      trace.status = next.status();
      return trace;
    }
    event = {};
    switch (next.value().kind) {
      case Next::Kind::kSize:
        ++trace.size_queries;
        trace.reads_before_size = trace.reads.size();
        event.kind = Event::Kind::kSize;
        event.size = size;
        break;
      case Next::Kind::kRead: {
        const std::uint64_t offset = next.value().offset;
        const std::uint64_t length = next.value().length;
        STOKER_CHECK(length <= program.MaxRequest(spec));
        const std::uint64_t got =
            std::min(length, size - std::min(size, offset));
        File fresh(got);
        serve(offset, fresh);
        buffer.swap(fresh);
        trace.reads.push_back({offset, length, got});
        event.kind = Event::Kind::kBytes;
        event.bytes = buffer;
        break;
      }
      case Next::Kind::kSampleReady:
        trace.samples.push_back({next.value().sample, next.value().payload});
        event.kind = Event::Kind::kResume;
        break;
      case Next::Kind::kFileDone:
        return trace;
    }
  }
}

inline Trace Visit(formats::ReaderProgram& program,
                   const formats::FileSpec& spec, std::uint32_t sample,
                   std::span<const std::byte> file) {
  return Visit(program, spec, sample, file.size(),
               [file](std::uint64_t offset, std::span<std::byte> out) {
                 std::ranges::copy(
                     file.subspan(std::min<std::size_t>(offset, file.size()),
                                  out.size()),
                     out.begin());
               });
}

inline Trace Visit(const formats::Format& format,
                   const formats::ReaderOptions& options,
                   const formats::FileSpec& spec,
                   std::span<const std::byte> file, std::uint32_t sample = 0) {
  return Visit(*format.NewReader(options), spec, sample, file);
}

}  // namespace stoker::testing
