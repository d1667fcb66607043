#pragma once

// The write side of the model back end.

#include <memory>
#include <string>
#include <vector>

#include "storage/forwarding_stream.h"
#include "storage/internal/model_service.h"

namespace stoker::storage::internal {

// The inner stream has each part at once; what goes on is only the time the
// simulated store takes for it, for `in_flight` parts while the next is filled.
// A failed part is the next call's error.
class ModelWriteStream final : public ForwardingStream {
 public:
  // `store` outlives the stream.
  ModelWriteStream(ModelStore& store, std::string name,
                   std::unique_ptr<WriteStream> inner,
                   const WriteOptions& options, core::Clock& clock);

 private:
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override;
  core::Status DoCommit(std::uint64_t size, WriteTimes& times) override;
  // Waits until at most `parts` are on their way.
  core::Status WaitFor(std::size_t parts);

  ModelStore& store_;
  const std::string name_;
  ModelService service_;
  std::vector<std::size_t> free_tags_;
  core::TimePoint last_end_{};  // of the parts that ended
  bool any_ended_ = false;
  core::Nanos idle_{};
  core::Nanos waited_{};
  core::Status failed_;
};

}  // namespace stoker::storage::internal
