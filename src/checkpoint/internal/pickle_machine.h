#pragma once

// Runs a pickle, protocols 2 to 5, as far as torch.save uses them: plain
// values, dicts, lists and tuples, and the few classes tensors are made of. No
// foreign code is ever called. Memory stays proportional to the pickle's
// length, whatever it says.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace stoker::checkpoint::pickle {

using Bytes = std::span<const std::byte>;
using Id = std::uint32_t;  // index into Graph::nodes

// Names that a pickle may refer to.
enum class Global : std::uint8_t {
  kOrderedDict,       // collections.OrderedDict
  kRebuildTensor,     // torch._utils._rebuild_tensor_v2
  kRebuildParameter,  // torch._utils._rebuild_parameter
  kSize,              // torch.Size
  kStorage,           // torch.HalfStorage and the like; Node::text has the name
  kPlain              // torch.float16 and the like
};

struct Node {
  enum class Kind : std::uint8_t {
    kPlain,    // None, a boolean, a float, bytes, an integer beyond 64 bits
    kInteger,  // number
    kText,     // text
    kTuple,    // children
    kList,     // children
    kDict,     // children: key, value, key, value, …
    kGlobal,   // global, text
    kStorage,  // children: kGlobal, key, elements
    kTensor    // children: kStorage, offset, size, stride
  } kind = Kind::kPlain;
  Global global = Global::kPlain;
  std::int64_t number = 0;
  std::string_view text;  // within the pickle
  std::vector<Id> children;
};

// May hold cycles: a memo lets a dict contain itself.
struct Graph {
  std::vector<Node> nodes;
  Id root = 0;
};

// The graph refers to `pickle`. kCorruption: not a pickle, or of the wrong
// types somewhere; kUnsupported: classes and operations that we do not know.
// Both name the offset within the pickle.
core::Result<Graph> Run(Bytes pickle);

}  // namespace stoker::checkpoint::pickle
