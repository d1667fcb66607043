#include "formats/whole_file.h"

#include <algorithm>
#include <utility>

#include "core/pages.h"
#include "formats/range_reader.h"

namespace stoker::formats {
WholeFileReader::WholeFileReader(const ReaderOptions& options,
                                 const Format& format,
                                 std::uint64_t reference_max,
                                 std::unique_ptr<FileContent> content)
    : options_(options),
      format_(format),
      reference_max_(std::max<std::uint64_t>(reference_max, options.unit)),
      content_(std::move(content)),
      file_(options.unit) {}

void WholeFileReader::Reset(const FileSpec& file, std::uint32_t sample,
                            std::string_view name) {
  name_ = name;
  sample_ = sample;
  planned_ = format_.FileBytes(file);
  size_ = position_ = 0;
  asked_ = {};
  file_ = BufferedFile(options_.unit);
  last_ = {};
  raw_ = false;
  span_ = {};
  span_offset_ = 0;
  begun_ = content_->Begin(file, sample, planned_);
}

std::uint64_t WholeFileReader::MaxRequest(const FileSpec& file) const {
  switch (options_.style) {
    case Style::kReference:
      return reference_max_;
    case Style::kDirect:
      return core::PagesUp(format_.FileBytes(file));
    case Style::kLarge:
    case Style::kSample:
      break;
  }
  return options_.request > 0 ? options_.request : format_.FileBytes(file);
}

bool WholeFileReader::needs_size() const {
  return options_.style == Style::kDirect ||
         (options_.style != Style::kReference && options_.request == 0);
}

core::Result<ReaderProgram::Next> WholeFileReader::Step(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kStart:
      if (!begun_.ok()) {
        return begun_.WithContext(name_);
      }
      if (needs_size()) {
        return Next{.kind = Next::Kind::kSize};
      }
      return options_.style == Style::kReference ? Advance()
                                                 : Read(0, options_.request);
    case Event::Kind::kSize:
      return TakeSize(event.size);
    case Event::Kind::kBytes:
      if (needs_size()) {
        return TakeWhole(event.bytes);
      }
      return options_.style == Style::kReference ? TakeAnswer(event.bytes)
                                                 : TakeRequest(event.bytes);
    case Event::Kind::kResume:
      break;
  }
  return Next{.kind = Next::Kind::kFileDone};
}

core::Result<ReaderProgram::Next> WholeFileReader::Read(std::uint64_t offset,
                                                        std::uint64_t length) {
  asked_ = {offset, length};
  return Next{.kind = Next::Kind::kRead, .offset = offset, .length = length};
}

std::uint64_t WholeFileReader::Arrived(std::span<const std::byte> bytes) const {
  return options_.blind ? std::min(asked_.length,
                                   planned_ - std::min(planned_, asked_.offset))
                        : bytes.size();
}

core::Result<ReaderProgram::Next> WholeFileReader::End(std::uint64_t size) {
  if (!options_.blind) {
    const core::Status status = content_->Finish(size);
    if (!status.ok()) {
      return status.WithContext(name_);
    }
  }
  return Next{.kind = Next::Kind::kSampleReady,
              .payload = content_->payload(),
              .sample = sample_};
}

core::Result<ReaderProgram::Next> WholeFileReader::TakeSize(
    std::uint64_t size) {
  size_ = options_.blind ? planned_ : size;
  const core::Status status = CheckNotLarger(size_, planned_);
  if (!status.ok()) {
    return status.WithContext(name_);
  }
  if (size_ == 0) {
    return End(0);
  }
  return Read(0,
              options_.style == Style::kDirect ? core::PagesUp(size_) : size_);
}

core::Result<ReaderProgram::Next> WholeFileReader::TakeWhole(
    std::span<const std::byte> bytes) {
  core::Status status =
      CheckOneRead(Arrived(bytes), size_, options_.style == Style::kDirect);
  if (status.ok() && !options_.blind) {
    status = content_->Take(0, bytes);
  }
  if (!status.ok()) {
    return status.WithContext(name_);
  }
  return End(size_);
}

core::Result<ReaderProgram::Next> WholeFileReader::TakeRequest(
    std::span<const std::byte> bytes) {
  const std::uint64_t arrived = Arrived(bytes);
  if (!options_.blind && arrived > 0) {
    const core::Status status = content_->Take(position_, bytes);
    if (!status.ok()) {
      return status.WithContext(name_);
    }
  }
  position_ += arrived;
  const bool ended =
      arrived < asked_.length ||
      (position_ == planned_ && (options_.blind || content_->MayEnd()));
  return ended ? End(position_) : Read(position_, options_.request);
}

core::Result<ReaderProgram::Next> WholeFileReader::TakeAnswer(
    std::span<const std::byte> bytes) {
  const std::uint64_t arrived = Arrived(bytes);
  span_ = bytes;
  span_offset_ = asked_.offset;
  if (raw_) {
    file_.SeekAway(asked_.offset + arrived);
  } else {
    file_.Got(arrived);
  }
  return Advance();
}

core::Result<ReaderProgram::Next> WholeFileReader::Advance() {
  while (true) {
    const core::Status status = Deliver();
    if (!status.ok()) {
      return status.WithContext(name_);
    }
    if (const BufferedFile::RawRead raw = file_.Pending(); raw.length > 0) {
      return Read(raw.offset, raw.length);
    }
    if (!BeginAsk()) {
      return End(position_);
    }
    if (raw_) {
      return Read(file_.position(), last_.asked);
    }
  }
}

// False: there is nothing more to ask.
bool WholeFileReader::BeginAsk() {
  last_.got = file_.position() - last_.position;
  last_.position = file_.position();
  last_.at_planned_end =
      last_.position == planned_ && (options_.blind || content_->MayEnd());
  const FileAsk ask = content_->NextAsk(last_);
  last_.asked = ask.bytes;
  raw_ = ask.kind == FileAsk::Kind::kRaw;
  switch (ask.kind) {
    case FileAsk::Kind::kRead:
      file_.BeginRead(ask.bytes);
      return true;
    case FileAsk::Kind::kRaw:
      return true;
    case FileAsk::Kind::kRewind:
      file_.SeekTo(0);
      last_ = {};
      return true;
    case FileAsk::Kind::kEnd:
      break;
  }
  return false;
}

// What the file object has handed out since: once, whatever was read again.
core::Status WholeFileReader::Deliver() {
  const std::uint64_t end = file_.position();
  if (end <= position_) {
    return {};
  }
  const std::uint64_t begin = std::exchange(position_, end);
  if (options_.blind) {
    content_->Skip(end - begin);
    return {};
  }
  return content_->Take(begin,
                        span_.subspan(begin - span_offset_, end - begin));
}

}  // namespace stoker::formats
