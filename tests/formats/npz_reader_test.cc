#include "formats/npz_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "formats/npz_format.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::PatternPayload;
using stoker::testing::Read;
using stoker::testing::Sample;
using stoker::testing::SmallNpzSpec;
using stoker::testing::Trace;
using stoker::testing::Visit;
using ::testing::HasSubstr;
using Style = ReaderOptions::Style;

// The requests before the data, as traced: magic; end record and end of file;
// zip64 locator; directory; the header twice.
std::vector<Read> Opening(std::uint64_t size, std::uint64_t directory) {
  return {{0, 4096, 4096},
          {size - 22, 23, 22},
          {size, 1, 0},
          {size - 42, 4096, 42},
          {directory, 4096, size - directory},
          {0, 4096, 4096},
          {4096, 4096, 4096},
          {0, 4096, 4096},
          {4096, 4096, 4096}};
}

// A visit without data: the layout comes from the spec.
Trace BlindNpzVisit(const FileSpec& spec, std::uint32_t unit) {
  const NpzFormat format;
  return Visit(*format.NewReader({.unit = unit, .blind = true}), spec, 0,
               format.FileBytes(spec),
               [](std::uint64_t, std::span<std::byte>) {});
}

TEST(NpzReferenceReader, AsksLikeNumpyForASixteenMegabyteFile) {
  // 4000 × 4000: 16,000,498 bytes, 133 reads.
  const Trace trace = BlindNpzVisit({.rows = 4000, .columns = 4000}, 4096);
  std::vector<Read> expected = Opening(16'000'498, 16'000'374);
  std::uint64_t at = 8192;
  const auto add = [&](std::uint64_t asked, std::uint64_t got) {
    expected.push_back({at, asked, got});
    at += got;
  };
  add(253'952, 253'952);
  add(4096, 4096);
  for (int pair = 0; pair < 60; ++pair) {
    add(258'048, 258'048);
    add(4096, 4096);
  }
  add(4096, 4096);
  add(4096, 1522);
  EXPECT_EQ(expected.size(), 133U);
  EXPECT_EQ(trace.reads, expected);
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{0, 16'000'000}}));
}

TEST(NpzReferenceReader, AsksLikeNumpyForA149MegabyteFile) {
  // 149,273,713 bytes: 1149 reads, the last ones of 106,496 and 3185 bytes.
  const Trace trace =
      BlindNpzVisit({.rows = 1, .columns = 149'273'713 - 498}, 4096);
  ASSERT_EQ(trace.reads.size(), 1149U);
  EXPECT_EQ(trace.reads[9], (Read{8192, 253'952, 253'952}));
  for (std::size_t i = 0; i < 568; ++i) {
    EXPECT_EQ(trace.reads[10 + 2 * i].asked, 4096U);
    EXPECT_EQ(trace.reads[11 + 2 * i].asked, 258'048U);
  }
  EXPECT_EQ(trace.reads[1146].asked, 4096U);
  EXPECT_EQ(trace.reads[1147].asked, 106'496U);
  EXPECT_EQ(trace.reads[1148].asked, 4096U);
  EXPECT_EQ(trace.reads[1148].got, 3185U);
}

TEST(NpzReferenceReader, LargerUnitsMakeFewerLargerRequests) {
  // One read of the header serves both looks at the member. The first 4 KiB of
  // the member end at 55 + 4096 = 4151. numpy then wants 262,144 - (4096 - 128)
  // = 258,176 bytes, of which 65,536 - 4151 = 61,385 are in the buffer; the
  // other 196,791 are three units and 183 bytes.
  const Trace trace = BlindNpzVisit({.rows = 4000, .columns = 4000}, 65536);
  ASSERT_GT(trace.reads.size(), 10U);
  EXPECT_EQ(trace.reads[5], (Read{0, 65536, 65536}));
  EXPECT_EQ(trace.reads[6], (Read{65536, 196'608, 196'608}));
  EXPECT_EQ(trace.reads[7], (Read{262'144, 65536, 65536}));
  EXPECT_EQ(trace.reads[8], (Read{327'680, 196'608, 196'608}));
  EXPECT_EQ(trace.reads[9], (Read{524'288, 65536, 65536}));
}

TEST(NpzReferenceReader, UnitsBeyond256KiBAreReadWhole) {
  const std::uint64_t unit = 1U << 20;
  const Trace trace = BlindNpzVisit({.rows = 4000, .columns = 4000}, 1U << 20);
  // 16,000,498 = 15 · 2^20 + 271,858.
  ASSERT_EQ(trace.reads.size(), 5U + 16);
  for (std::uint64_t i = 0; i < 15; ++i) {
    EXPECT_EQ(trace.reads[5 + i], (Read{i * unit, unit, unit}));
  }
  EXPECT_EQ(trace.reads.back(), (Read{15 * unit, unit, 271'858}));
}

TEST(NpzReferenceReader, AsksForTheSizeOnceAfterTheMagic) {
  const Trace trace = BlindNpzVisit({.rows = 40, .columns = 40}, 4096);
  EXPECT_EQ(trace.size_queries, 1);
  EXPECT_EQ(trace.reads_before_size, 1U);
}

TEST(NpzReferenceReader, SmallFileIsReadWholeFourTimes) {
  // 1 byte of payload: 499 bytes, directory at 375.
  const Trace trace = BlindNpzVisit({.rows = 1, .columns = 1}, 4096);
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, 4096, 499},
                                            {477, 23, 22},
                                            {499, 1, 0},
                                            {457, 4096, 42},
                                            {375, 4096, 124},
                                            {0, 4096, 499}}));
}

TEST(NpzReferenceReader, FileFrom2GiBOnHasAnEndRecordMore) {
  const FileSpec spec{.rows = 46341, .columns = 46342};
  const std::uint64_t size = 2'147'534'622 + 498 + 108;
  const Trace trace = BlindNpzVisit(spec, 4096);
  ASSERT_GT(trace.reads.size(), 6U);
  EXPECT_EQ(trace.reads[3], (Read{size - 42, 4096, 42}));
  EXPECT_EQ(trace.reads[4], (Read{size - 98, 4096, 98}));
  // Two entries of 51 bytes with 20 and 12 bytes of 64-bit fields.
  EXPECT_EQ(trace.reads[5], (Read{size - 98 - 134, 4096, 98 + 134}));
}

struct Way {
  Style style;
  std::uint32_t request;
};

class NpzReader : public ::testing::TestWithParam<Way> {
 protected:
  static ReaderOptions Options() {
    return {.style = GetParam().style, .request = GetParam().request};
  }
  Trace Read(const File& file, const FileSpec& spec, std::uint32_t sample = 0) {
    return Visit(format_, Options(), spec, file, sample);
  }
  Trace ReadSmall(const File& file) { return Read(file, SmallNpzSpec()); }
  File small() const { return Encode(format_, SmallNpzSpec()); }

  NpzFormat format_;
};

INSTANTIATE_TEST_SUITE_P(Styles, NpzReader,
                         ::testing::Values(Way{Style::kReference, 262'144},
                                           Way{Style::kLarge, 262'144},
                                           Way{Style::kLarge, 100},
                                           Way{Style::kLarge, 1},
                                           Way{Style::kSample, 512}));

void ExpectError(const Trace& trace, core::Code code, std::string_view text) {
  EXPECT_EQ(trace.status.code(), code);
  EXPECT_THAT(std::string(trace.status.message()), HasSubstr(text));
  EXPECT_THAT(std::string(trace.status.message()), HasSubstr("some_file"));
  EXPECT_TRUE(trace.samples.empty());
}

// Offsets that no reader looks at. The member x is 55 + 128 + 30 bytes, y is
// 55 + 128 + 16; the directory follows.
std::set<std::size_t> UnreadBytes() {
  const std::size_t labels = 213;
  const std::size_t directory = labels + 199;
  const std::size_t second = directory + 51;
  std::set<std::size_t> unread;
  const auto add = [&unread](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      unread.insert(i);
    }
  };
  add(4, 6);    // version of the local header
  add(10, 14);  // time and date
  add(35, 37);  // kind of the extra field: any other is skipped
  add(labels, directory);
  add(directory + 4, directory + 8);    // versions
  add(directory + 12, directory + 16);  // time and date
  add(directory + 34, directory + 42);  // disk, attributes
  add(second + 4, second + 28);         // of y only the lengths count,
  add(second + 34, second + 51);        // and that its name is not x
  return unread;
}

TEST_P(NpzReader, EveryFlippedBitIsFoundExceptInBytesNobodyReads) {
  File file = small();
  std::set<std::size_t> accepted;
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    file[bit / 8] ^= std::byte{1} << (bit % 8);
    if (ReadSmall(file).status.ok()) {
      accepted.insert(bit / 8);
    }
    file[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_EQ(accepted, UnreadBytes());
}

TEST_P(NpzReader, EveryTruncationIsCorruption) {
  const File file = small();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const File cut(file.begin(),
                   file.begin() + static_cast<std::ptrdiff_t>(size));
    ExpectError(ReadSmall(cut), core::Code::kCorruption, "offset");
  }
}

TEST_P(NpzReader, TruncationNamesTheMissingEndRecord) {
  File file = small();
  file.resize(300);
  ExpectError(ReadSmall(file), core::Code::kCorruption,
              "at offset 278: expected the end-of-directory record");
}

TEST_P(NpzReader, WrongChecksumNamesTheMember) {
  File file = small();
  file[200] ^= std::byte{4};
  ExpectError(ReadSmall(file), core::Code::kCorruption,
              "CRC-32 of the 158 bytes at offset 55");
}

TEST_P(NpzReader, WithoutCheckTheContentIsNotLookedAt) {
  File file = small();
  file[200] ^= std::byte{4};
  ReaderOptions options = Options();
  options.check = false;
  const Trace trace = Visit(format_, options, SmallNpzSpec(), file);
  EXPECT_TRUE(trace.status.ok());
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{0, 15}}));
}

TEST_P(NpzReader, ComparisonNamesArrayAndFileOffset) {
  File file = small();
  file[200] ^= std::byte{4};
  PatternPayload payload;
  ReaderOptions options = Options();
  options.check = false;
  options.expect = &payload;
  const Trace trace = Visit(format_, options, SmallNpzSpec(), file);
  ExpectError(trace, core::Code::kCorruption,
              "differs at offset 17 of the array (file offset 200)");
}

TEST_P(NpzReader, ComparisonWithAnotherShapeIsCorruption) {
  PatternPayload payload;
  FileSpec other = SmallNpzSpec();
  other.rows = 4;
  ReaderOptions options = Options();
  options.expect = &payload;
  const Trace trace = Visit(format_, options, other, small());
  ExpectError(trace, core::Code::kCorruption,
              "expected an array of 40 bytes, found 30");
}

TEST_P(NpzReader, FilesOwnShapeDecidesThePayload) {
  FileSpec other = SmallNpzSpec();
  other.rows = 4;
  const Trace trace = Read(small(), other, 1);
  EXPECT_TRUE(trace.status.ok());
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{1, 15}}));
}

TEST_P(NpzReader, MissingSampleIsCorruption) {
  FileSpec more = SmallNpzSpec();
  more.samples = 3;
  ExpectError(Read(small(), more, 2), core::Code::kCorruption,
              "expected at least 3 samples in the array's shape, found 2");
}

TEST_P(NpzReader, CompressedMemberIsUnsupported) {
  File file = small();
  file[412 + 10] = std::byte{8};
  ExpectError(ReadSmall(file), core::Code::kUnsupported,
              "at offset 422: member x.npy is compressed (method 8)");
}

TEST_P(NpzReader, OtherElementTypeIsUnsupported) {
  File file = small();
  // "{'descr': '|u1'" begins at 65: the u is at 76.
  file[76] = std::byte{'i'};
  ExpectError(ReadSmall(file), core::Code::kUnsupported,
              "at offset 65: expected an array with descr '|u1'");
}

TEST_P(NpzReader, ShapeThatDoesNotFitIsCorruption) {
  File file = small();
  // "(3, 5, 2)" begins at 65 + 50.
  ASSERT_EQ(file[116], std::byte{'3'});
  file[116] = std::byte{'9'};
  ExpectError(ReadSmall(file), core::Code::kCorruption,
              "at offset 116: shape (9, 5, 2) does not make the member's 30");
}

TEST_P(NpzReader, SizesOnlyInTheExtraFieldAreAccepted) {
  File file = small();
  file[4] = std::byte{45};
  std::memset(file.data() + 18, 0xFF, 8);
  EXPECT_TRUE(ReadSmall(file).status.ok());
}

TEST_P(NpzReader, OneProgramReadsFileAfterFile) {
  const std::unique_ptr<ReaderProgram> program = format_.NewReader(Options());
  File broken = small();
  broken[200] ^= std::byte{4};
  const File good = small();
  EXPECT_TRUE(Visit(*program, SmallNpzSpec(), 0, good).status.ok());
  EXPECT_FALSE(Visit(*program, SmallNpzSpec(), 0, broken).status.ok());
  EXPECT_TRUE(Visit(*program, SmallNpzSpec(), 0, good).status.ok());
}

TEST_P(NpzReader, FileShorterThanItsSizeIsCorruption) {
  if (GetParam().style != Style::kReference) {
    return;  // never asks for the size
  }
  using Event = ReaderProgram::Event;
  using Next = ReaderProgram::Next;
  const File file = small();
  const std::unique_ptr<ReaderProgram> program = format_.NewReader(Options());
  program->Reset(SmallNpzSpec(), 0, "some_file");
  Event event;
  core::Result<Next> next = program->Step(event);
  while (next.ok()) {
    event = {};
    if (next.value().kind == Next::Kind::kSize) {
      event.kind = Event::Kind::kSize;
      event.size = file.size() + 1000;
    } else {
      ASSERT_EQ(next.value().kind, Next::Kind::kRead);
      event.kind = Event::Kind::kBytes;
      if (next.value().offset == 0) {
        event.bytes = file;
      }
    }
    next = program->Step(event);
  }
  EXPECT_EQ(next.status().code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(next.status().message()),
              HasSubstr("but it ends after"));
}

template <class T>
void Put(File& file, T value) {
  const std::span<const std::byte> bytes =
      std::as_bytes(std::span<const T, 1>(&value, 1));
  file.insert(file.end(), bytes.begin(), bytes.end());
}

// The small archive with every value of x's entry in a 64-bit field and the
// zip64 end records, as one of many GiB has them: 28 bytes more in the
// directory, which begins at 412, and 76 behind it.
File WideArchive(const File& small) {
  const std::size_t directory = 412;
  File file(small.begin(), small.begin() + directory + 51);
  std::memset(file.data() + directory + 20, 0xFF, 8);  // sizes
  std::memset(file.data() + directory + 42, 0xFF, 4);  // offset
  file[directory + 30] = std::byte{28};                // extra fields
  Put<std::uint16_t>(file, 1);
  Put<std::uint16_t>(file, 24);
  Put<std::uint64_t>(file, 158);
  Put<std::uint64_t>(file, 158);
  Put<std::uint64_t>(file, 0);
  file.insert(file.end(), small.begin() + directory + 51, small.end() - 22);
  const std::size_t end = file.size();
  Put<std::uint32_t>(file, 0x06064b50);
  Put<std::uint64_t>(file, 44);
  Put<std::uint32_t>(file, 45 << 16 | 45);  // versions
  Put<std::uint64_t>(file, 0);              // disks
  Put<std::uint64_t>(file, 2);
  Put<std::uint64_t>(file, 2);
  Put<std::uint64_t>(file, end - directory);
  Put<std::uint64_t>(file, directory);
  Put<std::uint32_t>(file, 0x07064b50);
  Put<std::uint32_t>(file, 0);
  Put<std::uint64_t>(file, end);
  Put<std::uint32_t>(file, 1);
  file.insert(file.end(), small.end() - 22, small.end());
  return file;
}

TEST_P(NpzReader, ArchiveOf64BitFieldsIsRead) {
  PatternPayload payload;
  ReaderOptions options = Options();
  options.expect = &payload;
  const Trace trace =
      Visit(format_, options, SmallNpzSpec(), WideArchive(small()));
  EXPECT_EQ(trace.status.ToString(), "ok");
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{0, 15}}));
}

TEST_P(NpzReader, EveryFlippedBitOf64BitRecordsIsFoundExceptVersions) {
  File file = WideArchive(small());
  const std::size_t fields = 412 + 51;
  const std::size_t end = file.size() - 98;
  std::set<std::size_t> accepted;
  const auto flip_all = [&](std::size_t begin, std::size_t behind) {
    for (std::size_t bit = 8 * begin; bit < 8 * behind; ++bit) {
      file[bit / 8] ^= std::byte{1} << (bit % 8);
      if (ReadSmall(file).status.ok()) {
        accepted.insert(bit / 8);
      }
      file[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  };
  flip_all(fields, fields + 28);
  flip_all(end, end + 76);
  EXPECT_EQ(accepted,
            (std::set<std::size_t>{end + 12, end + 13, end + 14, end + 15}));
}

TEST(NpzReferenceReader, MemberAnywhereInTheFileIsFound) {
  // The same archive with 5000 bytes before the first local header.
  const NpzFormat format;
  File file = Encode(format, SmallNpzSpec());
  const auto shift = [&file](std::size_t at) {
    std::uint32_t offset = 0;
    std::memcpy(&offset, file.data() + at, 4);
    offset += 5000;
    std::memcpy(file.data() + at, &offset, 4);
  };
  shift(412 + 42);
  shift(412 + 51 + 42);
  shift(file.size() - 6);
  // Sniffing wants a local header in front of everything.
  File front(file.begin(), file.begin() + 200);
  front.resize(5000);
  file.insert(file.begin(), front.begin(), front.end());
  PatternPayload payload;
  for (const std::uint32_t unit : {16U, 100U, 4096U, 65536U}) {
    const Trace trace =
        Visit(format, {.unit = unit, .expect = &payload}, SmallNpzSpec(), file);
    EXPECT_EQ(trace.status.ToString(), "ok");
  }
}

}  // namespace
}  // namespace stoker::formats
