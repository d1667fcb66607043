#include "core/random.h"
#include "generators/generate.h"

namespace stoker::generators {

void CounterPayload::Fill(std::uint64_t file, std::uint32_t sample,
                          std::uint64_t offset, std::span<std::byte> out) {
  core::FillCounterStream(core::StreamKey(seed_, file, sample), offset, out);
}

}  // namespace stoker::generators
