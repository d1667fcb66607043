#pragma once

// The pickle (protocol 2) that describes a file's tensors, byte for byte what
// CPython writes for torch.save of such a dict. docs/checkpoints.md has the
// grammar.

#include <span>
#include <string>

#include "checkpoint/model.h"

namespace stoker::checkpoint {

// A dict of dicts and tensors. The i-th tensor's storage has the key i.
std::string PickleOf(std::span<const TensorSpec> tensors);

}  // namespace stoker::checkpoint
