#include "formats/range_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/pages.h"

namespace stoker::formats {

using core::PagesDown;
using core::PagesUp;

core::Status CheckNotLarger(std::uint64_t found, std::uint64_t planned) {
  if (found <= planned) {
    return {};
  }
  return {core::Code::kCorruption,
          fmt::format("expected a file of {} bytes, found {}", planned, found)};
}

core::Status CheckOneRead(std::uint64_t found, std::uint64_t size,
                          bool direct) {
  if (found == size) {
    return {};
  }
  return {core::Code::kCorruption,
          fmt::format("expected {} bytes at offset 0 from one {}read, as the "
                      "file's size says, but it ends after {}",
                      size, direct ? "direct " : "", found)};
}

core::Status EndsEarly(std::uint64_t offset, std::uint64_t wanted,
                       std::uint64_t found) {
  return {core::Code::kCorruption,
          fmt::format("at offset {}: expected {} bytes, but the file ends "
                      "after {}",
                      offset, wanted, found)};
}

RangeReader::RangeReader(const ReaderOptions& options, RangeRule rule,
                         std::uint64_t request,
                         std::unique_ptr<RangeContent> content)
    : rule_(rule),
      blind_(options.blind),
      request_(request),
      content_(std::move(content)) {}

void RangeReader::Reset(const FileSpec& file, std::uint32_t sample,
                        std::string_view name) {
  name_ = name;
  file_ = file;
  sample_ = sample;
  content_->Reset(file, sample);
}

std::uint64_t RangeReader::MaxRequest(const FileSpec& file) const {
  if (rule_ == RangeRule::kFileAtOnce) {
    return PagesUp(content_->FileBytes(file));
  }
  if (rule_ == RangeRule::kFile) {
    // A larger file than planned is read, too, in requests.
    return request_ == 0 ? content_->FileBytes(file) : request_;
  }
  const RangeContent::Extent extent = content_->ExtentOf(file, 0);
  std::uint64_t bytes = extent.end - extent.begin;
  if (rule_ == RangeRule::kSamplePages) {
    // Wherever in a page it begins.
    bytes = PagesUp(bytes + core::kPageBytes - 1);
  }
  return request_ == 0 ? bytes : std::min(bytes, request_);
}

bool RangeReader::reads_file() const {
  return rule_ == RangeRule::kFile || rule_ == RangeRule::kFileAtOnce;
}

core::Result<ReaderProgram::Next> RangeReader::Step(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kStart:
      return reads_file() ? Next{.kind = Next::Kind::kSize} : BeginSample();
    case Event::Kind::kSize:
      return TakeSize(event.size);
    case Event::Kind::kBytes:
      if (!blind_) {
        const core::Status status = TakeBytes(event.bytes);
        if (!status.ok()) {
          return status.WithContext(name_);
        }
      }
      at_ += asked_;
      return at_ < end_ ? Ask() : Deliver();
    case Event::Kind::kResume:
      break;
  }
  return Next{.kind = Next::Kind::kFileDone};
}

core::Result<ReaderProgram::Next> RangeReader::TakeSize(std::uint64_t size) {
  if (blind_) {
    return BeginFile(content_->FileBytes(file_));
  }
  core::Status status = content_->TakeSize(size);
  if (status.ok() && (request_ == 0 || rule_ == RangeRule::kFileAtOnce)) {
    status = CheckNotLarger(size, content_->FileBytes(file_));
  }
  if (!status.ok()) {
    return status.WithContext(name_);
  }
  return BeginFile(size);
}

ReaderProgram::Next RangeReader::BeginFile(std::uint64_t size) {
  STOKER_CHECK(size > 0);
  at_ = 0;
  needed_end_ = size;
  end_ = rule_ == RangeRule::kFileAtOnce ? PagesUp(size) : size;
  return Ask();
}

ReaderProgram::Next RangeReader::BeginSample() {
  const RangeContent::Extent extent = content_->ExtentOf(file_, sample_);
  const bool pages = rule_ == RangeRule::kSamplePages;
  at_ = pages ? PagesDown(extent.begin) : extent.begin;
  needed_end_ = extent.end;
  end_ = pages ? PagesUp(extent.end) : extent.end;
  return Ask();
}

ReaderProgram::Next RangeReader::Ask() {
  asked_ = end_ - at_;
  if (request_ > 0 && rule_ != RangeRule::kFileAtOnce) {
    const std::uint64_t cut =
        rule_ == RangeRule::kSampleExactly ? 0 : at_ % request_;
    asked_ = std::min(asked_, request_ - cut);
  }
  return {.kind = Next::Kind::kRead, .offset = at_, .length = asked_};
}

core::Status RangeReader::TakeBytes(std::span<const std::byte> bytes) {
  if (rule_ == RangeRule::kFileAtOnce) {
    STOKER_TRY(CheckOneRead(bytes.size(), needed_end_, /*direct=*/true));
  }
  const std::uint64_t needed =
      std::min(asked_, needed_end_ - std::min(needed_end_, at_));
  if (bytes.size() < needed) {
    return EndsEarly(at_, needed, bytes.size());
  }
  return content_->Take(at_, bytes);
}

core::Result<ReaderProgram::Next> RangeReader::Deliver() {
  std::uint64_t payload = file_.sample_bytes();
  if (!blind_) {
    const core::Result<std::uint64_t> finished = content_->Finish();
    if (!finished.ok()) {
      return finished.status().WithContext(name_);
    }
    payload = finished.value();
  }
  return Next{
      .kind = Next::Kind::kSampleReady, .payload = payload, .sample = sample_};
}

std::unique_ptr<ReaderProgram> NewRangeReader(
    const ReaderOptions& options, std::unique_ptr<RangeContent> content) {
  using Style = ReaderOptions::Style;
  STOKER_CHECK(options.style != Style::kReference);
  const RangeRule rule = options.style == Style::kLarge ? RangeRule::kFile
                         : options.style == Style::kDirect
                             ? RangeRule::kFileAtOnce
                             : RangeRule::kSamplePages;
  return std::make_unique<RangeReader>(options, rule, options.request,
                                       std::move(content));
}

}  // namespace stoker::formats
