#include "generators/verify.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "core/aligned_buffer.h"
#include "formats/tfrecord_format.h"
#include "generators/internal/compare_stream.h"
#include "generators/internal/phase.h"
#include "generators/internal/read_ahead.h"
#include "generators/internal/scan.h"
#include "generators/internal/walk.h"
#include "generators/payload.h"

namespace stoker::generators {

namespace {

using core::Code;
using core::Status;
using internal::Bits;
using internal::Expected;

// Problems of one rank: all counted, some told.
struct Problems {
  std::uint64_t bad = 0;
  std::uint64_t extra = 0;
  std::vector<std::string> told;

  void Tell(std::string text) {
    if (told.size() < kTellAtMost) {
      told.push_back(std::move(text));
    }
  }
  void Bad(std::string_view name, std::string_view what) {
    ++bad;
    Tell(fmt::format("{}: {}", name, what));
  }
};

// The objects a rank reads, in order: each content with its sidecars and index.
class Agenda {
 public:
  // `there`: files of the right size. Nothing is owned.
  Agenda(const GeneratePlan& plan, const internal::Seat& seat,
         const Bits& there, const Bits& index)
      : plan_(plan),
        there_(there),
        index_(index),
        walk_(plan, seat),
        specs_(plan) {}

  bool Next(Expected& expected) {
    while (true) {
      if (step_ == 0) {
        if (!walk_.Next(place_)) {
          return false;
        }
        spec_ = specs_.At(place_.generation);
      }
      const std::size_t step = step_;
      const std::size_t sidecars = plan_.format->sidecars().size();
      step_ = step == sidecars + 1 ? 0 : step + 1;
      if (step == sidecars + 1 ? Index(expected) : Data(step, expected)) {
        return true;
      }
    }
  }

 private:
  bool Data(std::size_t step, Expected& expected) {
    if (!there_.Test(place_.generation)) {
      return false;
    }
    dataset::ObjectName(*place_.naming, place_.index, expected.name);
    expected.spec = spec_;
    expected.stream = place_.stream;
    expected.kind = Expected::Kind::kData;
    expected.bytes = plan_.format->FileBytes(spec_);
    if (step > 0) {
      expected.kind = Expected::Kind::kSidecar;
      expected.sidecar = step - 1;
      expected.name += plan_.format->sidecars()[expected.sidecar];
      expected.bytes = plan_.format->SidecarBytes(spec_, expected.sidecar);
    }
    return true;
  }
  bool Index(Expected& expected) {
    if (!index_.Test(place_.generation)) {
      return false;
    }
    dataset::IndexName(*place_.naming, place_.index, expected.name);
    expected.kind = Expected::Kind::kIndex;
    expected.spec = spec_;
    expected.bytes = formats::TfrecordIndex(spec_).size();
    return true;
  }

  const GeneratePlan& plan_;
  const Bits& there_;
  const Bits& index_;
  internal::ContentWalk walk_;
  SpecCursor specs_;
  internal::Place place_;
  formats::FileSpec spec_;
  std::size_t step_ = 0;  // 0: the file, then its sidecars, then its index
};

// The share of one rank in reading.
class Checker {
 public:
  Checker(const GeneratePlan& plan, storage::Backend& backend,
          core::Clock& clock, const OnProgress& progress, Problems& problems)
      : plan_(plan),
        backend_(backend),
        clock_(clock),
        progress_(progress),
        problems_(problems) {}

  Status Run(const internal::Seat& seat, const Bits& there, const Bits& index,
             const core::CancelFlag& cancel) {
    CountShare(seat, there);
    Agenda agenda(plan_, seat, there, index);
    STOKER_ASSIGN(memory_,
                  core::AlignedBuffer::Make(2 * internal::ReadAhead::kPiece,
                                            /*resident=*/false));
    STOKER_ASSIGN(
        const std::unique_ptr<internal::ReadAhead> ahead,
        internal::ReadAhead::Make(
            backend_, [&](Expected& expected) { return agenda.Next(expected); },
            clock_, cancel));
    while (const Expected* expected = ahead->Begin()) {
      const Status compared = Compare(*expected, *ahead);
      if (ahead->broken()) {
        return compared.WithContext(fmt::format("verify {}", expected->name));
      }
      if (!compared.ok()) {
        problems_.Bad(expected->name, compared.message());
      }
      (expected->kind == Expected::Kind::kIndex ? indexes_ : contents_) +=
          expected->kind == Expected::Kind::kSidecar ? 0U : 1U;
      own_.files_done = contents_;
      STOKER_TRY(ahead->End().WithContext("verify"));
      Report(*ahead);
    }
    bytes_ = ahead->bytes();
    return ahead->broken()
               ? Status(Code::kIoError, "verify: the read queue is unusable")
               : Status();
  }

  std::uint64_t contents() const { return contents_; }
  std::uint64_t indexes() const { return indexes_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void CountShare(const internal::Seat& seat, const Bits& there) {
    SpecCursor specs(plan_);
    internal::Place place;
    for (internal::ContentWalk walk(plan_, seat); walk.Next(place);) {
      if (there.Test(place.generation)) {
        ++own_.files_mine;
        own_.bytes_mine +=
            StoredBytes(*plan_.format, specs.At(place.generation));
      }
    }
  }

  Status Compare(const Expected& expected, internal::ReadAhead& ahead) {
    internal::CompareStream stream(clock_, ahead, memory_.bytes());
    switch (expected.kind) {
      case Expected::Kind::kData:
        if (payload_ == nullptr || stream_ != expected.stream) {
          payload_ = NewPayload(plan_, expected.stream);
          stream_ = expected.stream;
        }
        STOKER_TRY(plan_.format->Encode(expected.spec, *payload_, stream));
        break;
      case Expected::Kind::kSidecar:
        STOKER_TRY(plan_.format->EncodeSidecar(expected.spec, expected.sidecar,
                                               stream));
        break;
      case Expected::Kind::kIndex: {
        const std::string text = formats::TfrecordIndex(expected.spec);
        STOKER_TRY(
            stream.Write(std::as_bytes(std::span(text.data(), text.size()))));
        break;
      }
    }
    return stream.Commit().status();
  }

  void Report(const internal::ReadAhead& ahead) {
    if (progress_) {
      own_.bytes_done = ahead.bytes();
      progress_(own_);
    }
  }

  const GeneratePlan& plan_;
  storage::Backend& backend_;
  core::Clock& clock_;
  const OnProgress& progress_;
  Problems& problems_;
  core::AlignedBuffer memory_;
  std::unique_ptr<formats::PayloadSource> payload_;
  std::uint64_t stream_ = 0;
  OwnProgress own_;
  std::uint64_t contents_ = 0;
  std::uint64_t indexes_ = 0;
  std::uint64_t bytes_ = 0;
};

core::Result<dataset::Manifest> FindManifest(storage::Backend& backend,
                                             core::Clock& clock) {
  if (!backend.capabilities().stores_data) {
    return Status(Code::kInvalidArgument,
                  fmt::format("verify {}: it keeps no data", backend.uri()));
  }
  STOKER_ASSIGN(std::optional<dataset::Manifest> manifest,
                dataset::ReadManifest(backend, clock));
  if (manifest) {
    return *std::move(manifest);
  }
  STOKER_ASSIGN(const std::optional<dataset::Manifest> partial,
                dataset::ReadManifest(backend, clock, dataset::kPartialName));
  if (partial) {
    return Status(Code::kInvalidArgument,
                  fmt::format("verify {}: the dataset is not finished ({} says "
                              "so); the same datagen again completes it",
                              backend.uri(), dataset::kPartialName));
  }
  return Status(
      Code::kNotFound,
      fmt::format("verify {}: there is no {}, so what should be there is not "
                  "known; only datasets of 'stoker training datagen' have one",
                  backend.uri(), dataset::kManifestName));
}

// What rank 0 sees from outside.
core::Result<internal::Found> LookAround(storage::Backend& backend,
                                         const GeneratePlan& plan,
                                         Problems& problems) {
  using internal::Oddity;
  Bits cut(plan.names());
  STOKER_ASSIGN(internal::Found found,
                internal::Scan(backend, plan, [&](const Oddity& oddity) {
                  if (oddity.kind == Oddity::Kind::kWrongSize) {
                    problems.Bad(oddity.name,
                                 fmt::format("it has {} bytes, expected are {}",
                                             oddity.size, oddity.wanted));
                    cut.Set(oddity.file);
                  } else {
                    ++problems.extra;
                    problems.Tell(fmt::format(
                        "{}: it does not belong to the dataset", oddity.name));
                  }
                  return true;
                }));
  const internal::Inventory inventory(plan);
  const bool indexed = found.index.Count() > 0;
  for (std::uint64_t i = 0; i < plan.names(); ++i) {
    const internal::Place place = inventory.At(i);
    if (!found.data.Test(i) && !cut.Test(i)) {
      problems.Bad(dataset::ObjectName(*place.naming, place.index),
                   plan.format->sidecars().empty()
                       ? "it is missing"
                       : "it, or a file that belongs to it, is missing");
    }
    if (indexed && !found.index.Test(i)) {
      std::string name;
      dataset::IndexName(*place.naming, place.index, name);
      problems.Bad(name, "it is missing, others have an index");
    }
  }
  return found;
}

// What rank 0 tells the others.
comm::Bytes Encode(const dataset::Manifest& manifest,
                   const internal::Found& found) {
  comm::Bytes message;
  internal::AppendText(message, dataset::ManifestText(manifest));
  internal::AppendWords(message, found.data.words());
  internal::AppendWords(message, found.index.words());
  return message;
}

core::Status Gather(comm::Communicator& comm, const Problems& problems,
                    VerifyResult& result) {
  const std::array own = {result.contents, result.indexes, result.bytes,
                          problems.bad, problems.extra};
  STOKER_ASSIGN(const std::vector<std::uint64_t> all,
                internal::SumAtRoot(comm, own));
  result.contents = all[0];
  result.indexes = all[1];
  result.bytes = all[2];
  result.bad = all[3];
  result.extra = all[4];
  comm::Bytes told;
  internal::AppendWord(told, problems.told.size());
  for (const std::string& text : problems.told) {
    internal::AppendText(told, text);
  }
  STOKER_ASSIGN(const std::vector<comm::Bytes> gathered, comm.Gather(told, 0));
  for (const comm::Bytes& message : gathered) {
    internal::WordReader reader(message);
    for (std::uint64_t count = reader.Word(); count > 0; --count) {
      result.problems.push_back(comm::ToText(reader.Text()));
    }
  }
  return {};
}

}  // namespace

core::Result<VerifyResult> Verify(comm::Communicator& comm,
                                  storage::Backend& backend, core::Clock& clock,
                                  const core::CancelFlag& cancel,
                                  const OnProgress& progress) {
  const core::TimePoint start = clock.Now();
  Problems problems;
  comm::Bytes message;
  const auto look = [&]() -> Status {
    STOKER_ASSIGN(const dataset::Manifest manifest,
                  FindManifest(backend, clock));
    STOKER_ASSIGN(const GeneratePlan plan, PlanOf(manifest));
    STOKER_TRY(CheckContent(plan));
    STOKER_ASSIGN(const internal::Found found,
                  LookAround(backend, plan, problems));
    message = Encode(manifest, found);
    return {};
  };
  STOKER_TRY(
      internal::EndPhase(comm, comm.rank() == 0 ? look() : core::Status()));
  STOKER_TRY(comm.Broadcast(message, 0));
  internal::WordReader reader(message);
  VerifyResult result;
  STOKER_ASSIGN(result.manifest,
                dataset::ParseManifest(comm::ToText(reader.Text())));
  const Bits there(reader.Words());
  const Bits index(reader.Words());
  STOKER_ASSIGN(const GeneratePlan plan, PlanOf(result.manifest));
  Checker checker(plan, backend, clock, progress, problems);
  STOKER_TRY(internal::EndPhase(
      comm, checker.Run(internal::SeatOf(comm), there, index, cancel)));
  result.names = plan.names();
  result.contents = checker.contents();
  result.indexes = checker.indexes();
  result.bytes = checker.bytes();
  result.bad = problems.bad;
  result.extra = problems.extra;
  STOKER_TRY(Gather(comm, problems, result));
  result.elapsed = clock.Now() - start;
  return result;
}

}  // namespace stoker::generators
