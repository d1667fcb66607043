// STUB, to link until the phases are there.

#include "checkpoint/restore.h"
#include "run/checkpoint_phases.h"

namespace stoker::checkpoint {

core::Result<Verify> ParseVerify(std::string_view name) {
  return name == "none"     ? Verify::kNone
         : name == "sample" ? Verify::kSample
                            : Verify::kFull;
}

std::string_view NameOf(Verify verify) {
  return verify == Verify::kNone     ? "none"
         : verify == Verify::kSample ? "sample"
                                     : "full";
}

}  // namespace stoker::checkpoint

namespace stoker::run {

namespace {
core::Status Missing() {
  return {core::Code::kUnsupported, "checkpoints: not built in"};
}
}  // namespace

core::Status RunCheckpointing(const RankContext& /*context*/,
                              const CheckpointRequest& /*request*/) {
  return Missing();
}
core::Status VerifyCheckpoints(Console& /*console*/, core::Clock& /*clock*/,
                               const core::CancelFlag& /*cancel*/,
                               const std::string& /*uri*/) {
  return Missing();
}
core::Status DeleteCheckpoints(Console& /*console*/, core::Clock& /*clock*/,
                               const std::string& /*uri*/) {
  return Missing();
}

}  // namespace stoker::run
