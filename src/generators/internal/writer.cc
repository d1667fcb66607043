#include "generators/internal/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "core/check.h"
#include "formats/tfrecord_format.h"
#include "generators/internal/object_remover.h"
#include "generators/internal/phase.h"
#include "generators/internal/watched_stream.h"
#include "generators/payload.h"

namespace stoker::generators::internal {

using core::Status;

Writer::Writer(const Seat& seat, storage::Backend& backend,
               const GeneratePlan& plan, const Todo& todo, const Watch& watch)
    : seat_(seat),
      backend_(backend),
      plan_(plan),
      todo_(todo),
      watch_(watch),
      specs_(plan) {
  CountShare();
}

void Writer::CountShare() {
  SpecCursor specs(plan_);
  Place place;
  for (ContentWalk walk = Walk(); walk.Next(place);) {
    if (WantsData(place)) {
      ++done_.files_mine;
      done_.bytes_mine +=
          StoredBytes(*plan_.format, specs.At(place.generation));
    }
  }
  static_cast<void>(ForEachLink(plan_, seat_, [this](const Place& link) {
    done_.files_mine += WantsData(link) ? 1U : 0U;
    return Status();
  }));
}

Status Writer::Clear() {
  const Inventory inventory(plan_);
  ObjectRemover remover(plan_, backend_);
  for (std::uint64_t i = seat_.rank; i < plan_.names(); i += seat_.ranks) {
    STOKER_TRY(CheckCancel(watch_.cancel, "generate"));
    STOKER_TRY(remover.Remove(inventory.At(i)));
  }
  return remover.Flush();
}

Status Writer::WriteContents() {
  Place place;
  for (ContentWalk walk = Walk(); walk.Next(place);) {
    STOKER_TRY(CheckCancel(watch_.cancel, "generate"));
    if (WantsData(place)) {
      if (payload_stream_ != place.stream) {
        payload_ = NewPayload(plan_, place.stream);
        payload_stream_ = place.stream;
      }
      STOKER_TRY(WriteFile(place));
    }
    if (WantsIndex(place)) {
      STOKER_TRY(WriteIndex(place));
    }
  }
  return {};
}

Status Writer::WriteFile(const Place& place) {
  const formats::FileSpec spec = specs_.At(place.generation);
  const formats::Format& format = *plan_.format;
  dataset::ObjectName(*place.naming, place.index, name_);
  STOKER_TRY(Write(format.FileBytes(spec), [&](storage::WriteStream& out) {
    return format.Encode(spec, *payload_, out);
  }));
  const auto sidecars = format.sidecars();
  for (std::size_t which = 0; which < sidecars.size(); ++which) {
    dataset::ObjectName(*place.naming, place.index, name_);
    name_ += sidecars[which];
    STOKER_TRY(
        Write(format.SidecarBytes(spec, which), [&](storage::WriteStream& out) {
          return format.EncodeSidecar(spec, which, out);
        }));
  }
  NameDone();
  return {};
}

Status Writer::WriteIndex(const Place& place) {
  dataset::IndexName(*place.naming, place.index, name_);
  const std::string text = formats::TfrecordIndex(specs_.At(place.generation));
  return Write(text.size(), [&](storage::WriteStream& out) {
    return out.Write(std::as_bytes(std::span(text.data(), text.size())));
  });
}

// The object `name_`.
Status Writer::Write(std::uint64_t bytes, const Encoder& encode) {
  storage::WriteOptions options;
  options.expected_size = bytes;
  const auto write = [&]() -> Status {
    STOKER_ASSIGN(const std::unique_ptr<storage::WriteStream> inner,
                  backend_.Create(name_, options, watch_.clock));
    WatchedStream stream(options, watch_.clock, *inner, watch_.cancel,
                         [this](std::uint64_t in_place) { Report(in_place); });
    STOKER_TRY(encode(stream));
    STOKER_CHECK(stream.position() == bytes);
    STOKER_TRY(stream.Commit().status());
    bytes_ += inner->counters().bytes;
    busy_storage_ += inner->counters().busy;
    return {};
  };
  return write().WithContext(fmt::format("generate {}", name_));
}

Status Writer::MakeLinks() {
  return ForEachLink(plan_, seat_, [this](const Place& place) -> Status {
    STOKER_TRY(CheckCancel(watch_.cancel, "generate"));
    const std::uint64_t content = place.index % plan_.content.distinct;
    if (WantsData(place)) {
      STOKER_TRY(LinkData(place, content));
      NameDone();
    }
    if (WantsIndex(place)) {
      dataset::IndexName(*place.naming, content, existing_);
      dataset::IndexName(*place.naming, place.index, name_);
      STOKER_TRY(MakeLink());
    }
    return {};
  });
}

Status Writer::LinkData(const Place& place, std::uint64_t content) {
  dataset::ObjectName(*place.naming, content, existing_);
  dataset::ObjectName(*place.naming, place.index, name_);
  STOKER_TRY(MakeLink());
  const std::size_t existing_length = existing_.size();
  const std::size_t length = name_.size();
  for (const std::string_view sidecar : plan_.format->sidecars()) {
    existing_.resize(existing_length);
    existing_ += sidecar;
    name_.resize(length);
    name_ += sidecar;
    STOKER_TRY(MakeLink());
  }
  return {};
}

Status Writer::MakeLink() {
  const core::TimePoint start = watch_.clock.Now();
  const Status linked = backend_.Link(existing_, name_);
  busy_storage_ += watch_.clock.Now() - start;
  return linked.WithContext(
      fmt::format("generate {} as a name of {}", name_, existing_));
}

void Writer::Wait() {
  done_.waiting = seat_.ranks > 1;
  if (done_.waiting && done_.files_all > 0) {
    Report(0);
  }
  done_.waiting = false;
}

void Writer::NameDone() {
  ++done_.files_done;
  Report(0);
}

// `in_place`: bytes of the object being written.
void Writer::Report(std::uint64_t in_place) {
  if (watch_.progress) {
    done_.bytes_done = bytes_ + in_place;
    watch_.progress(done_);
  }
}

}  // namespace stoker::generators::internal
