#pragma once

// The read side of the fault back end.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/internal/done_ring.h"
#include "storage/internal/fault_script.h"
#include "storage/internal/held_ops.h"
#include "storage/object_table.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// An object of the fault back end.
struct FaultObject {
  std::string name;
  std::uint64_t hash = 0;  // HashOfName
  ObjectId inner{};
};

class FaultQueue final : public ReadQueue {
 public:
  // `script` and `objects` outlive the queue.
  FaultQueue(FaultScriptState& script, ObjectTable<FaultObject>& objects,
             std::unique_ptr<ReadQueue> inner, core::Clock& clock);
  void Wake() override;
  void RegisterMemory(std::span<std::byte> memory) override {
    inner_->RegisterMemory(memory);
  }
  std::string_view engine() const override { return inner_->engine(); }

 private:
  // What a slot needs until its op comes back.
  struct Slot {
    const FaultRule* rule = nullptr;
    core::TimePoint submitted{};
    ReadOp op;
  };

  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;
  const FaultRule* Judge(const ReadOp& op, const FaultObject& object,
                         core::TimePoint now);
  core::Status ReapInner(std::size_t at_least, core::TimePoint deadline);
  void Returned(ReadDone done);

  FaultScriptState& script_;
  ObjectTable<FaultObject>& objects_;
  std::unique_ptr<ReadQueue> inner_;
  std::vector<Slot> slots_;           // by tag
  std::vector<ReadOp> forward_;       // scratch
  std::vector<ReadDone> from_inner_;  // scratch
  DoneRing done_;
  HeldOps held_;
  ClockWaker waker_;
};

}  // namespace stoker::storage::internal
