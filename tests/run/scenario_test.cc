// Whole runs in virtual time: datasets are generated and trained on by several
// ranks in this process, and the files of the result are compared with values
// worked out by hand. tests/scenarios/<name>.yaml is the workload, with the
// arithmetic in its comments; <name>.json beside it says on how many ranks and
// which storage, and what comes out.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "comm/communicator.h"
#include "config/load.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/text.h"
#include "dataset/op_stream.h"
#include "reporting/json.h"
#include "reporting/result_folder.h"
#include "run/phases.h"
#include "tests/support/temp_dir.h"

namespace stoker::run {
namespace {

namespace fs = std::filesystem;
using reporting::Json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

const fs::path kFolder = STOKER_SOURCE_DIR "/tests/scenarios";

std::string TextOf(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Json JsonOf(const fs::path& path) {
  auto json = reporting::ParseJson(TextOf(path));
  EXPECT_TRUE(json.ok()) << path << ": " << json.status().ToString();
  return json.ok() ? json.value() : Json();
}

// "ranks.0.facts": names of objects, positions of arrays.
Json At(const Json& json, std::string_view path) {
  const Json* at = &json;
  for (const std::string_view part : core::Split(path, '.')) {
    if (const auto* array = std::get_if<Json::Array>(&at->value())) {
      const auto index = core::ParseInt(part);
      if (!index.ok() ||
          static_cast<std::size_t>(index.value()) >= array->size()) {
        ADD_FAILURE() << "no element " << path;
        return {};
      }
      at = &(*array)[static_cast<std::size_t>(index.value())];
      continue;
    }
    at = at->Find(part);
    if (at == nullptr) {
      ADD_FAILURE() << "no field " << path;
      return {};
    }
  }
  return *at;
}

std::optional<double> NumberOf(const Json& json) {
  if (const auto* value = std::get_if<double>(&json.value())) {
    return *value;
  }
  if (const auto* value = std::get_if<std::int64_t>(&json.value())) {
    return static_cast<double>(*value);
  }
  if (const auto* value = std::get_if<std::uint64_t>(&json.value())) {
    return static_cast<double>(*value);
  }
  return std::nullopt;
}

// Numbers to nine digits, everything else as text.
void ExpectSame(const Json& expected, const Json& actual,
                const std::string& what) {
  const auto* wanted = std::get_if<Json::Array>(&expected.value());
  const auto* found = std::get_if<Json::Array>(&actual.value());
  if (wanted != nullptr && found != nullptr) {
    ASSERT_EQ(found->size(), wanted->size()) << what;
    for (std::size_t i = 0; i < wanted->size(); ++i) {
      ExpectSame((*wanted)[i], (*found)[i], fmt::format("{}[{}]", what, i));
    }
    return;
  }
  const auto number = NumberOf(expected);
  if (number.has_value() && NumberOf(actual).has_value()) {
    EXPECT_NEAR(*NumberOf(actual), *number,
                1e-9 * std::max(1.0, std::abs(*number)))
        << what;
    return;
  }
  EXPECT_EQ(reporting::DumpJson(actual, 0), reporting::DumpJson(expected, 0))
      << what;
}

// The rows of steps.csv as numbers where they are numbers, without the CPU
// times: those are real, whatever the clock.
Json StepRows(const fs::path& path) {
  constexpr std::size_t kColumns = 11;
  Json::Array rows;
  const std::string text = TextOf(path);
  for (const std::string_view line : core::Split(text, '\n')) {
    if (line.empty() || line.starts_with("epoch")) {
      continue;
    }
    Json::Array row;
    for (const std::string_view cell : core::Split(line, ',')) {
      const auto number = core::ParseDouble(cell);
      row.emplace_back(number.ok() ? Json(number.value()) : Json(cell));
    }
    EXPECT_EQ(row.size(), kColumns + 3) << line;
    row.resize(std::min(row.size(), kColumns));
    rows.emplace_back(std::move(row));
  }
  return rows;
}

struct Scenario {
  explicit Scenario(const std::string& name)
      : expected(JsonOf(kFolder / (name + ".json"))),
        ranks(static_cast<int>(NumberOf(At(expected, "ranks")).value_or(1))),
        storage(std::get<std::string>(At(expected, "storage").value())) {
    config::LoadOptions options;
    options.workload_path = (kFolder / (name + ".yaml")).string();
    auto loaded = config::Load(options);
    EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
    if (loaded.ok()) {
      config = std::move(loaded).value();
    }
  }

  Json expected;
  config::LoadedConfig config;
  int ranks;
  std::string storage;  // ends with "mem:"
};

// What each rank returned, and the folder of the results.
struct Outcome {
  std::vector<core::Status> statuses;
  fs::path folder;
};

// A place in memory that no other run uses.
std::string OwnPlace(std::string_view storage) {
  static std::atomic<int> next{0};
  return fmt::format("{}scenario{}", storage, next.fetch_add(1));
}

TrainRequest TrainRequestOf(const Scenario& scenario, const std::string& place,
                            const std::string& folder) {
  TrainRequest request;
  request.config = &scenario.config;
  request.model = "scenario";
  request.data_uri = place;
  request.folder = folder;
  request.io_timeout = std::chrono::hours(1);
  return request;
}

core::Status GenerateAndTrain(const RankContext& context,
                              const Scenario& scenario,
                              const std::string& place,
                              const std::string& folder) {
  // Failures are for the training.
  const std::string mem = place.substr(place.rfind("mem:"));
  STOKER_TRY(RunDatagen(
      context, {.config = &scenario.config, .data_uri = mem, .tool = "test"}));
  return RunTraining(context, TrainRequestOf(scenario, place, folder));
}

Outcome RunScenario(const Scenario& scenario, std::string_view storage,
                    const fs::path& folder,
                    const ConsoleOptions& console_options = {.speaks = false}) {
  Outcome outcome{.statuses = std::vector<core::Status>(
                      static_cast<std::size_t>(scenario.ranks)),
                  .folder = folder};
  fs::create_directories(folder);
  const std::string place = OwnPlace(storage);
  core::VirtualClock clock;
  const core::CancelFlag cancel;
  comm::RunThreads(
      scenario.ranks, clock, &cancel, [&](comm::Communicator& comm) {
        ConsoleOptions options = console_options;
        options.speaks = options.speaks && comm.rank() == 0;
        Console console(options);
        const RankContext context{.comm = &comm,
                                  .clock = &clock,
                                  .cancel = &cancel,
                                  .console = &console};
        const core::Status status =
            GenerateAndTrain(context, scenario, place, folder.string());
        if (!status.ok()) {
          comm.Abort(status);
        }
        outcome.statuses[static_cast<std::size_t>(comm.rank())] = status;
      });
  return outcome;
}

std::string HashOf(const Outcome& outcome) {
  return std::get<std::string>(
      At(JsonOf(outcome.folder / reporting::kRecordFile), "op_stream_hash")
          .value());
}

void ExpectFields(const Json& expected, const Json& actual) {
  for (const auto& [path, value] : std::get<Json::Object>(expected.value())) {
    ExpectSame(value, At(actual, path), path);
  }
}

double Sum(const Json& record, std::size_t epoch, std::string_view counter) {
  double sum = 0;
  const Json ranks = At(record, "ranks");
  for (std::size_t r = 0; r < std::get<Json::Array>(ranks.value()).size();
       ++r) {
    for (const char* loader : {"train_loader", "eval_loader"}) {
      sum += NumberOf(At(ranks, fmt::format("{}.epochs.{}.{}.{}", r, epoch,
                                            loader, counter)))
                 .value_or(-1);
    }
  }
  return sum;
}

// Of every epoch the same bytes, all out of memory, and a latency of each read.
void ExpectLedgerAgrees(const Json& record, const Json& ledger) {
  const Json epochs = At(ledger, "epochs");
  const auto count = std::get<Json::Array>(epochs.value()).size();
  ASSERT_GT(count, 0U);
  double reads = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Json epoch = At(epochs, std::to_string(i));
    const auto number = [&epoch](std::string_view path) {
      return NumberOf(At(epoch, path)).value_or(-1);
    };
    EXPECT_EQ(number("asked_bytes"), Sum(record, i, "payload_bytes_delivered"));
    EXPECT_EQ(number("delivered_bytes"), Sum(record, i, "read_bytes"));
    EXPECT_EQ(number("discarded_bytes"), Sum(record, i, "bytes_discarded"));
    EXPECT_EQ(number("served_by.memory_bytes"), Sum(record, i, "read_bytes"));
    EXPECT_EQ(reporting::DumpJson(At(epoch, "cache_state"), 0), "\"memory\"");
    EXPECT_EQ(reporting::DumpJson(
                  At(record, fmt::format("ledger.epochs.{}.served_by", i)), 0),
              reporting::DumpJson(At(epoch, "served_by"), 0));
    reads += Sum(record, i, "reads");
  }
  double latencies = 0;
  const Json rows = At(ledger, "run.latencies");
  for (const Json& row : std::get<Json::Array>(rows.value())) {
    if (reporting::DumpJson(At(row, "kind"), 0) == "\"read\"") {
      latencies += NumberOf(At(row, "count")).value_or(-1);
    }
  }
  EXPECT_EQ(latencies, reads);
}

class ScenarioTest : public ::testing::TestWithParam<std::string> {
 protected:
  stoker::testing::TempDir dir_;
};

TEST_P(ScenarioTest, GivesTheValuesWorkedOutByHand) {
  const Scenario scenario(GetParam());

  const Outcome outcome = RunScenario(scenario, scenario.storage, dir_.path());

  for (const core::Status& status : outcome.statuses) {
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  ExpectFields(At(scenario.expected, "summary"),
               JsonOf(outcome.folder / reporting::kSummaryFile));
  ExpectFields(At(scenario.expected, "record"),
               JsonOf(outcome.folder / reporting::kRecordFile));
  ExpectLedgerAgrees(JsonOf(outcome.folder / reporting::kRecordFile),
                     JsonOf(outcome.folder / reporting::kLedgerFile));
  if (scenario.expected.Find("steps") != nullptr) {
    ExpectSame(At(scenario.expected, "steps"),
               StepRows(outcome.folder / reporting::kStepsFile), "steps");
  }
}

TEST_P(ScenarioTest, ReadsTheSameSamplesInEveryRunAndFromEveryStore) {
  const Scenario scenario(GetParam());

  const Outcome first = RunScenario(scenario, "mem:", dir_.path() / "first");
  const Outcome again = RunScenario(scenario, "mem:", dir_.path() / "again");
  const Outcome slow = RunScenario(
      scenario, "model:?latency=7ms&servers=3,mem:", dir_.path() / "slow");

  EXPECT_EQ(HashOf(again), HashOf(first));
  EXPECT_EQ(HashOf(slow), HashOf(first));
  EXPECT_EQ(HashOf(first).size(), 16U);
}

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".yaml") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, ScenarioTest,
                         ::testing::ValuesIn(ScenarioNames()),
                         [](const auto& scenario) { return scenario.param; });

TEST(RunTraining, OpStreamHashIsThatOfTheIndexSamplersOrder) {
  const stoker::testing::TempDir dir;
  const Scenario scenario("torch_compute_bound");
  // 2 ranks, 32 files, batches of 4: rank r reads files 16r, 16r + 1, … in
  // each of the 2 epochs.
  std::vector<std::uint64_t> hashes;
  for (std::uint32_t rank = 0; rank < 2; ++rank) {
    dataset::OpStreamHash hash;
    for (std::uint32_t i = 0; i < 2 * 16; ++i) {
      hash.Add({.epoch = 1 + i / 16,
                .rank = rank,
                .step = i % 16 / 4,
                .file = 16 * rank + i % 16,
                .sample = 0,
                .bytes = 65536});
    }
    hashes.push_back(hash.value());
  }

  const Outcome outcome = RunScenario(scenario, "mem:", dir.path());

  EXPECT_EQ(HashOf(outcome), dataset::CombineHashes(hashes));
}

TEST(RunTraining, TellsItsStoryAsJsonLines) {
  const stoker::testing::TempDir dir;
  const Scenario scenario("one_slow_file");
  ::testing::internal::CaptureStdout();
  const Outcome outcome =
      RunScenario(scenario, scenario.storage, dir.path(),
                  {.format = LogFormat::kJson, .progress_columns = 80});
  const std::string said = ::testing::internal::GetCapturedStdout();

  ASSERT_TRUE(outcome.statuses[0].ok()) << outcome.statuses[0].ToString();
  std::map<std::string, Json> last;  // of each event
  for (const std::string_view line : core::Split(said, '\n')) {
    if (line.empty()) {
      continue;
    }
    const auto parsed = reporting::ParseJson(line);
    ASSERT_TRUE(parsed.ok()) << line;
    const Json& event = parsed.value();
    last[std::get<std::string>(At(event, "event").value())] = event;
  }
  ASSERT_TRUE(last.contains("run_start") && last.contains("progress"));
  EXPECT_EQ(NumberOf(At(last["run_start"], "accelerators")), 2);
  // After the first step, of 0.1 s: three more.
  EXPECT_EQ(NumberOf(At(last["progress"], "step")), 1);
  EXPECT_NEAR(NumberOf(At(last["progress"], "eta_s")).value_or(0), 0.3, 1e-9);
  EXPECT_NEAR(NumberOf(At(last["epoch_end"], "au_percent")).value_or(0),
              100 * 0.3 / 1.3, 1e-9);
  EXPECT_NEAR(NumberOf(At(last["epoch_end"], "samples_per_s")).value_or(0),
              2 * 3 / 1.3, 1e-9);
  EXPECT_EQ(NumberOf(At(last["summary"], "longest_load_max_seconds")), 1.0);
}

TEST(RunTraining, FailedReadEndsAllRanksWithItsCause) {
  const stoker::testing::TempDir dir;
  const Scenario scenario("torch_compute_bound");

  // File 21 is the sixth of rank 1.
  const Outcome outcome = RunScenario(
      scenario, "fault:?object=img_21_of_32&error=EIO,mem:", dir.path());

  for (const core::Status& status : outcome.statuses) {
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr("img_21_of_32.npz"), HasSubstr("Input/output error")));
  }
  EXPECT_FALSE(fs::exists(dir.path() / reporting::kSummaryFile));
  EXPECT_EQ(reporting::DumpJson(
                At(JsonOf(dir.path() / reporting::kRecordFile), "state"), 0),
            "\"running\"");  // whoever ends the process marks it
}

TEST(RunTraining, CorruptByteIsFoundByTheChecksum) {
  const stoker::testing::TempDir dir;
  const Scenario scenario("torch_compute_bound");

  const Outcome outcome = RunScenario(
      scenario,
      "fault:?object=img_03_of_32&count=all&flip=1000,mem:", dir.path());

  EXPECT_EQ(outcome.statuses[0].code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(outcome.statuses[0].message()),
              AllOf(HasSubstr("img_03_of_32.npz"), HasSubstr("CRC-32")));
}

TEST(RunTraining, AllRanksAgreeThatThereIsNoDataset) {
  const stoker::testing::TempDir dir;
  const Scenario scenario("torch_compute_bound");
  std::vector<core::Status> statuses(2);
  core::VirtualClock clock;
  const core::CancelFlag cancel;
  const std::string place = OwnPlace("mem:");

  comm::RunThreads(2, clock, &cancel, [&](comm::Communicator& comm) {
    Console console({.speaks = false});
    const RankContext context{
        .comm = &comm, .clock = &clock, .cancel = &cancel, .console = &console};
    statuses[static_cast<std::size_t>(comm.rank())] =
        RunTraining(context, TrainRequestOf(scenario, place, dir.str()));
  });

  for (const core::Status& status : statuses) {
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr("datagen"));
  }
}

}  // namespace
}  // namespace stoker::run
