#include "generators/generate.h"

#include <array>
#include <utility>

#include "generators/internal/phase.h"
#include "generators/internal/place.h"
#include "generators/internal/scan.h"
#include "generators/internal/writer.h"

namespace stoker::generators {

namespace {

using internal::Bits;
using internal::EndPhase;
using internal::Todo;

// Tells all ranks what rank 0 found out.
core::Status Spread(comm::Communicator& comm, Todo& todo,
                    std::uint64_t& streams) {
  comm::Bytes message;
  if (comm.rank() == 0) {
    for (const std::uint64_t word :
         {std::uint64_t{todo.clear}, std::uint64_t{todo.data},
          std::uint64_t{todo.index}, streams}) {
      internal::AppendWord(message, word);
    }
    internal::AppendWords(message, todo.kept.words());
    internal::AppendWords(message, todo.kept_index.words());
  }
  STOKER_TRY(comm.Broadcast(message, 0));
  internal::WordReader reader(message);
  todo.clear = reader.Word() != 0;
  todo.data = reader.Word() != 0;
  todo.index = reader.Word() != 0;
  streams = reader.Word();
  todo.kept = Bits(reader.Words());
  todo.kept_index = Bits(reader.Words());
  return {};
}

}  // namespace

core::Result<GenerateResult> Generate(comm::Communicator& comm,
                                      storage::Backend& backend,
                                      const GeneratePlan& wanted,
                                      core::Clock& clock,
                                      const core::CancelFlag& cancel,
                                      const OnProgress& progress) {
  const core::TimePoint start = clock.Now();
  const internal::Seat seat = internal::SeatOf(comm);
  const bool first = seat.rank == 0;
  GeneratePlan plan = wanted;
  GenerateResult result;
  STOKER_ASSIGN(result.swept,
                internal::SweepPlace(comm, backend, storage::Sweep::kRemove));
  core::Result<internal::Prepared> prepared = internal::Prepared{};
  if (first) {
    prepared = internal::LookAtPlace(backend, plan, seat.ranks, clock);
  }
  STOKER_TRY(EndPhase(comm, prepared.status()));
  Todo& todo = prepared.value().todo;
  STOKER_TRY(Spread(comm, todo, plan.content.ranks));

  internal::Writer writer(seat, backend, plan, todo, {clock, cancel, progress});
  if (todo.clear) {
    STOKER_TRY(EndPhase(comm, writer.Clear()));
  }
  core::Status announced;
  if (first) {
    announced = internal::Announce(backend, prepared.value(), clock);
  }
  STOKER_TRY(EndPhase(comm, announced));
  STOKER_ASSIGN(const std::vector<std::uint64_t> shares,
                internal::SumAtRoot(comm, writer.share()));
  writer.TellAll(shares[0], shares[1]);
  const core::TimePoint begun = clock.Now();
  const core::Status written = writer.WriteContents();
  writer.Wait();
  STOKER_TRY(EndPhase(comm, written));
  result.writing = clock.Now() - begun;
  const core::Status linked = writer.MakeLinks();
  if (plan.content.distinct > 0) {
    writer.Wait();
  }
  STOKER_TRY(EndPhase(comm, linked));
  core::Status concluded;
  if (first) {
    concluded = internal::Conclude(backend, prepared.value(), clock);
  }
  STOKER_TRY(EndPhase(comm, concluded));

  result.files = writer.files();
  result.bytes = writer.bytes();
  result.busy_storage = writer.busy_storage();
  result.kept = todo.kept.Count();
  result.reused = !todo.data;
  result.replaced = prepared.value().cleared;
  result.streams = plan.content.ranks;
  result.elapsed = clock.Now() - start;
  const std::array own = {result.files, result.bytes};
  STOKER_ASSIGN(const std::vector<std::uint64_t> all,
                internal::SumAtRoot(comm, own));
  result.all_files = all[0];
  result.all_bytes = all[1];
  return result;
}

}  // namespace stoker::generators
