#include "storage/fault_backend.h"

#include <utility>

#include "core/check.h"
#include "storage/internal/fault_queue.h"
#include "storage/internal/fault_script.h"
#include "storage/internal/object_table.h"
#include "storage/internal/options.h"
#include "storage/internal/wrapper_backend.h"

namespace stoker::storage {

namespace {

using Operation = FaultRule::Operation;

// Acts on an operation that has a clock to wait on.
core::Status Act(internal::FaultScriptState& script, Operation operation,
                 std::string_view object, core::Clock& clock) {
  const FaultRule* const rule =
      script.Judge({.operation = operation, .object = object});
  if (rule == nullptr) {
    return {};
  }
  if (const auto* delay = std::get_if<FaultRule::Delay>(&rule->action)) {
    clock.SleepUntil(clock.Now() + delay->time);
    return {};
  }
  return std::get<FaultRule::Error>(rule->action).status.WithContext(object);
}

// The parts lie in the inner stream's memory. Both keep the first part back, or
// neither does, so a patch of ours is one of the inner stream's too. Faults are
// met before a part is on its way.
class FaultWriteStream final : public WriteStream {
 public:
  FaultWriteStream(internal::FaultScriptState& script, std::string name,
                   std::unique_ptr<WriteStream> inner,
                   const WriteOptions& options, core::Clock& clock)
      : WriteStream(options, clock),
        script_(script),
        name_(std::move(name)),
        inner_(std::move(inner)) {}

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    STOKER_TRY(Forward(offset));
    return inner_->Buffer();
  }
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    STOKER_TRY(Act(script_, Operation::kWrite, name_, clock()));
    STOKER_TRY(Forward(offset + part.size()));
    return inner_->Cut();
  }
  core::Status DoCommit(std::uint64_t size, WriteTimes& times) override {
    STOKER_TRY(Act(script_, Operation::kCommit, name_, clock()));
    STOKER_TRY(Forward(size));
    STOKER_ASSIGN(const WriteTimes inner_times, inner_->Commit());
    times.last = inner_times.last;
    times.synced = inner_times.synced;
    CountFlight(inner_->counters().idle, inner_->counters().waited);
    return {};
  }
  // Appends to the inner stream what is ours up to `end`.
  core::Status Forward(std::uint64_t end) {
    if (inner_->position() >= end) {
      return {};
    }
    return inner_->Append(end - inner_->position());
  }

  internal::FaultScriptState& script_;
  std::string name_;
  std::unique_ptr<WriteStream> inner_;
};

class FaultBackend final : public internal::WrapperBackend {
 public:
  FaultBackend(Uri uri, FaultScript script, std::unique_ptr<Backend> inner)
      : WrapperBackend(std::move(inner)),
        uri_(std::move(uri)),
        script_(std::move(script)) {}

  std::string_view scheme() const override { return "fault"; }
  std::string uri() const override {
    Uri text = uri_;
    text.inner = inner().uri();
    return FormatUri(text);
  }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const ObjectInfo&)>& visit) override {
    STOKER_TRY(script_.JudgeSimple(Operation::kList, prefix));
    return inner().List(prefix, visit);
  }
  ObjectId Resolve(std::string_view object_name) override {
    return objects_.Take([&](internal::FaultObject& object) {
      object.name = object_name;
      object.inner = inner().Resolve(object_name);
    });
  }
  void Release(ObjectId id) override {
    objects_.Give(id, [this](const internal::FaultObject& object) {
      inner().Release(object.inner);
    });
  }
  core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) override {
    STOKER_ASSIGN(std::unique_ptr<ReadQueue> queue,
                  inner().NewReadQueue(options, clock));
    return std::unique_ptr<ReadQueue>(std::make_unique<internal::FaultQueue>(
        script_, objects_, std::move(queue), clock));
  }
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override {
    STOKER_TRY(Act(script_, Operation::kCreate, object_name, clock));
    STOKER_ASSIGN(std::unique_ptr<WriteStream> stream,
                  inner().Create(object_name, options, clock));
    return std::unique_ptr<WriteStream>(std::make_unique<FaultWriteStream>(
        script_, std::string(object_name), std::move(stream), options, clock));
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    STOKER_TRY(script_.JudgeSimple(Operation::kLink, name));
    return inner().Link(existing, name);
  }
  core::Status Remove(std::string_view object_name) override {
    STOKER_TRY(script_.JudgeSimple(Operation::kRemove, object_name));
    return inner().Remove(object_name);
  }

 private:
  Uri uri_;
  internal::FaultScriptState script_;
  internal::ObjectTable<internal::FaultObject> objects_;
};

}  // namespace

core::Result<std::unique_ptr<Backend>> NewFaultBackend(
    FaultScript script, std::unique_ptr<Backend> inner) {
  STOKER_CHECK(inner != nullptr);
  for (const FaultRule& rule : script) {
    STOKER_TRY(internal::CheckFaultRule(rule));
  }
  return std::unique_ptr<Backend>(std::make_unique<FaultBackend>(
      Uri{.scheme = "fault"}, std::move(script), std::move(inner)));
}

core::Result<std::unique_ptr<Backend>> OpenFaultBackend(
    const Uri& uri, const OpenSettings& /*settings*/,
    std::unique_ptr<Backend> inner) {
  STOKER_TRY(internal::CheckNoPlace(uri));
  STOKER_ASSIGN(FaultRule rule, internal::FaultRuleOf(uri));
  STOKER_TRY(internal::CheckFaultRule(rule));
  return std::unique_ptr<Backend>(std::make_unique<FaultBackend>(
      uri, FaultScript{std::move(rule)}, std::move(inner)));
}

}  // namespace stoker::storage
