#include "cache/internal/policies.h"

namespace stoker::cache::internal {

namespace {

class NeverEviction final : public Eviction {
 public:
  explicit NeverEviction(const EvictionMemory& memory) : Eviction(memory) {}

  void OnInsert(std::uint32_t /*slot*/, std::uint32_t /*next_use*/) override {
    ++state().residents;
  }
  void OnHit(std::uint32_t /*slot*/, std::uint32_t /*next_use*/) override {}
  void OnRemove(std::uint32_t /*slot*/) override { --state().residents; }
  std::optional<std::uint32_t> Victim(const MayGo& /*may_go*/,
                                      std::uint32_t /*next_use*/) override {
    return std::nullopt;
  }

 private:
  void Adopt(std::uint32_t /*slot*/) override { ++state().residents; }
};

}  // namespace

std::unique_ptr<Eviction> MakeNever(const EvictionMemory& memory) {
  return std::make_unique<NeverEviction>(memory);
}

}  // namespace stoker::cache::internal
