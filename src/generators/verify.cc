#include "generators/verify.h"

#include <fmt/format.h>

#include <array>
#include <functional>
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
  std::vector<Problem> told;

  void Tell(std::string_view object, std::string_view reason,
            std::optional<std::uint64_t> offset = std::nullopt) {
    if (told.size() < kTellAtMost) {
      told.push_back({std::string(object), offset, std::string(reason)});
    }
  }
  void Bad(std::string_view object, std::string_view reason,
           std::optional<std::uint64_t> offset = std::nullopt) {
    ++bad;
    Tell(object, reason, offset);
  }
};

// What rank 0 saw from outside, by generation index.
struct Seen {
  Bits there;  // files of the right size
  Bits index;
};

// The objects a rank reads, in order: each content with its sidecars and index,
// then those of further names that the storage does not tell to be the same.
class Agenda {
 public:
  // `on_linked` is called for each name that needs no reading. Nothing is owned
  // but the function.
  Agenda(const GeneratePlan& plan, const internal::Seat& seat, const Seen& seen,
         storage::Backend& backend, std::function<void()> on_linked)
      : plan_(plan),
        seat_(seat),
        seen_(seen),
        backend_(backend),
        on_linked_(std::move(on_linked)),
        inventory_(plan),
        walk_(plan, seat,
              [&seen](const internal::Place& place) {
                return seen.there.Test(place.generation) ||
                       seen.index.Test(place.generation);
              }),
        specs_(plan),
        next_link_(seat.rank),
        steps_(plan.format->sidecars().size() + 2),
        step_(steps_) {}

  // False: that was the last, or `cancel` is set.
  bool Next(Expected& expected, const core::CancelFlag& cancel) {
    while (!cancel.IsSet()) {
      if (step_ == steps_ && !BeginFile()) {
        return false;
      }
      const std::size_t step = step_++;
      const Bits& there = IsIndex(step) ? seen_.index : seen_.there;
      if (there.Test(place_.generation)) {
        NameObject(step, place_.index, expected.name);
        if (!link_ || !IsSame(step, expected.name)) {
          Describe(step, expected);
          return true;
        }
        if (step == 0) {
          on_linked_();
        }
      }
    }
    return false;
  }

 private:
  bool IsIndex(std::size_t step) const { return step + 1 == steps_; }

  bool BeginFile() {
    step_ = 0;
    if (!link_ && walk_.Next(place_)) {
      spec_ = specs_.At(place_.generation);
      return true;
    }
    link_ = true;
    if (next_link_ >= inventory_.names() - inventory_.contents()) {
      step_ = steps_;
      return false;
    }
    place_ = inventory_.Link(next_link_);
    next_link_ += seat_.ranks;
    return true;
  }

  // Step 0: the file, then its sidecars, then its index.
  void NameObject(std::size_t step, std::uint64_t index,
                  std::string& name) const {
    if (IsIndex(step)) {
      dataset::IndexName(*place_.naming, index, name);
      return;
    }
    dataset::ObjectName(*place_.naming, index, name);
    if (step > 0) {
      name += plan_.format->sidecars()[step - 1];
    }
  }

  // Whether a link is the object that is read under its content's name.
  bool IsSame(std::size_t step, const std::string& name) {
    NameObject(step, place_.index % plan_.content.distinct, content_name_);
    const auto mine = backend_.Identity(name);
    const auto other = backend_.Identity(content_name_);
    return mine.ok() && other.ok() && mine.value().has_value() &&
           mine.value() == other.value();
  }

  void Describe(std::size_t step, Expected& expected) {
    if (link_) {
      if (!shapes_) {
        shapes_ = ShapesOf(plan_);
      }
      spec_ = SpecOf(plan_, *shapes_, place_.generation);
    }
    expected.spec = spec_;
    expected.stream = place_.stream;
    if (IsIndex(step)) {
      expected.kind = Expected::Kind::kIndex;
      expected.bytes = formats::TfrecordIndex(spec_).size();
    } else if (step > 0) {
      expected.kind = Expected::Kind::kSidecar;
      expected.sidecar = step - 1;
      expected.bytes = plan_.format->SidecarBytes(spec_, expected.sidecar);
    } else {
      expected.kind = Expected::Kind::kData;
      expected.bytes = plan_.format->FileBytes(spec_);
    }
  }

  const GeneratePlan& plan_;
  const internal::Seat seat_;
  const Seen& seen_;
  storage::Backend& backend_;
  std::function<void()> on_linked_;
  const internal::Inventory inventory_;
  internal::ContentWalk walk_;
  SpecCursor specs_;
  std::optional<dataset::Shapes> shapes_;  // once a link is read
  internal::Place place_;
  formats::FileSpec spec_;
  bool link_ = false;  // all contents are done
  std::uint64_t next_link_;
  const std::size_t steps_;
  std::size_t step_;
  std::string content_name_;
};

// The share of one rank in reading.
class Checker {
 public:
  Checker(const GeneratePlan& plan, const internal::Seat& seat,
          const Seen& seen, core::Clock& clock, Problems& problems)
      : plan_(plan),
        seat_(seat),
        seen_(seen),
        clock_(clock),
        problems_(problems) {
    CountShare();
  }

  std::array<std::uint64_t, 2> share() const {
    return {own_.bytes_mine, own_.files_mine};
  }

  // `all`: the shares of all ranks.
  Status Run(storage::Backend& backend, const core::CancelFlag& cancel,
             const OnProgress& progress, core::Nanos io_timeout,
             std::span<const std::uint64_t> all) {
    own_.bytes_all = all[0];
    own_.files_all = all[1];
    Agenda agenda(plan_, seat_, seen_, backend, [&] {
      ++linked_;
      Report(progress);
    });
    STOKER_ASSIGN(memory_,
                  core::AlignedBuffer::Make(2 * internal::ReadAhead::kPiece,
                                            /*resident=*/false));
    STOKER_ASSIGN(
        const std::unique_ptr<internal::ReadAhead> ahead,
        internal::ReadAhead::Make(
            backend,
            [&](Expected& expected) { return agenda.Next(expected, cancel); },
            clock_, cancel, io_timeout));
    while (const Expected* expected = ahead->Begin()) {
      std::optional<std::uint64_t> offset;
      const Status compared = Compare(*expected, *ahead, offset);
      if (ahead->broken()) {
        return compared.WithContext(fmt::format("verify {}", expected->name));
      }
      if (!compared.ok()) {
        problems_.Bad(expected->name, compared.message(), offset);
      }
      contents_ += expected->kind == Expected::Kind::kData ? 1U : 0U;
      indexes_ += expected->kind == Expected::Kind::kIndex ? 1U : 0U;
      STOKER_TRY(ahead->End().WithContext("verify"));
      own_.bytes_done = ahead->bytes();
      Report(progress);
    }
    bytes_ = ahead->bytes();
    STOKER_TRY(internal::CheckCancel(cancel, "verify"));
    own_.waiting = seat_.ranks > 1;
    if (own_.waiting) {
      Report(progress);
    }
    return ahead->broken()
               ? Status(Code::kIoError, "verify: the read queue is unusable")
               : Status();
  }

  std::uint64_t contents() const { return contents_; }
  std::uint64_t linked() const { return linked_; }
  std::uint64_t indexes() const { return indexes_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void CountShare() {
    const auto there = [this](const internal::Place& place) {
      return seen_.there.Test(place.generation);
    };
    SpecCursor specs(plan_);
    internal::Place place;
    for (internal::ContentWalk walk(plan_, seat_, there); walk.Next(place);) {
      ++own_.files_mine;
      own_.bytes_mine += StoredBytes(*plan_.format, specs.At(place.generation));
    }
    static_cast<void>(
        internal::ForEachLink(plan_, seat_, [&](const internal::Place& link) {
          own_.files_mine += there(link) ? 1U : 0U;
          return Status();
        }));
  }

  Status Compare(const Expected& expected, internal::ReadAhead& ahead,
                 std::optional<std::uint64_t>& differs_at) {
    internal::CompareStream stream(clock_, ahead, memory_.bytes());
    const auto encode = [&]() -> Status {
      switch (expected.kind) {
        case Expected::Kind::kData:
          if (payload_ == nullptr || stream_ != expected.stream) {
            payload_ = NewPayload(plan_, expected.stream);
            stream_ = expected.stream;
          }
          return plan_.format->Encode(expected.spec, *payload_, stream);
        case Expected::Kind::kSidecar:
          return plan_.format->EncodeSidecar(expected.spec, expected.sidecar,
                                             stream);
        case Expected::Kind::kIndex:
          break;
      }
      const std::string text = formats::TfrecordIndex(expected.spec);
      return stream.Write(std::as_bytes(std::span(text.data(), text.size())));
    };
    Status status = encode();
    if (status.ok()) {
      status = stream.Commit().status();
    }
    differs_at = stream.differs_at();
    return status;
  }

  void Report(const OnProgress& progress) {
    if (progress) {
      own_.files_done = contents_ + linked_;
      progress(own_);
    }
  }

  const GeneratePlan& plan_;
  const internal::Seat seat_;
  const Seen& seen_;
  core::Clock& clock_;
  Problems& problems_;
  core::AlignedBuffer memory_;
  std::unique_ptr<formats::PayloadSource> payload_;
  std::uint64_t stream_ = 0;
  OwnProgress own_;
  std::uint64_t contents_ = 0;
  std::uint64_t linked_ = 0;
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
                    problems.Tell(oddity.name,
                                  "it does not belong to the dataset");
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
  const std::array own = {result.contents, result.linked, result.indexes,
                          result.bytes,    problems.bad,  problems.extra};
  STOKER_ASSIGN(const std::vector<std::uint64_t> all,
                internal::SumAtRoot(comm, own));
  result.contents = all[0];
  result.linked = all[1];
  result.indexes = all[2];
  result.bytes = all[3];
  result.bad = all[4];
  result.extra = all[5];
  comm::Bytes told;
  internal::AppendWord(told, problems.told.size());
  for (const Problem& problem : problems.told) {
    internal::AppendText(told, problem.object);
    internal::AppendText(told, problem.reason);
    internal::AppendWord(told, problem.offset ? 1 : 0);
    internal::AppendWord(told, problem.offset.value_or(0));
  }
  STOKER_ASSIGN(const std::vector<comm::Bytes> gathered, comm.Gather(told, 0));
  for (const comm::Bytes& message : gathered) {
    internal::WordReader reader(message);
    for (std::uint64_t count = reader.Word(); count > 0; --count) {
      Problem problem{.object = comm::ToText(reader.Text()),
                      .offset = {},
                      .reason = comm::ToText(reader.Text())};
      const bool has_offset = reader.Word() != 0;
      const std::uint64_t offset = reader.Word();
      if (has_offset) {
        problem.offset = offset;
      }
      result.problems.push_back(std::move(problem));
    }
  }
  return {};
}

}  // namespace

core::Result<VerifyResult> Verify(comm::Communicator& comm,
                                  storage::Backend& backend, core::Clock& clock,
                                  const core::CancelFlag& cancel,
                                  const OnProgress& progress,
                                  core::Nanos io_timeout) {
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
  Seen seen;
  seen.there = Bits(reader.Words());
  seen.index = Bits(reader.Words());
  STOKER_ASSIGN(const GeneratePlan plan, PlanOf(result.manifest));
  STOKER_ASSIGN(result.unfinished,
                internal::SweepPlace(comm, backend, storage::Sweep::kCount));
  Checker checker(plan, internal::SeatOf(comm), seen, clock, problems);
  STOKER_ASSIGN(const std::vector<std::uint64_t> shares,
                internal::SumAtRoot(comm, checker.share()));
  STOKER_TRY(internal::EndPhase(
      comm, checker.Run(backend, cancel, progress, io_timeout, shares)));
  result.names = plan.names();
  result.contents = checker.contents();
  result.linked = checker.linked();
  result.indexes = checker.indexes();
  result.bytes = checker.bytes();
  result.bad = problems.bad;
  result.extra = problems.extra;
  STOKER_TRY(Gather(comm, problems, result));
  result.elapsed = clock.Now() - start;
  return result;
}

}  // namespace stoker::generators
