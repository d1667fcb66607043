#include "storage/internal/s3_read_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/check.h"
#include "core/fnv.h"
#include "core/units.h"
#include "storage/internal/real_time.h"

namespace stoker::storage::internal {

namespace {

// What libcurl receives at once. More of it saves calls, but the buffers of all
// connections are memory beside the pool, and one that stays in the second
// level cache is copied faster.
constexpr std::size_t kReceiveMemory = 8U << 20;
constexpr std::size_t kSmallestReceive = 16U << 10;
constexpr std::size_t kLargestReceive = 256U << 10;
constexpr core::Nanos kLong = std::chrono::hours(24);

core::Status Damaged(std::string_view key, std::string_view what) {
  return {core::Code::kCorruption, fmt::format("read {}: {}", key, what), EIO};
}

}  // namespace

core::Result<std::unique_ptr<ReadQueue>> S3ReadQueue::Make(
    S3Shared& shared, S3Objects& objects, const ReadLimits& limits,
    core::Clock& clock) {
  const std::size_t connections = shared.settings().connections;
  const std::size_t receive = std::clamp(kReceiveMemory / connections,
                                         kSmallestReceive, kLargestReceive);
  STOKER_ASSIGN(std::unique_ptr<S3Engine> engine,
                S3Engine::Make(shared, connections, receive, clock));
  return std::unique_ptr<ReadQueue>(new S3ReadQueue(
      shared, objects, limits, clock, std::move(engine), connections));
}

S3ReadQueue::S3ReadQueue(S3Shared& shared, S3Objects& objects,
                         const ReadLimits& limits, core::Clock& clock,
                         std::unique_ptr<S3Engine> engine,
                         std::size_t connections)
    : ReadQueue(limits, clock),
      shared_(shared),
      objects_(objects),
      ops_(limits.capacity),
      to_begin_(limits.capacity),
      parts_(connections),
      ended_(connections),
      done_(limits.capacity),
      engine_(std::move(engine)) {
  for (std::size_t slot = connections; slot-- > 0;) {
    free_.push_back(static_cast<std::uint32_t>(slot));
  }
}

bool S3ReadQueue::AllBegun(const Op& op) {
  return op.begun >= std::max<std::uint64_t>(1, op.asked.buffer.size());
}

core::Result<std::size_t> S3ReadQueue::DoSubmit(std::span<const ReadOp> ops) {
  STOKER_TRY(broken_);
  for (const ReadOp& op : ops) {
    const auto number = static_cast<std::uint32_t>(op.tag);
    ops_[number] = {.asked = op, .status = {}};
    to_begin_[(first_ + count_) % to_begin_.size()] = number;
    ++count_;
  }
  Begin();
  broken_ = engine_->Push();
  STOKER_TRY(broken_);
  return ops.size();
}

// Fills free connections, oldest op first.
void S3ReadQueue::Begin() {
  while (count_ > 0 && !free_.empty()) {
    const std::uint32_t number = to_begin_[first_];
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    BeginPart(slot, number);
    if (AllBegun(ops_[number])) {
      first_ = first_ + 1 == to_begin_.size() ? 0 : first_ + 1;
      --count_;
    }
  }
}

void S3ReadQueue::BeginPart(std::uint32_t slot, std::uint32_t number) {
  Op& op = ops_[number];
  const bool asks_size =
      op.asked.kind == ReadOp::Kind::kSize || op.asked.buffer.empty();
  Part& part = parts_[slot];
  part = {.op = number, .offset = op.asked.offset + op.begun, .bytes = 0};
  S3Call call{.key = objects_.Get(op.asked.object).key, .doing = "read"};
  if (asks_size) {
    call.method = HttpMethod::kHead;
    op.begun = std::max<std::uint64_t>(1, op.asked.buffer.size());
  } else {
    part.bytes = std::min<std::uint64_t>(shared_.settings().range_bytes,
                                         op.asked.buffer.size() - op.begun);
    call.range_first = part.offset;
    call.range_bytes = part.bytes;
    call.into = op.asked.buffer.subspan(op.begun, part.bytes);
    op.begun += part.bytes;
  }
  ++op.parts;
  engine_->Start(slot, call);
}

core::Result<std::uint64_t> S3ReadQueue::SizeOf(const HttpAnswer& answer,
                                                S3Object& object,
                                                std::string_view key) const {
  STOKER_TRY(object.CheckVersion(answer.etag));
  if (!answer.content_length.has_value()) {
    return Damaged(key, "the server did not tell its size");
  }
  return *answer.content_length;
}

// How many bytes the answer gave, which must be all there are of those asked.
core::Result<std::uint64_t> S3ReadQueue::BytesOf(const Part& part,
                                                 const HttpAnswer& answer,
                                                 S3Object& object) const {
  if (answer.status == 416) {
    return std::uint64_t{0};
  }
  STOKER_TRY(object.CheckVersion(answer.etag));
  if (answer.status == 200) {
    // The whole object, by a server that takes no ranges.
    if (part.offset == 0 && answer.content_length == answer.bytes) {
      return answer.bytes;
    }
    return Damaged(object.key, "the server did not honour the range");
  }
  STOKER_ASSIGN(const ContentRange range,
                ParseContentRange(answer.content_range));
  const std::uint64_t left = range.total - std::min(range.total, part.offset);
  const std::uint64_t expected = std::min(part.bytes, left);
  if (range.first != part.offset || range.bytes != expected ||
      answer.bytes != expected) {
    return Damaged(
        object.key,
        fmt::format("asked for {} bytes from offset {}, got {} of '{}'",
                    part.bytes, part.offset, answer.bytes,
                    answer.content_range));
  }
  return expected;
}

void S3ReadQueue::EndPart(std::uint32_t slot) {
  const Part part = parts_[slot];
  Op& op = ops_[part.op];
  S3Object& object = objects_.Get(op.asked.object);
  const HttpAnswer& http = engine_->HttpAnswerOf(slot);
  core::Status status = engine_->AnswerOf(slot).status;
  if (status.ok()) {
    const bool is_size = op.asked.kind == ReadOp::Kind::kSize;
    const core::Result<std::uint64_t> bytes =
        part.bytes == 0 ? SizeOf(http, object, object.key)
                        : BytesOf(part, http, object);
    if (!bytes.ok()) {
      status = bytes.status();
    } else if (is_size || part.bytes > 0) {
      op.got += bytes.value();
      op.version = is_size ? core::Fnv1a64(http.etag) : 0;
    }
  }
  if (op.status.ok() && !status.ok()) {
    op.status = std::move(status);
  }
  if (op.first_byte == core::TimePoint{} ||
      (http.first_byte != core::TimePoint{} &&
       http.first_byte < op.first_byte)) {
    op.first_byte = http.first_byte;
  }
  free_.push_back(slot);
  --op.parts;
  if (op.parts == 0 && AllBegun(op)) {
    done_.Push({.tag = part.op,
                .status = std::move(op.status),
                .bytes = op.got,
                .first_byte = op.first_byte,
                .version = op.version});
  }
}

void S3ReadQueue::TakeEnded() {
  const std::size_t count = engine_->TakeEnded(ended_);
  for (std::size_t i = 0; i < count; ++i) {
    EndPart(ended_[i]);
  }
  Begin();
}

core::Result<std::size_t> S3ReadQueue::DoReap(std::span<ReadDone> done,
                                              std::size_t at_least,
                                              core::TimePoint deadline) {
  STOKER_TRY(broken_);
  std::size_t count = 0;
  // Looks at what has arrived even where nothing is waited for.
  core::Nanos longest{0};
  if (done_.size() < at_least) {
    longest = TimeLeft(clock(), deadline).value_or(kLong);
  }
  while (true) {
    broken_ = engine_->Progress(longest);
    STOKER_TRY(broken_);
    TakeEnded();
    count += done_.Pop(done.subspan(count));
    if (engine_->TakeWoken() || count >= at_least) {
      return count;
    }
    longest = TimeLeft(clock(), deadline).value_or(kLong);
    if (longest == core::Nanos{0}) {
      return count;
    }
  }
}

}  // namespace stoker::storage::internal
