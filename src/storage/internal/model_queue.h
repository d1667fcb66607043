#pragma once

// The read side of the model back end.

#include <memory>
#include <string>
#include <vector>

#include "storage/internal/held_ops.h"
#include "storage/internal/model_service.h"
#include "storage/object_table.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// An object of the model back end.
struct ModelObject {
  std::string name;
  std::uint64_t hash = 0;  // HashOfName
  ObjectId inner{};
};

class ModelQueue final : public ReadQueue {
 public:
  // `store` and `objects` outlive the queue.
  ModelQueue(ModelStore& store, ObjectTable<ModelObject>& objects,
             std::unique_ptr<ReadQueue> inner, core::Clock& clock);

  void Wake() override { waker_.Wake(clock()); }
  void RegisterMemory(std::span<std::byte> memory) override {
    inner_->RegisterMemory(memory);
  }
  std::string_view engine() const override { return inner_->engine(); }

 private:
  // What a slot needs until its op is over.
  struct Slot {
    ReadDone answer;  // of the inner queue
    ObjectId object{};
    ReadOp::Kind kind = ReadOp::Kind::kRead;
  };

  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;
  core::Status ReadInner();
  std::size_t TakeEnded(core::TimePoint now, std::span<ReadDone> done);

  ObjectTable<ModelObject>& objects_;
  std::unique_ptr<ReadQueue> inner_;
  ModelService service_;
  std::vector<ReadOp> forward_;    // scratch
  std::vector<ReadDone> answers_;  // scratch
  std::vector<Slot> slots_;        // by tag
  ClockWaker waker_;
};

}  // namespace stoker::storage::internal
