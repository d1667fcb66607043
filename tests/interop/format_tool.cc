// Encodes files and plays readers for the scripts of this folder, which compare
// the results with other implementations.
//
//   encode <format> <path> <file> <rows> <columns> <samples> <edge> [<bytes>]
//   ends   <rows> <columns> <samples>
//   sidecar <format> <path> <file> <rows> <columns> <samples> <edge> <which>
//   read   <format> <path> <file> <rows> <columns> <samples> <edge>
//          <reference|large|sample|direct> <unit> <request> <sample>
//          <expect|trust> [<bytes>]
//   index  <rows> <columns> <samples> <edge>
//
// <bytes> are those of a jpeg or png file. <edge> is that of a chunk for hdf5
// (0: contiguous), else the nominal edge.
// `ends` prints, in hexadecimal, an npz file of zeros without its payload.
// `read` prints one line per read: offset, bytes asked, bytes received; and one
// per sample: "sample <index> <bytes>".

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "core/text.h"
#include "formats/registry.h"
#include "formats/tfrecord_format.h"
#include "tests/formats/format_harness.h"

namespace stoker {
namespace {

using Arguments = std::vector<std::string>;

std::uint64_t Number(const std::string& text) {
  const core::Result<std::int64_t> number = core::ParseInt(text);
  STOKER_CHECK(number.ok());
  return static_cast<std::uint64_t>(number.value());
}

std::uint32_t Small(const std::string& text) {
  return static_cast<std::uint32_t>(Number(text));
}

const formats::Format& Find(const std::string& name) {
  const core::Result<const formats::Format*> format = formats::FindFormat(name);
  STOKER_CHECK(format.ok());
  return *format.value();
}

formats::FileSpec Spec(const Arguments& arguments, std::size_t at) {
  const bool hdf5 = arguments.at(1) == "hdf5";
  const std::uint32_t edge = Small(arguments.at(at + 4));
  return {.index = Number(arguments.at(at)),
          .samples = Small(arguments.at(at + 3)),
          .rows = Small(arguments.at(at + 1)),
          .columns = Small(arguments.at(at + 2)),
          .nominal_edge = hdf5 ? 1 : edge,
          .chunk_edge = hdf5 ? edge : 0};
}

bool Save(const testing::File& file, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(file.data()),
            static_cast<std::streamsize>(file.size()));
  return out.good();
}

// With the argument `at`, where there is one, as the file's bytes.
formats::FileSpec WithBytes(formats::FileSpec spec, const Arguments& arguments,
                            std::size_t at) {
  if (arguments.size() > at) {
    spec.record_bytes = Number(arguments[at]);
  }
  return spec;
}

formats::ReaderOptions::Style StyleOf(const std::string& name) {
  using Style = formats::ReaderOptions::Style;
  if (name == "large") {
    return Style::kLarge;
  }
  if (name == "sample") {
    return Style::kSample;
  }
  STOKER_CHECK(name == "reference" || name == "direct");
  return name == "direct" ? Style::kDirect : Style::kReference;
}

int RunEncode(const Arguments& arguments) {
  const testing::File file =
      testing::Encode(Find(arguments.at(1)),
                      WithBytes(Spec(arguments, 3), arguments, 8), 65536);
  return Save(file, arguments.at(2)) ? 0 : 1;
}

int RunSidecar(const Arguments& arguments) {
  const testing::File file = testing::EncodeSidecar(
      Find(arguments.at(1)), Spec(arguments, 3), Number(arguments.at(8)));
  return Save(file, arguments.at(2)) ? 0 : 1;
}

class ZeroPayload final : public formats::PayloadSource {
 public:
  void Fill(std::uint64_t, std::uint32_t, std::uint64_t,
            std::span<std::byte> out) override {
    std::ranges::fill(out, std::byte{0});
  }
};

// Keeps the first part and the last two.
class EndsStream final : public storage::WriteStream {
 public:
  explicit EndsStream(core::Clock& clock)
      : WriteStream({.part_size = 8U << 20}, clock) {}
  std::vector<std::byte> first, before_last, last;

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    if (offset == 0) {
      first.resize(options().part_size);
      return std::span(first);
    }
    before_last.swap(last);
    last.resize(options().part_size);
    return std::span(last);
  }
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    if (offset != 0) {
      last.resize(part.size());
    }
    return {};
  }
  core::Status DoCommit(std::uint64_t, storage::WriteTimes&) override {
    return {};
  }
};

int RunEnds(const Arguments& arguments) {
  const formats::FileSpec spec{.samples = Small(arguments.at(3)),
                               .rows = Small(arguments.at(1)),
                               .columns = Small(arguments.at(2))};
  const formats::Format& npz = Find("npz");
  core::SystemClock clock;
  ZeroPayload payload;
  EndsStream out(clock);
  STOKER_CHECK(npz.Encode(spec, payload, out).ok());
  STOKER_CHECK(out.Commit().ok());
  STOKER_CHECK(out.position() == npz.FileBytes(spec));
  std::vector<std::byte> tail = out.before_last;
  tail.insert(tail.end(), out.last.begin(), out.last.end());
  constexpr std::size_t kHead = 183;
  const std::uint64_t behind =
      npz.FileBytes(spec) - kHead - spec.sample_bytes() * spec.samples;
  for (const std::byte byte : std::span(out.first).first(kHead)) {
    fmt::print("{:02x}", std::to_integer<int>(byte));
  }
  for (const std::byte byte : std::span(tail).last(behind)) {
    fmt::print("{:02x}", std::to_integer<int>(byte));
  }
  fmt::print("\n");
  return 0;
}

int RunRead(const Arguments& arguments) {
  std::ifstream in(arguments.at(2), std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(in), {}};
  testing::PatternPayload payload;
  const formats::ReaderOptions options{
      .style = StyleOf(arguments.at(8)),
      .unit = Small(arguments.at(9)),
      .request = Small(arguments.at(10)),
      .expect = arguments.at(12) == "expect" ? &payload : nullptr};
  const testing::Trace trace = testing::Visit(
      Find(arguments.at(1)), options,
      WithBytes(Spec(arguments, 3), arguments, 13),
      std::as_bytes(std::span(content)), Small(arguments.at(11)));
  for (const testing::Read& read : trace.reads) {
    fmt::print("{} {} {}\n", read.offset, read.asked, read.got);
  }
  for (const testing::Sample& sample : trace.samples) {
    fmt::print("sample {} {}\n", sample.index, sample.payload);
  }
  if (!trace.status.ok()) {
    fmt::print(stderr, "{}\n", trace.status.ToString());
    return 1;
  }
  return 0;
}

int RunIndex(const Arguments& arguments) {
  fmt::print("{}",
             formats::TfrecordIndex({.samples = Small(arguments.at(3)),
                                     .rows = Small(arguments.at(1)),
                                     .columns = Small(arguments.at(2)),
                                     .nominal_edge = Small(arguments.at(4))}));
  return 0;
}

int Run(const Arguments& arguments) {
  const std::string& command = arguments.at(0);
  if (command == "encode") {
    return RunEncode(arguments);
  }
  if (command == "ends") {
    return RunEnds(arguments);
  }
  if (command == "sidecar") {
    return RunSidecar(arguments);
  }
  if (command == "read") {
    return RunRead(arguments);
  }
  if (command == "index") {
    return RunIndex(arguments);
  }
  fmt::print(stderr, "unknown command {}\n", command);
  return 2;
}

}  // namespace
}  // namespace stoker

int main(int argc, char** argv) {
  try {
    return stoker::Run(stoker::Arguments(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 2;
  }
}
