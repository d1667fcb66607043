// Read for read what the loaders ask of storage, against traces of the
// reference (strace of numpy.load on ext4, CPython 3.11) and the sequence of
// 256 KiB requests of tensorflow's record reader.

#include <string>
#include <vector>

#include "tests/emulator/scenario.h"
#include "tests/support/temp_dir.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::Read;
using testing::ReadLog;
using testing::Scene;
using testing::Seen;
using testing::Size;
using testing::Stage;

// What one epoch of one lane asks for. Virtual time stands still while real
// storage reads, so the accelerator computes until all is read.
std::vector<Seen> Requests(const Scene& watched, std::string_view uri) {
  core::VirtualClock clock;
  clock.Attach();
  ReadLog log;
  Scene scene = watched;
  scene.options.observer = &log;
  Stage stage(scene, uri, clock);
  auto loader = stage.Make();
  const EpochLog epoch = testing::RunEpoch(*loader, clock, testing::seconds(1));
  EXPECT_TRUE(epoch.status.ok()) << epoch.status.ToString();
  EXPECT_EQ(epoch.batches.size(), stage.steps());
  loader.reset();
  clock.Detach();
  return log.seen;
}

// Storage that really holds the dataset of a scene.
std::vector<std::string> Places(const stoker::testing::TempDir& folder) {
  const std::string file = "file://" + folder.str();
  return {"mem:request_pattern_" + folder.path().filename().string(),
          file + "?engine=threads", file + "?engine=auto"};
}

void ExpectRequests(const Scene& scene, const std::vector<Seen>& expected) {
  const stoker::testing::TempDir folder;
  for (const std::string& place : Places(folder)) {
    Stage::Generate(scene, place);
    EXPECT_EQ(Requests(scene, place), expected) << place;
  }
}

TEST(IndexedBinaryRequests, AreEachIndexInOneAndEachSampleInOne) {
  // 600 samples of 4096 bytes: an index of 4800 is longer than a sample.
  auto format = formats::FindFormat("indexed_binary");
  ASSERT_TRUE(format.ok());
  Scene scene{.files = 1,
              .samples_per_file = 600,
              .batch = 600,
              .sizes = {.record_length = 4096},
              .format = format.value()};
  std::vector<Seen> expected{Size(4800), Read(0, 4800, 4800), Size(4800),
                             Read(0, 4800, 4800)};
  for (std::uint64_t sample = 0; sample < 600; ++sample) {
    expected.push_back(Read(sample * 4096, 4096, 4096));
  }
  ExpectRequests(scene, expected);
}

TEST(NpzRequests, AreThoseOfNumpy) {
  // 775 × 775 bytes in a file of 601,123, with a buffer of 4096 bytes (the
  // block size that the folder for temporary files is taken to have).
  Scene scene{.files = 1, .sizes = {.record_length = 775 * 775}};
  ExpectRequests(
      scene,
      {// numpy looks for the magic, then zipfile for the directory.
       Read(0, 4096, 4096), Size(601123), Read(601101, 23, 22),
       Read(601123, 1, 0), Read(601081, 4096, 42), Read(600999, 4096, 124),
       // The member x.npy is opened twice.
       Read(0, 4096, 4096), Read(4096, 4096, 4096), Read(0, 4096, 4096),
       Read(4096, 4096, 4096),
       // Its data, 256 KiB at a time through the buffer.
       Read(8192, 253952, 253952), Read(262144, 4096, 4096),
       Read(266240, 258048, 258048), Read(524288, 4096, 4096),
       Read(528384, 69632, 69632), Read(598016, 4096, 3107)});
}

TEST(NpzRequests, OfASmallFileAreSeven) {
  Scene scene{.files = 1, .sizes = {.record_length = 100}};
  ExpectRequests(
      scene, {Read(0, 4096, 598), Size(598), Read(576, 23, 22), Read(598, 1, 0),
              Read(556, 4096, 42), Read(474, 4096, 124), Read(0, 4096, 598)});
}

// Storage without data is asked for the same; it gives all it is asked for.
TEST(NpzRequests, AreTheSameOfStorageWithoutData) {
  Scene scene{.files = 1, .sizes = {.record_length = 775 * 775}};
  const std::vector<Seen> blind = Requests(scene, "null:");
  const std::string place = "mem:request_pattern_blind";
  Stage::Generate(scene, place);
  const std::vector<Seen> real = Requests(scene, place);
  ASSERT_EQ(blind.size(), real.size());
  for (std::size_t i = 0; i < real.size(); ++i) {
    EXPECT_EQ(blind[i].offset, real[i].offset) << "request " << i;
    EXPECT_EQ(blind[i].wanted, real[i].wanted) << "request " << i;
    EXPECT_EQ(blind[i].size_query, real[i].size_query) << "request " << i;
  }
}

TEST(TfrecordRequests, AreRefillsWhateverTheRecordsSize) {
  // Three records of 114,303 bytes: 342,909 bytes; the end is found by a
  // request that gets nothing.
  Scene scene{.shape = PipelineShape::kTfRecord,
              .files = 1,
              .samples_per_file = 3,
              .sizes = {.record_length = 114660.07}};
  ExpectRequests(scene, {Read(0, 262144, 262144), Read(262144, 262144, 80765),
                         Read(342909, 262144, 0)});
}

TEST(TfrecordRequests, OfALargeRecordAreElevenAndTheEnd) {
  // One record of 2,825,825 bytes: 10 × 262,144 + 204,385.
  Scene scene{.shape = PipelineShape::kTfRecord,
              .files = 1,
              .sizes = {.record_length = 2828486}};
  std::vector<Seen> expected;
  expected.reserve(12);
  for (std::uint64_t i = 0; i < 10; ++i) {
    expected.push_back(Read(i * 262144, 262144, 262144));
  }
  expected.push_back(Read(2621440, 262144, 204385));
  expected.push_back(Read(2825825, 262144, 0));
  ExpectRequests(scene, expected);
}

TEST(TfrecordRequests, AreAsLongAsTransferSize) {
  Scene scene{.shape = PipelineShape::kTfRecord,
              .files = 1,
              .sizes = {.record_length = 65536}};
  scene.options.transfer_size = 40000;
  ExpectRequests(scene, {Read(0, 40000, 40000), Read(40000, 40000, 25595),
                         Read(65595, 40000, 0)});
}

}  // namespace
}  // namespace stoker::emulator
