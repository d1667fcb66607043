#include "storage/fault_backend.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/check.h"
#include "storage/forwarding_stream.h"
#include "storage/internal/fault_queue.h"
#include "storage/internal/fault_script.h"
#include "storage/object_table.h"
#include "storage/uri_options.h"
#include "storage/wrapper_backend.h"

namespace stoker::storage {

namespace {

using Operation = FaultRule::Operation;

// Acts on an operation that has a clock to wait on.
core::Status Act(internal::FaultScriptState& script,
                 internal::FaultTarget target, core::Clock& clock) {
  const core::TimePoint asked = clock.Now();
  target.at = script.Age(asked);
  core::TimePoint due =
      script.Shaped(internal::Direction::kWrite, asked, asked, target.bytes);
  if (const FaultRule* const rule = script.Judge(target)) {
    const auto* const delay = std::get_if<FaultRule::Delay>(&rule->action);
    if (delay == nullptr) {
      return std::get<FaultRule::Error>(rule->action)
          .status.WithContext(target.object);
    }
    due = std::max(due, asked + delay->time);
  }
  if (due > asked) {
    clock.SleepUntil(due);
  }
  return {};
}

// Faults are met before a part is on its way.
class FaultWriteStream final : public ForwardingStream {
 public:
  FaultWriteStream(internal::FaultScriptState& script, std::string name,
                   std::unique_ptr<WriteStream> inner,
                   const WriteOptions& options, core::Clock& clock)
      : ForwardingStream(std::move(inner), options, clock),
        script_(script),
        name_(std::move(name)) {}

 private:
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    STOKER_TRY(Act(script_,
                   {.operation = Operation::kWrite,
                    .object = name_,
                    .offset = offset,
                    .bytes = part.size()},
                   clock()));
    return SendInner(offset, part.size());
  }
  core::Status DoCommit(std::uint64_t size, WriteTimes& times) override {
    STOKER_TRY(Act(script_, {.operation = Operation::kCommit, .object = name_},
                   clock()));
    return CommitInner(size, times);
  }

  internal::FaultScriptState& script_;
  std::string name_;
};

class FaultBackend final : public WrapperBackend {
 public:
  FaultBackend(Uri uri, FaultScript script, const FaultShape& shape,
               core::Clock* clock, std::unique_ptr<Backend> inner)
      : WrapperBackend(std::move(inner)),
        uri_(std::move(uri)),
        script_(std::move(script), shape, clock) {}

  std::string_view scheme() const override { return "fault"; }
  std::string uri() const override {
    Uri text = uri_;
    text.inner = inner().uri();
    return FormatUri(text);
  }
  Capabilities capabilities() const override {
    Capabilities capabilities = inner().capabilities();
    capabilities.faulty = capabilities.faulty || script_.active();
    return capabilities;
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
      object.hash = internal::HashOfName(object_name);
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
    STOKER_TRY(Act(script_,
                   {.operation = Operation::kCreate, .object = object_name},
                   clock));
    STOKER_ASSIGN(std::unique_ptr<WriteStream> stream,
                  inner().Create(object_name, options, clock));
    return std::unique_ptr<WriteStream>(std::make_unique<FaultWriteStream>(
        script_, std::string(object_name), std::move(stream), options, clock));
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    STOKER_TRY(script_.JudgeSimple(Operation::kLink, name));
    return inner().Link(existing, name);
  }
  core::Result<std::uint64_t> RemoveAll(
      std::span<const std::string> object_names) override {
    return Backend::RemoveAll(object_names);
  }
  core::Status Remove(std::string_view object_name) override {
    STOKER_TRY(script_.JudgeSimple(Operation::kRemove, object_name));
    return inner().Remove(object_name);
  }

 private:
  Uri uri_;
  internal::FaultScriptState script_;
  ObjectTable<internal::FaultObject> objects_;
};

}  // namespace

core::Result<std::unique_ptr<Backend>> NewFaultBackend(
    FaultScript script, std::unique_ptr<Backend> inner) {
  STOKER_CHECK(inner != nullptr);
  for (const FaultRule& rule : script) {
    STOKER_TRY(internal::CheckFaultRule(rule));
  }
  return std::unique_ptr<Backend>(
      std::make_unique<FaultBackend>(Uri{.scheme = "fault"}, std::move(script),
                                     FaultShape{}, nullptr, std::move(inner)));
}

core::Result<std::unique_ptr<Backend>> OpenFaultBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner) {
  STOKER_TRY(CheckNoPlace(uri));
  STOKER_ASSIGN(std::optional<FaultRule> rule, internal::FaultRuleOf(uri));
  STOKER_ASSIGN(const FaultShape shape, internal::FaultShapeOf(uri));
  FaultScript script;
  if (rule.has_value()) {
    script.push_back(*std::move(rule));
  }
  const bool shaped =
      uri.options.contains("latency") || uri.options.contains("bandwidth");
  for (const char* const key : {"from", "for"}) {
    if (script.empty() && !shaped && uri.options.contains(key)) {
      return BadOption(uri, key, "there is nothing to be done in that time");
    }
  }
  return std::unique_ptr<Backend>(std::make_unique<FaultBackend>(
      uri, std::move(script), shape, settings.clock, std::move(inner)));
}

}  // namespace stoker::storage
