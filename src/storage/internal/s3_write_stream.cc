#include "storage/internal/s3_write_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "core/units.h"
#include "storage/internal/lent_engine.h"
#include "storage/internal/s3_xml.h"

namespace stoker::storage::internal {

namespace {

using core::Status;

constexpr std::uint64_t kMostParts = 10'000;
constexpr std::size_t kPage = 4096;

std::size_t RoundUp(std::uint64_t bytes, std::size_t unit) {
  return static_cast<std::size_t>((bytes + unit - 1) / unit * unit);
}

std::span<const std::byte> BytesOfText(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

void S3WriteStream::Gathered::Add(std::size_t size) {
  slices.push_back({.at = used, .bytes = size});
  bytes += size;
  used += RoundUp(size, kPage);
}

std::span<const std::byte> S3WriteStream::Gathered::Packed() {
  std::size_t end = 0;
  for (Slice& slice : slices) {
    if (slice.at != end) {
      std::memmove(memory.data() + end, memory.data() + slice.at, slice.bytes);
      slice.at = end;
    }
    end += slice.bytes;
  }
  return memory.first(end);
}

core::Result<std::unique_ptr<WriteStream>> S3WriteStream::Make(
    S3Shared& shared, std::string key, std::shared_ptr<PartPool> pool,
    const WriteOptions& options, core::Clock& clock) {
  if (options.expected_size > kMostParts * kLargestS3Part) {
    return Status(core::Code::kInvalidArgument,
                  fmt::format("create {}: {} bytes are more than S3 takes of "
                              "an object",
                              key, options.expected_size));
  }
  return std::unique_ptr<WriteStream>(new S3WriteStream(
      shared, std::move(key), std::move(pool), options, clock));
}

S3WriteStream::S3WriteStream(S3Shared& shared, std::string key,
                             std::shared_ptr<PartPool> pool,
                             const WriteOptions& options, core::Clock& clock)
    : WriteStream(options, clock),
      shared_(shared),
      key_(std::move(key)),
      pool_(std::move(pool)) {
  const S3Settings& settings = shared.settings();
  const std::size_t slice = SliceBytes(false);
  const std::uint64_t expected = options.expected_size;
  // Room for the parts' number to stay below the limit with a part cut short.
  const std::uint64_t needed = expected / (kMostParts / 2);
  // A slice more, so that S3's part is full before the memory is.
  std::uint64_t wanted = std::max(settings.part_bytes, needed);
  if (expected > 0) {
    wanted = std::min(wanted, expected + SliceBytes(true));
  }
  gather_bytes_ = RoundUp(wanted, slice) + slice;
  const std::uint64_t allowed =
      std::uint64_t{options.in_flight} * slice / gather_bytes_;
  uploads_ = static_cast<std::size_t>(
      std::clamp<std::uint64_t>(allowed, 1, settings.uploads));
}

S3WriteStream::~S3WriteStream() {
  sender_.reset();
  if (!committed_ && !upload_id_.empty()) {
    Abort();
  }
  pool_->Give(std::move(own_memory_));
  pool_->Give(std::move(first_memory_));
}

std::size_t S3WriteStream::SliceBytes(bool kept_back) const {
  return PartSize(options(), kept_back);
}

core::Result<std::span<std::byte>> S3WriteStream::DoBuffer(
    std::uint64_t offset) {
  const std::size_t slice = SliceBytes(IsKeptBack(offset));
  if (offset > 0 && KeepsFirst() && current_.slices.empty()) {
    // What is kept back is full, but comes last.
    current_.Add(SliceBytes(true));
  }
  if (!current_.memory.empty() &&
      current_.used + slice > current_.memory.size()) {
    STOKER_TRY(SendGathered());
  }
  if (current_.memory.empty()) {
    STOKER_TRY(TakeMemory());
  }
  return current_.memory.subspan(current_.used, slice);
}

// Whether what is gathered now begins with what is kept back.
bool S3WriteStream::KeepsFirst() const { return IsKeptBack(0) && index_ == 0; }

Status S3WriteStream::TakeMemory() {
  const bool is_first = index_ == 0;
  if (options().in_flight > 0 && !is_first) {
    STOKER_ASSIGN(const std::span<std::byte> memory, Sender().Take());
    current_ = {.memory = memory, .slices = {}};
    return {};
  }
  core::AlignedBuffer& own = KeepsFirst() ? first_memory_ : own_memory_;
  if (own.size() == 0) {
    STOKER_ASSIGN(own, pool_->Take(gather_bytes_));
  }
  current_ = {.memory = own.bytes(), .slices = {}};
  return {};
}

PartSender& S3WriteStream::Sender() {
  if (!sender_.has_value()) {
    sender_.emplace(
        PartSender::Setup{.parts = uploads_ + 1,
                          .part_size = gather_bytes_,
                          .threads = uploads_},
        pool_, clock(),
        [this](std::uint64_t index, std::span<const std::byte> part) {
          return SendPart(index, part);
        });
  }
  return *sender_;
}

// `part` lies where DoBuffer said.
Status S3WriteStream::DoSend(std::uint64_t offset,
                             std::span<const std::byte> part) {
  Gathered& holder = IsKeptBack(offset) && first_ ? *first_ : current_;
  if (!IsKeptBack(offset) || holder.slices.empty()) {
    holder.Add(part.size());
  }
  return {};
}

Status S3WriteStream::SendGathered() {
  if (current_.bytes < kSmallestS3Part) {
    // Cut parts left gaps, and S3 wants more in one.
    current_.used = RoundUp(current_.Packed().size(), kPage);
    if (current_.used + SliceBytes(false) <= current_.memory.size()) {
      return {};
    }
    return {core::Code::kInvalidArgument,
            fmt::format("write {}: more than the {} bytes that were expected",
                        key_, options().expected_size)};
  }
  const std::uint64_t index = index_++;
  if (index == 0 && IsKeptBack(0)) {
    first_ = std::exchange(current_, {});
    return {};
  }
  if (upload_id_.empty()) {
    STOKER_TRY(StartUpload());
  }
  Gathered full = std::exchange(current_, {});
  return options().in_flight > 0 ? Sender().Send(index, full.Packed())
                                 : SendPart(index, full.Packed());
}

Status S3WriteStream::StartUpload() {
  STOKER_ASSIGN(const LentEngine engine, LentEngine::Take(shared_, clock()));
  STOKER_TRY(engine->Do({.method = HttpMethod::kPost,
                         .key = key_,
                         .query = "uploads=",
                         .doing = "start the upload of"}));
  auto id = ParseUploadId(engine->HttpAnswerOf(0).text);
  STOKER_TRY(id.status().WithContext("start the upload of " + key_));
  upload_id_ = std::move(id).value();
  return {};
}

Status S3WriteStream::SendPart(std::uint64_t index,
                               std::span<const std::byte> part) {
  if (index >= kMostParts) {
    return {core::Code::kInvalidArgument,
            fmt::format("write {}: S3 takes no more than {} parts of an "
                        "object; give the back end a larger part=",
                        key_, kMostParts)};
  }
  STOKER_ASSIGN(const LentEngine engine, LentEngine::Take(shared_, clock()));
  const std::string query = EncodeQuery(
      {{"partNumber", fmt::to_string(index + 1)}, {"uploadId", upload_id_}});
  STOKER_TRY(engine->Do({.method = HttpMethod::kPut,
                         .key = key_,
                         .query = query,
                         .body = part,
                         .doing = "write a part of"}));
  const std::string& etag = engine->HttpAnswerOf(0).etag;
  if (etag.empty()) {
    return {core::Code::kCorruption,
            fmt::format("write a part of {}: the server gave no ETag", key_)};
  }
  const std::scoped_lock lock(mutex_);
  if (etags_.size() <= index) {
    etags_.resize(index + 1);
  }
  etags_[index] = etag;
  return {};
}

Status S3WriteStream::Drain(WriteTimes& times) {
  if (!sender_.has_value() || !sender_->started()) {
    return {};
  }
  const Status status = sender_->Drain();
  CountFlight(sender_->idle(), sender_->waited());
  times.last = sender_->last_end();
  return status;
}

Status S3WriteStream::PutWhole() {
  STOKER_ASSIGN(const LentEngine engine, LentEngine::Take(shared_, clock()));
  Gathered& all = first_.has_value() ? *first_ : current_;
  return engine->Do({.method = HttpMethod::kPut,
                     .key = key_,
                     .body = all.Packed(),
                     .doing = "write"});
}

Status S3WriteStream::Complete(std::uint64_t size) {
  const std::string body = CompleteUploadBody(etags_);
  const std::string query = EncodeQuery({{"uploadId", upload_id_}});
  STOKER_ASSIGN(const LentEngine engine, LentEngine::Take(shared_, clock()));
  const Status done = engine->Do({.method = HttpMethod::kPost,
                                  .key = key_,
                                  .query = query,
                                  .body = BytesOfText(body),
                                  .doing = "complete the upload of"});
  const std::string answer = engine->HttpAnswerOf(0).text;
  // Such an answer may be 200 and an error nevertheless.
  const S3Error error = ParseS3Error(answer);
  if (done.ok() && error.code.empty()) {
    return {};
  }
  if (error.code == "NoSuchUpload") {
    // Perhaps an earlier try arrived and only its answer was lost.
    const std::string expected = ETagOfUpload(etags_);
    const Status looked = engine->Do(
        {.method = HttpMethod::kHead, .key = key_, .doing = "look at"});
    const HttpAnswer& found = engine->HttpAnswerOf(0);
    if (looked.ok() && !expected.empty() && found.content_length == size &&
        found.etag.find(expected) != std::string::npos) {
      return {};
    }
  }
  if (!done.ok()) {
    return done;
  }
  return {core::Code::kIoError, fmt::format("complete the upload of {}: {} {}",
                                            key_, error.code, error.message)};
}

Status S3WriteStream::DoCommit(std::uint64_t size, WriteTimes& times) {
  const bool whole =
      upload_id_.empty() && (!first_.has_value() || current_.bytes == 0);
  if (whole) {
    STOKER_TRY(PutWhole());
  } else {
    if (upload_id_.empty()) {
      STOKER_TRY(StartUpload());
    }
    if (current_.bytes > 0) {
      STOKER_TRY(SendPart(index_, current_.Packed()));
    }
    STOKER_TRY(Drain(times));
    if (first_.has_value()) {
      STOKER_TRY(SendPart(0, first_->Packed()));
    }
    if (!sender_.has_value() || !sender_->started()) {
      times.last = clock().Now();
    }
    STOKER_TRY(Complete(size));
  }
  committed_ = true;
  if (options().durable) {
    times.synced = clock().Now();
  }
  return {};
}

// What is left on the server costs room until it is taken back; if that fails
// here, `stoker s3 cleanup` does it.
void S3WriteStream::Abort() {
  auto engine = LentEngine::Take(shared_, clock());
  if (engine.ok()) {
    const std::string query = EncodeQuery({{"uploadId", upload_id_}});
    static_cast<void>(engine.value()->Do({.method = HttpMethod::kDelete,
                                          .key = key_,
                                          .query = query,
                                          .doing = "take back"}));
  }
}

}  // namespace stoker::storage::internal
