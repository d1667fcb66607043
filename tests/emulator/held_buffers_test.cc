// Buffers that storage keeps, because a device may still write to them.

#include <memory>
#include <string>

#include "tests/emulator/scenario.h"
#include "tests/storage/holding_backend.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::Scene;
using testing::Stage;

using HeldBuffers = testing::VirtualTimeTest;

TEST_F(HeldBuffers, AreNotReadIntoAgainAndOutliveTheLoader) {
  const std::string uri = "mem:held_buffers";
  Scene scene{.files = 12};
  scene.options.read_threads = 2;
  Stage::Generate(scene, uri);
  Stage stage(scene, uri, clock_);
  stoker::testing::HoldingBackend backend(storage::OpenBackend(uri).value(), 3);
  LoaderData data = stage.Data();
  data.backend = &backend;
  auto loader =
      MakeLoader(scene.shape, data, stage.Options(), clock_, stage.cancel());
  ASSERT_TRUE(loader.ok()) << loader.status().ToString();
  // The checksums that the files carry are compared.
  const EpochLog log = testing::RunEpoch(*loader.value(), clock_, {});
  EXPECT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.batches.size(), 12U);
  loader = core::Status(core::Code::kCancelled, "gone");
  // What is written to is still there.
  EXPECT_GE(backend.Scribble(), 4U);
}

}  // namespace
}  // namespace stoker::emulator
