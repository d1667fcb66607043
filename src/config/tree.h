#pragma once

// Changing the tree of a workload file: overrides and references.

#include <string_view>

#include "config/node.h"
#include "config/overrides.h"

namespace stoker::config {

// The entry of that name of a map itself, or nullptr.
Entry* FindEntry(Node& map, std::string_view name);

// The value at a dotted key, or nullptr. `root` is a map.
const Node* FindNode(const Node& root, std::string_view key);

// Applies one override. Adding a key that is set, and removing one that is not
// (or not to the value given) are problems; unknown keys are found later, when
// the tree is read. Maps are merged into maps; any other value replaces what
// is there.
void ApplyOverride(const Override& change, Node& root, Problems& problems);

// Replaces ${a.b} and ${workload.a.b} in all texts by the value of that key
// (with its type if the text is nothing else). Unset keys, rings, relative
// references and resolvers such as ${oc.env:X} are problems.
void ResolveReferences(Node& root, Problems& problems);

}  // namespace stoker::config
