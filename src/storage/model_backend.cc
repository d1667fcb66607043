#include "storage/model_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "storage/internal/model_queue.h"
#include "storage/internal/model_segment.h"
#include "storage/internal/model_write_stream.h"
#include "storage/uri_options.h"
#include "storage/wrapper_backend.h"

namespace stoker::storage {

namespace {

using internal::ModelCaps;
using internal::OpPlace;

// Where the times of the store lie.
struct ModelMemory {
  std::unique_ptr<internal::ModelSegment> shared;
  std::unique_ptr<internal::OwnModelMemory> own;  // if not shared

  internal::ModelLimits Limits(const ModelCaps& caps) const {
    return shared != nullptr
               ? internal::ModelLimits(caps, shared->times(), shared->slots())
               : internal::ModelLimits(caps, own->times(), own->slots());
  }
};

class ModelBackend final : public WrapperBackend {
 public:
  ModelBackend(Uri uri, const ModelCaps& caps, internal::ModelSchedule schedule,
               ModelMemory memory, const OpenSettings& settings,
               std::unique_ptr<Backend> inner)
      : WrapperBackend(std::move(inner)),
        uri_(std::move(uri)),
        clock_(settings.clock),
        memory_(std::move(memory)),
        store_{.schedule = schedule,
               .limits = memory_.Limits(caps),
               .patience = settings.io_timeout} {}

  std::string_view scheme() const override { return "model"; }
  std::string uri() const override {
    Uri text = uri_;
    text.inner = inner().uri();
    return FormatUri(text);
  }
  Capabilities capabilities() const override {
    Capabilities capabilities = inner().capabilities();
    capabilities.simulated = true;
    return capabilities;
  }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const ObjectInfo&)>& visit) override {
    STOKER_TRY(Ask(OpPlace::Kind::kList, prefix));
    return inner().List(prefix, visit);
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    STOKER_TRY(Ask(OpPlace::Kind::kLink, name));
    return inner().Link(existing, name);
  }
  core::Result<std::uint64_t> RemoveAll(
      std::span<const std::string> object_names) override {
    return Backend::RemoveAll(object_names);
  }
  core::Status Remove(std::string_view object_name) override {
    STOKER_TRY(Ask(OpPlace::Kind::kRemove, object_name));
    return inner().Remove(object_name);
  }
  ObjectId Resolve(std::string_view object_name) override {
    return objects_.Take([&](internal::ModelObject& object) {
      object.name = object_name;
      object.hash = internal::HashOfName(object_name);
      object.inner = inner().Resolve(object_name);
    });
  }
  void Release(ObjectId id) override {
    objects_.Give(id, [this](const internal::ModelObject& object) {
      inner().Release(object.inner);
    });
  }
  core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) override {
    STOKER_ASSIGN(std::unique_ptr<ReadQueue> queue,
                  inner().NewReadQueue(options, clock));
    return std::unique_ptr<ReadQueue>(std::make_unique<internal::ModelQueue>(
        store_, objects_, std::move(queue), clock));
  }
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override {
    STOKER_TRY(AskOn(clock, OpPlace::Kind::kCreate, object_name));
    STOKER_ASSIGN(std::unique_ptr<WriteStream> stream,
                  inner().Create(object_name, options, clock));
    return std::unique_ptr<WriteStream>(
        std::make_unique<internal::ModelWriteStream>(
            store_, std::string(object_name), std::move(stream), options,
            clock));
  }
  std::optional<RequestCounters> Requests() const override {
    const internal::ModelCounters& counters = store_.counters;
    return RequestCounters{.requests = counters.requests,
                           .repetitions = counters.repetitions,
                           .bytes_received = counters.bytes_received,
                           .bytes_sent = counters.bytes_sent,
                           .throttled = counters.throttled,
                           .server_errors = counters.errors};
  }

 private:
  core::Status AskOn(core::Clock& clock, OpPlace::Kind kind,
                     std::string_view name) {
    return internal::DoAlone(
        store_, {.place = {.kind = kind, .object = internal::HashOfName(name)}},
        name, clock);
  }
  core::Status Ask(OpPlace::Kind kind, std::string_view name) {
    return clock_ == nullptr ? core::Status{} : AskOn(*clock_, kind, name);
  }

  Uri uri_;
  core::Clock* clock_;  // of calls that are handed none; may be null
  ModelMemory memory_;
  internal::ModelStore store_;
  ObjectTable<internal::ModelObject> objects_;
};

// What this host may use of the limits in the URI.
core::Result<ModelCaps> CapsOf(const Uri& uri, double host_share) {
  constexpr std::uint64_t kMostAtOnce = 65536;
  constexpr std::uint64_t kMostRequests = 1'000'000'000;
  STOKER_ASSIGN(const std::uint64_t bandwidth,
                BytesOption(uri, "bandwidth", 0));
  if (uri.options.contains("bandwidth") && bandwidth == 0) {
    return BadOption(uri, "bandwidth",
                     "nothing would ever arrive; leave it out for "
                     "an unlimited one");
  }
  STOKER_ASSIGN(
      const std::uint64_t requests,
      CountOption(uri, "requests", 0, {.lowest = 1, .highest = kMostRequests}));
  const bool split = uri.options.contains("servers");
  if (split && uri.options.contains("concurrency")) {
    return BadOption(uri, "servers", "give it or concurrency, not both");
  }
  STOKER_ASSIGN(const std::uint64_t at_once,
                CountOption(uri, split ? "servers" : "concurrency", 0,
                            {.lowest = 1, .highest = kMostAtOnce}));
  ModelCaps caps{
      .bytes_per_second = static_cast<double>(bandwidth) * host_share,
      .requests_per_second = static_cast<double>(requests) * host_share,
      .split = split};
  if (at_once > 0) {
    caps.concurrency = static_cast<std::uint64_t>(
        std::max(1.0, std::round(static_cast<double>(at_once) * host_share)));
  }
  return caps;
}

core::Result<ModelMemory> MemoryOf(const Uri& uri, const ModelCaps& caps,
                                   const OpenSettings& settings) {
  ModelMemory memory;
  if (settings.shared_name.empty()) {
    memory.own = std::make_unique<internal::OwnModelMemory>(caps.concurrency);
    return memory;
  }
  STOKER_ASSIGN(memory.shared,
                internal::ModelSegment::Open(
                    fmt::format("{}-{:016x}", settings.shared_name,
                                internal::HashOfName(FormatUri(uri))),
                    caps));
  return memory;
}

}  // namespace

core::Result<std::unique_ptr<Backend>> OpenModelBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner) {
  STOKER_TRY(CheckNoPlace(uri));
  STOKER_ASSIGN(const ModelCaps caps, CapsOf(uri, settings.host_share));
  STOKER_ASSIGN(const internal::ModelSchedule schedule,
                internal::ModelSchedule::Of(uri));
  STOKER_ASSIGN(ModelMemory memory, MemoryOf(uri, caps, settings));
  return std::unique_ptr<Backend>(std::make_unique<ModelBackend>(
      uri, caps, schedule, std::move(memory), settings, std::move(inner)));
}

}  // namespace stoker::storage
