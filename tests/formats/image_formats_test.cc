// jpeg and png files of ours. That others can decode them is the business of
// tests/interop/images_interop.py.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/crc.h"
#include "formats/jpeg_format.h"
#include "formats/png_format.h"
#include "formats/png_layout.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::MemoryWriteStream;
using stoker::testing::PatternPayload;
using stoker::testing::Read;
using stoker::testing::Sample;
using stoker::testing::Trace;
using stoker::testing::Visit;
using ::testing::HasSubstr;
using Style = ReaderOptions::Style;

struct Case {
  const char* name;
  std::shared_ptr<const Format> format;
  std::uint64_t smallest;  // no fewer bytes hold an image
  std::size_t stamp;       // offset of the stamp
  std::size_t end_bytes;   // last bytes whose damage the reference overlooks
};

class ImageFormat : public ::testing::TestWithParam<Case> {
 protected:
  const Format& format() const { return *GetParam().format; }
  static FileSpec Spec(std::uint64_t bytes = 2000) {
    return {.index = 5, .rows = 20, .columns = 30, .record_bytes = bytes};
  }
  core::Status TryEncode(const FileSpec& spec) const {
    core::SystemClock clock;
    PatternPayload payload;
    MemoryWriteStream out(clock);
    return format().Encode(spec, payload, out);
  }
  static std::vector<ReaderOptions> Ways() {
    return {{.style = Style::kReference},
            {.style = Style::kReference, .unit = 16},
            {.style = Style::kLarge, .request = 0},
            {.style = Style::kLarge, .request = 1},
            {.style = Style::kLarge, .request = 100},
            {.style = Style::kSample, .request = 4096}};
  }
};

INSTANTIATE_TEST_SUITE_P(
    Formats, ImageFormat,
    ::testing::Values(Case{"jpeg", std::make_shared<JpegFormat>(), 364, 24, 0},
                      Case{"png", std::make_shared<PngFormat>(), 106, 41, 4}),
    [](const auto& row) { return std::string(row.param.name); });

TEST_P(ImageFormat, EveryRecordLengthIsMetExactly) {
  for (std::uint64_t bytes = GetParam().smallest; bytes < 1300; ++bytes) {
    const FileSpec spec = Spec(bytes);
    const File file = Encode(format(), spec);
    ASSERT_EQ(file.size(), bytes);
    PatternPayload payload;
    const Trace trace = Visit(
        format(), {.style = Style::kLarge, .request = 500, .expect = &payload},
        spec, file);
    ASSERT_EQ(trace.status.ToString(), "ok") << bytes;
  }
}

TEST_P(ImageFormat, RecordsTooSmallForAnyImageAreRefusedByName) {
  const core::Status status = TryEncode(Spec(GetParam().smallest - 1));
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("holds no image: the smallest one has " +
                        std::to_string(GetParam().smallest)));
  EXPECT_TRUE(TryEncode(Spec(GetParam().smallest)).ok());
}

TEST_P(ImageFormat, LargePaddingIsCutIntoLegalPieces) {
  for (const std::uint64_t bytes : {65'537U + 300U, 3U * 65'537U, 300'000U}) {
    for (std::uint64_t more = 0; more < 600; more += 7) {
      const FileSpec spec = Spec(bytes + more);
      const Trace trace = Visit(format(), {.style = Style::kLarge}, spec,
                                Encode(format(), spec));
      ASSERT_EQ(trace.status.ToString(), "ok") << bytes + more;
    }
  }
}

TEST_P(ImageFormat, EveryFlippedByteIsFound) {
  const FileSpec spec = Spec();
  File file = Encode(format(), spec);
  for (const ReaderOptions& options : Ways()) {
    const std::size_t overlooked =
        options.style == Style::kReference ? GetParam().end_bytes : 0;
    for (std::size_t at = 0; at < file.size(); ++at) {
      // Without its mark a stamp is no stamp, and a jpeg file has no other
      // checksum.
      const bool mark = at >= GetParam().stamp - 4 &&
                        at < GetParam().stamp + 8 && GetParam().end_bytes == 0;
      if (at >= file.size() - overlooked || mark) {
        continue;
      }
      file[at] ^= std::byte{0x10};
      EXPECT_FALSE(Visit(format(), options, spec, file).status.ok()) << at;
      file[at] ^= std::byte{0x10};
    }
  }
}

TEST_P(ImageFormat, EveryTruncationIsCorruption) {
  const FileSpec spec = Spec();
  const File file = Encode(format(), spec);
  for (const ReaderOptions& options : Ways()) {
    const std::size_t overlooked =
        options.style == Style::kReference ? GetParam().end_bytes : 0;
    for (std::size_t size = 0; size < file.size() - overlooked; ++size) {
      const File cut(file.begin(),
                     file.begin() + static_cast<std::ptrdiff_t>(size));
      const Trace trace = Visit(format(), options, spec, cut);
      ASSERT_EQ(trace.status.code(), core::Code::kCorruption) << size;
      EXPECT_THAT(trace.status.ToString(), HasSubstr("some_file: "));
      EXPECT_TRUE(trace.samples.empty());
    }
  }
}

TEST_P(ImageFormat, BytesBehindTheEndAreCorruption) {
  const FileSpec spec = Spec();
  File file = Encode(format(), spec);
  file.resize(file.size() + 3);
  EXPECT_FALSE(
      Visit(format(), {.style = Style::kLarge}, spec, file).status.ok());
}

TEST_P(ImageFormat, FileUnderAnotherNameIsCorruption) {
  FileSpec spec = Spec();
  const File file = Encode(format(), spec);
  spec.index = 6;
  EXPECT_THAT(
      Visit(format(), {.style = Style::kLarge}, spec, file).status.ToString(),
      HasSubstr("the stamp is of file 5, expected 6"));
  EXPECT_TRUE(
      Visit(format(), {.style = Style::kLarge, .check = false}, spec, file)
          .status.ok());
}

TEST_P(ImageFormat, WithoutCheckDamageInsideTheImageIsNotLookedFor) {
  const FileSpec spec = Spec();
  File file = Encode(format(), spec);
  file[file.size() - 100] ^= std::byte{1};
  EXPECT_TRUE(
      Visit(format(), {.style = Style::kLarge, .check = false}, spec, file)
          .status.ok());
}

TEST_P(ImageFormat, VisitForAnySampleDeliversThatSample) {
  FileSpec spec = Spec();
  spec.samples = 9;
  const Trace trace = Visit(format(), {}, spec, Encode(format(), spec), 7);
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{7, 600}}));
}

TEST_P(ImageFormat, PlannedSizeThatIsNotTheFilesIsReadToItsEnd) {
  // A foreign dataset: what the configuration says is not what there is.
  const File file = Encode(format(), Spec());
  for (const std::uint64_t planned : {100U, 1000U, 1999U, 2001U, 4000U}) {
    const Trace trace =
        Visit(format(), {.style = Style::kLarge, .request = 100}, Spec(planned),
              file);
    EXPECT_EQ(trace.status.ToString(), "ok") << planned;
  }
}

TEST(JpegFormat, ReferenceReadsAsPillow) {
  // 180,000 bytes in blocks of 65,536; the first page is in the buffer already.
  const JpegFormat format;
  const FileSpec spec{.rows = 424, .columns = 424, .record_bytes = 180'000};
  const Trace trace = Visit(format, {}, spec, Encode(format, spec));
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, 4096, 4096},
                                            {4096, 61'440, 61'440},
                                            {65'536, 65'536, 65'536},
                                            {131'072, 65'536, 48'928},
                                            {180'000, 16'384, 0}}));
}

TEST(JpegFormat, CommentsAndMetadataOfOthersAreSkipped) {
  // SOI, fill bytes, a comment, an APP15 segment, SOS, scan, EOI.
  const std::vector<int> bytes = {0xFF, 0xD8, 0xFF, 0xFF, 0xFF, 0xFE, 0,
                                  3,    'a',  0xFF, 0xEF, 0,    40};
  File file;
  for (const int byte : bytes) {
    file.push_back(static_cast<std::byte>(byte));
  }
  file.resize(file.size() + 38, std::byte{7});
  for (const int byte : {0xFF, 0xDA, 0, 2, 1, 2, 3, 0xFF, 0xD9}) {
    file.push_back(static_cast<std::byte>(byte));
  }
  const JpegFormat format;
  for (const ReaderOptions& options :
       {ReaderOptions{}, ReaderOptions{.style = Style::kLarge, .request = 3}}) {
    const FileSpec spec{.rows = 3, .columns = 3, .record_bytes = 99};
    EXPECT_EQ(Visit(format, options, spec, file).status.ToString(), "ok");
    File cut = file;
    cut.pop_back();
    EXPECT_THAT(Visit(format, options, spec, cut).status.ToString(),
                HasSubstr("expected the end-of-image marker FFD9"));
  }
}

TEST(PngFormat, LayoutOfARetinanetRecordIsFourBitsAPixel) {
  // 568 rows of 1 + 284 bytes are 161,880, in three stored blocks:
  // IDAT has 6 + 15 + 161,880. Around it 8 + 4·12 + 13 + 24.
  const FileSpec spec{.rows = 568, .columns = 568, .record_bytes = 322'957};
  const core::Result<png::Plan> plan = png::PlanFile(spec);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan.value().depth, 4U);
  EXPECT_EQ(plan.value().idat_bytes(), 161'901U);
  EXPECT_EQ(plan.value().padding, 322'957U - 161'901 - 93);
}

TEST(PngFormat, ReferenceReadsAsPillow) {
  // Signature, heads and the stamp are in the first page; the image data begins
  // at 8 + 25 + 36 + 8 = 77 and is asked for in blocks of 65,536.
  const PngFormat format;
  const FileSpec spec{.rows = 568, .columns = 568, .record_bytes = 322'957};
  const Trace trace = Visit(format, {}, spec, Encode(format, spec));
  ASSERT_GE(trace.reads.size(), 3U);
  EXPECT_EQ(trace.reads[0], (Read{0, 4096, 4096}));
  EXPECT_EQ(trace.reads[1], (Read{4096, 61'440, 61'440}));
  EXPECT_EQ(trace.reads[2], (Read{65'536, 4096, 4096}));
}

}  // namespace
}  // namespace stoker::formats
