#include "formats/synthetic_format.h"

#include <span>
#include <string>

namespace stoker::formats {
namespace {

class SyntheticReader final : public ReaderProgram {
 public:
  void Reset(const FileSpec& file, std::uint32_t sample,
             std::string_view) override {
    bytes_ = file.sample_bytes();
    sample_ = sample;
  }
  core::Result<Next> Step(const Event& event) override {
    if (event.kind == Event::Kind::kStart) {
      return Next{.kind = Next::Kind::kSampleReady,
                  .payload = bytes_,
                  .sample = sample_};
    }
    return Next{.kind = Next::Kind::kFileDone};
  }
  std::uint64_t MaxRequest(const FileSpec&) const override { return 0; }

 private:
  std::uint64_t bytes_ = 0;
  std::uint32_t sample_ = 0;
};

}  // namespace

std::uint64_t SyntheticFormat::FileBytes(const FileSpec& file) const {
  std::uint64_t digits = 1;
  for (std::uint64_t rest = file.index; rest >= 10; rest /= 10) {
    ++digits;
  }
  return digits;
}

core::Status SyntheticFormat::Encode(const FileSpec& file, PayloadSource&,
                                     storage::WriteStream& out) const {
  const std::string text = std::to_string(file.index);
  return out.Write(std::as_bytes(std::span(text)));
}

std::unique_ptr<ReaderProgram> SyntheticFormat::NewReader(
    const ReaderOptions&) const {
  return std::make_unique<SyntheticReader>();
}

}  // namespace stoker::formats
