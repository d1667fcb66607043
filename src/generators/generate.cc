#include "generators/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include "core/check.h"
#include "core/units.h"
#include "dataset/spec.h"
#include "formats/tfrecord_format.h"
#include "generators/internal/place.h"
#include "generators/internal/watched_stream.h"

namespace stoker::generators {

namespace {

using internal::Todo;

// Ranks may be done with their shares at quite different times.
constexpr core::Nanos kPhaseTimeout = std::chrono::hours(24 * 30);

// A file by its set and its place in it.
struct Place {
  const dataset::Naming* naming = nullptr;
  std::uint64_t index = 0;       // in the set
  std::uint64_t generation = 0;  // over both sets
};

// What goes along with the writing.
struct Watch {
  core::Clock& clock;
  const core::CancelFlag& cancel;
  const GenerateProgress& progress;
};

// The share of one rank.
class Writer {
 public:
  Writer(const comm::Communicator& comm, storage::Backend& backend,
         const GeneratePlan& plan, const dataset::Shapes& shapes, Todo todo,
         const Watch& watch)
      : rank_(static_cast<std::uint64_t>(comm.rank())),
        ranks_(static_cast<std::uint64_t>(comm.size())),
        backend_(backend),
        plan_(plan),
        shapes_(shapes),
        todo_(todo),
        watch_(watch),
        payload_(plan.content.seed),
        mine_(OwnCount(Contents()) + OwnCount(Names() - Contents())) {}

  core::Status WriteContents() {
    for (std::uint64_t c = rank_; c < Contents(); c += ranks_) {
      STOKER_TRY(CheckCancel());
      const Place place = ContentPlace(c);
      if (todo_.data) {
        STOKER_TRY(WriteFile(place));
      }
      if (todo_.index) {
        STOKER_TRY(WriteIndex(place));
      }
    }
    return {};
  }

  core::Status MakeLinks() {
    for (std::uint64_t l = rank_; l < Names() - Contents(); l += ranks_) {
      STOKER_TRY(CheckCancel());
      const Place place = LinkPlace(l);
      const std::uint64_t content = place.index % plan_.content.distinct;
      if (todo_.data) {
        dataset::ObjectName(*place.naming, content, existing_);
        dataset::ObjectName(*place.naming, place.index, name_);
        STOKER_TRY(MakeLink());
        NameDone();
      }
      if (todo_.index) {
        dataset::IndexName(*place.naming, content, existing_);
        dataset::IndexName(*place.naming, place.index, name_);
        STOKER_TRY(MakeLink());
      }
    }
    return {};
  }

  const GenerateResult& result() const { return result_; }

 private:
  std::uint64_t TrainContents() const {
    return dataset::DistinctFiles(plan_.train.total, plan_.content.distinct);
  }
  std::uint64_t Contents() const {
    return TrainContents() +
           dataset::DistinctFiles(plan_.valid.total, plan_.content.distinct);
  }
  std::uint64_t Names() const { return plan_.train.total + plan_.valid.total; }
  std::uint64_t OwnCount(std::uint64_t of) const {
    return of > rank_ ? (of - rank_ + ranks_ - 1) / ranks_ : 0;
  }

  Place TrainPlace(std::uint64_t index) const {
    return {&plan_.train, index, index};
  }
  Place ValidPlace(std::uint64_t index) const {
    return {&plan_.valid, index, plan_.train.total + index};
  }
  Place ContentPlace(std::uint64_t c) const {
    return c < TrainContents() ? TrainPlace(c)
                               : ValidPlace(c - TrainContents());
  }
  Place LinkPlace(std::uint64_t l) const {
    const std::uint64_t train_links = plan_.train.total - TrainContents();
    return l < train_links
               ? TrainPlace(TrainContents() + l)
               : ValidPlace(Contents() - TrainContents() + l - train_links);
  }

  core::Status CheckCancel() const {
    if (watch_.cancel.IsSet()) {
      return {core::Code::kCancelled, "generate: asked to stop"};
    }
    return {};
  }

  core::Status WriteFile(const Place& place) {
    dataset::ObjectName(*place.naming, place.index, name_);
    const formats::FileSpec spec = SpecOf(plan_, shapes_, place.generation);
    const core::Status written = Encode(spec, plan_.format->FileBytes(spec));
    STOKER_TRY(written.WithContext(fmt::format("generate {}", name_)));
    NameDone();
    return {};
  }

  core::Status Encode(const formats::FileSpec& spec, std::uint64_t bytes) {
    storage::WriteOptions options;
    options.expected_size = bytes;
    // No larger than the file, in whole pages.
    constexpr std::uint64_t kPage = 4096;
    options.part_size = static_cast<std::size_t>(std::min<std::uint64_t>(
        options.part_size, (bytes + kPage - 1) / kPage * kPage));
    STOKER_ASSIGN(const std::unique_ptr<storage::WriteStream> inner,
                  backend_.Create(name_, options, watch_.clock));
    internal::WatchedStream stream(
        options, watch_.clock, *inner, watch_.cancel,
        [this](std::uint64_t in_place) { Report(in_place); });
    STOKER_TRY(plan_.format->Encode(spec, payload_, stream));
    STOKER_CHECK(stream.position() == bytes);
    STOKER_TRY(stream.Commit().status());
    Account(*inner);
    return {};
  }

  core::Status WriteIndex(const Place& place) {
    dataset::IndexName(*place.naming, place.index, name_);
    const std::string text =
        formats::TfrecordIndex(SpecOf(plan_, shapes_, place.generation));
    const core::Status written = WriteText(text);
    return written.WithContext(fmt::format("generate {}", name_));
  }

  core::Status WriteText(std::string_view text) {
    STOKER_ASSIGN(const std::unique_ptr<storage::WriteStream> stream,
                  backend_.Create(name_, {}, watch_.clock));
    STOKER_TRY(
        stream->Write(std::as_bytes(std::span(text.data(), text.size()))));
    STOKER_TRY(stream->Commit().status());
    Account(*stream);
    return {};
  }

  core::Status MakeLink() {
    const core::TimePoint start = watch_.clock.Now();
    const core::Status linked = backend_.Link(existing_, name_);
    result_.busy_storage += watch_.clock.Now() - start;
    return linked.WithContext(
        fmt::format("generate {} as a name of {}", name_, existing_));
  }

  void Account(const storage::WriteStream& stream) {
    result_.bytes += stream.counters().bytes;
    result_.busy_storage += stream.counters().busy;
  }

  void NameDone() {
    ++result_.files;
    Report(0);
  }

  // `in_place`: bytes of the file being written.
  void Report(std::uint64_t in_place) const {
    if (watch_.progress) {
      watch_.progress(result_.files, mine_, result_.bytes + in_place);
    }
  }

  const std::uint64_t rank_;
  const std::uint64_t ranks_;
  storage::Backend& backend_;
  const GeneratePlan& plan_;
  const dataset::Shapes& shapes_;
  const Todo todo_;
  const Watch watch_;
  CounterPayload payload_;
  const std::uint64_t mine_;  // names
  GenerateResult result_;
  std::string name_;
  std::string existing_;
};

// All ranks get here, however their part went.
core::Status EndPhase(comm::Communicator& comm, const core::Status& mine) {
  const core::Status met = comm.Barrier(kPhaseTimeout);
  if (!met.ok()) {
    return mine.ok() ? met : mine;
  }
  return comm::Agree(comm, mine);
}

core::Result<Todo> Spread(comm::Communicator& comm, Todo todo) {
  comm::Bytes data = {std::byte{todo.data}, std::byte{todo.index}};
  STOKER_TRY(comm.Broadcast(data, 0));
  STOKER_CHECK(data.size() == 2);
  return Todo{.data = data[0] != std::byte{0},
              .index = data[1] != std::byte{0}};
}

}  // namespace

core::Result<GenerateResult> Generate(comm::Communicator& comm,
                                      storage::Backend& backend,
                                      const GeneratePlan& plan,
                                      core::Clock& clock,
                                      const core::CancelFlag& cancel,
                                      const GenerateProgress& progress) {
  const core::TimePoint start = clock.Now();
  const bool first = comm.rank() == 0;
  const dataset::Shapes shapes =
      dataset::Shapes::Make(plan.sizes, plan.train.total + plan.valid.total);
  dataset::Manifest manifest;
  core::Result<Todo> prepared = Todo{};
  if (first) {
    manifest = ManifestOf(plan, shapes);
    prepared = internal::PreparePlace(backend, plan, shapes, manifest, clock);
  }
  STOKER_TRY(EndPhase(comm, prepared.status()));
  STOKER_ASSIGN(const Todo todo, Spread(comm, prepared.value()));

  Writer writer(comm, backend, plan, shapes, todo, {clock, cancel, progress});
  STOKER_TRY(EndPhase(comm, writer.WriteContents()));
  STOKER_TRY(EndPhase(comm, writer.MakeLinks()));
  core::Status finished;
  if (first && todo.data) {
    finished = dataset::WriteManifest(backend, manifest, clock);
  }
  STOKER_TRY(EndPhase(comm, finished));

  GenerateResult result = writer.result();
  result.reused = !todo.data;
  result.elapsed = clock.Now() - start;
  return result;
}

}  // namespace stoker::generators
