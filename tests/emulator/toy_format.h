#pragma once

// A file format with everything a loader may meet: samples that lie at computed
// places, an index beside each file, a direct mode, mapped files.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/format.h"
#include "storage/backend.h"

namespace stoker::emulator::testing {

// Byte `offset` of sample `sample` of file `file`.
inline std::byte ToyByte(std::uint64_t file, std::uint64_t sample,
                         std::uint64_t offset) {
  return static_cast<std::byte>(file * 37 + sample * 101 + offset % 251);
}

// Reads as the options' style says and looks at every byte of the sample.
class ToyReader final : public formats::ReaderProgram {
 public:
  explicit ToyReader(const formats::ReaderOptions& options)
      : options_(options) {}

  void Reset(const formats::FileSpec& file, std::uint32_t sample,
             std::string_view name) override {
    file_ = file;
    sample_ = sample;
    name_ = name;
    const bool one = options_.style == formats::ReaderOptions::Style::kSample;
    next_ = one ? sample * file.sample_bytes() : 0;
    end_ =
        one ? next_ + file.sample_bytes() : file.samples * file.sample_bytes();
  }

  core::Result<Next> Step(const Event& event) override {
    if (event.kind == Event::Kind::kResume) {
      return Next{.kind = Next::Kind::kFileDone};
    }
    if (event.kind == Event::Kind::kBytes) {
      STOKER_TRY(Take(event.bytes));
    }
    if (next_ >= end_) {
      return Next{.kind = Next::Kind::kSampleReady,
                  .payload = file_.sample_bytes(),
                  .sample = sample_};
    }
    // To the next multiple of the request, or all at once.
    asked_ = std::min(end_, (next_ / options_.request + 1) * options_.request) -
             next_;
    if (options_.style == formats::ReaderOptions::Style::kDirect) {
      asked_ = (end_ + 4095) / 4096 * 4096;
    }
    return Next{.kind = Next::Kind::kRead, .offset = next_, .length = asked_};
  }

  std::uint64_t MaxRequest(const formats::FileSpec& file) const override {
    return options_.style == formats::ReaderOptions::Style::kDirect
               ? (file.samples * file.sample_bytes() + 4095) / 4096 * 4096
               : options_.request;
  }

 private:
  core::Status Take(std::span<const std::byte> bytes) {
    const std::uint64_t expected = std::min(asked_, end_ - next_);
    if (!options_.blind && bytes.size() != expected) {
      return Corrupt("length " + std::to_string(bytes.size()));
    }
    for (std::uint64_t i = 0; !options_.blind && i < expected; ++i) {
      const std::uint64_t at = next_ + i;
      if (bytes[i] != ToyByte(file_.index, at / file_.sample_bytes(),
                              at % file_.sample_bytes())) {
        return Corrupt("byte " + std::to_string(at));
      }
    }
    next_ += expected;
    return {};
  }
  core::Status Corrupt(const std::string& what) const {
    return {core::Code::kCorruption, std::string(name_) + ": " + what};
  }

  formats::ReaderOptions options_;
  formats::FileSpec file_;
  std::uint32_t sample_ = 0;
  std::string_view name_;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t asked_ = 0;
};

class ToyFormat : public formats::Format {
 public:
  std::string_view name() const override { return "toy"; }
  std::string_view suffix() const override { return ".toy"; }
  std::uint64_t FileBytes(const formats::FileSpec& file) const override {
    return file.samples * file.sample_bytes();
  }
  bool streams_samples() const override { return false; }
  bool Supports(formats::ReaderOptions::Style) const override { return true; }
  core::Status Encode(const formats::FileSpec& file,
                      formats::PayloadSource& /*payload*/,
                      storage::WriteStream& out) const override {
    std::vector<std::byte> bytes;
    for (std::uint64_t sample = 0; sample < file.samples; ++sample) {
      for (std::uint64_t i = 0; i < file.sample_bytes(); ++i) {
        bytes.push_back(ToyByte(file.index, sample, i));
      }
    }
    return out.Write(bytes);
  }
  std::unique_ptr<formats::ReaderProgram> NewReader(
      const formats::ReaderOptions& options) const override {
    return std::make_unique<ToyReader>(options);
  }
};

// With two index files of eight bytes a sample, and mapped files.
class IndexedToyFormat final : public ToyFormat {
 public:
  bool maps_files() const override { return true; }
  std::span<const std::string_view> sidecars() const override {
    static constexpr std::array<std::string_view, 2> kNames{".off.idx",
                                                            ".sz.idx"};
    return kNames;
  }
  std::uint64_t SidecarBytes(const formats::FileSpec& file,
                             std::size_t /*which*/) const override {
    return std::uint64_t{8} * file.samples;
  }
  core::Status EncodeSidecar(const formats::FileSpec& file, std::size_t which,
                             storage::WriteStream& out) const override {
    return out.Write(std::vector<std::byte>(SidecarBytes(file, which)));
  }
};

}  // namespace stoker::emulator::testing
