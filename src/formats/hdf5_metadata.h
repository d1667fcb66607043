#pragma once

// Finds dataset "records" in an hdf5 file: superblock version 0, old-style
// root group, object headers of version 1, as h5py writes unless told
// otherwise. What cannot be read is kUnsupported, what cannot be right
// kCorruption; both name the offset and what was expected.
//
// The parsers take the bytes of one object, whose place in the file the ones
// before have found.

#include <cstdint>
#include <string_view>

#include "core/status.h"
#include "formats/hdf5_layout.h"

namespace stoker::formats::hdf5 {

// Where the objects are, offsets from the file's start.
struct Metadata {
  std::uint64_t file_bytes = 0;  // as the superblock says
  std::uint64_t root_header = kRootHeader;
  std::uint64_t group_tree = kGroupTree;
  std::uint64_t heap = kHeap;
  std::uint64_t symbols = kSymbols;
  std::uint64_t records_header = kRecordsHeader;
  std::uint64_t name_offset = 0;  // of "records" in the heap's data
  // The dataset.
  Shape shape;
  std::uint64_t address = 0;  // of the array, or of the root of the chunk tree
};

// Metadata of what Hdf5Format::Encode writes.
Metadata PlannedMetadata(const Plan& plan);

// Bytes the library reads of an object whose size it does not know.
inline constexpr std::uint64_t kProbeBytes = 512;
inline constexpr std::uint64_t kGroupTreeBytes =
    kNodeHeadBytes + 2ULL * kGroupInternalK * 16 + 8;  // 544
inline constexpr std::uint64_t kSymbolsBytes =
    8 + 2ULL * kGroupLeafK * 40;  // 328

// kSuperblockBytes of the file. `file_bytes` is its true size.
core::Status ParseSuperblock(Bytes block, std::uint64_t file_bytes,
                             Metadata& out);
// Up to kProbeBytes at root_header, heap, records_header.
core::Status ParseRootHeader(Bytes header, Metadata& out);
core::Status ParseHeap(Bytes heap, Metadata& out);
core::Status ParseRecordsHeader(Bytes header, Metadata& out);
// kGroupTreeBytes at group_tree, kSymbolsBytes at symbols.
core::Status ParseGroupTree(Bytes node, Metadata& out);
core::Status ParseSymbols(Bytes node, Metadata& out);

// All of the above in the start of a file, which must hold all of it.
core::Status ParseFront(Bytes front, std::uint64_t file_bytes, Metadata& out);

// One step down the chunk tree.
struct Child {
  std::uint64_t address = 0;
  bool chunk = false;  // else a node
};
// `node` has kNodeBytes and lies at `at`.
core::Result<Child> FindChild(Bytes node, std::uint64_t at, const Shape& shape,
                              std::uint64_t chunk);

}  // namespace stoker::formats::hdf5
