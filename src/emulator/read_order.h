#pragma once

// The order of a loader's reads, told before it reads.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/status.h"
#include "emulator/loader.h"
#include "storage/read_order.h"

namespace stoker::emulator {

// Of the loader that MakeLoader would make of the same arguments, by the code
// that the loader reads by. An object is a file of the set, its number the
// index there. Positions are samples of the rank, step * batch size + k; in the
// record pipeline files of a pass, the n-th file of each rank at position n.
// `here`: by rank, whether it is on this host. Needs no `data.backend`.
//
// kUnsupported: files of several samples under lean, which reads parts of them
// in any order, or of more than 64 in another pipeline than that of records.
core::Result<std::unique_ptr<storage::ReadOrder>> MakeReadOrder(
    PipelineShape shape, const LoaderData& data, const LoaderOptions& options,
    std::vector<bool> here);

// Bytes it takes once the first epoch has begun.
std::uint64_t ReadOrderBytes(PipelineShape shape, const LoaderOptions& options);

}  // namespace stoker::emulator
