#include "formats/hdf5_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "formats/byte_order.h"

namespace stoker::formats::hdf5 {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr std::string_view kDataset = "records";

constexpr std::uint16_t kDataspace = 1;
constexpr std::uint16_t kDatatype = 3;
constexpr std::uint16_t kDataLayout = 8;
constexpr std::uint16_t kFilters = 11;
constexpr std::uint16_t kSymbolTable = 17;

core::Status Corrupt(std::uint64_t at, std::string_view what) {
  return {core::Code::kCorruption, fmt::format("at offset {}: {}", at, what)};
}

core::Status Unsupported(std::uint64_t at, std::string_view what) {
  return {core::Code::kUnsupported, fmt::format("at offset {}: {}", at, what)};
}

core::Status CheckMagic(Bytes object, std::uint64_t at, std::string_view magic,
                        std::string_view name) {
  if (object.size() >= magic.size() &&
      AsText(object.first(magic.size())) == magic) {
    return {};
  }
  return Corrupt(at, fmt::format("expected the {} (\"{}\")", name, magic));
}

// Bytes `count` at `at` of the object at `where`.
core::Result<Bytes> Field(Bytes object, std::uint64_t where, std::uint64_t at,
                          std::uint64_t count) {
  if (at > object.size() || object.size() - at < count) {
    return Unsupported(where + at,
                       fmt::format("expected {} bytes within the first {} of "
                                   "the object at {}",
                                   count, object.size(), where));
  }
  return object.subspan(at, count);
}

// The data of the first message of `type`; empty: there is none.
core::Result<Bytes> FindMessage(Bytes header, std::uint64_t where,
                                std::uint16_t type) {
  STOKER_ASSIGN(const Bytes prefix, Field(header, where, 0, 16));
  if (LoadLe<std::uint8_t>(prefix, 0) != 1) {
    return Unsupported(where,
                       "expected an object header of version 1; files of "
                       "libver='latest' are not read");
  }
  const std::uint64_t end = std::min<std::uint64_t>(
      header.size(), 16U + LoadLe<std::uint32_t>(prefix, 8));
  std::uint64_t at = 16;
  for (int left = LoadLe<std::uint16_t>(prefix, 2); left > 0 && at + 8 <= end;
       --left) {
    const auto bytes = LoadLe<std::uint16_t>(header, at + 2);
    if (LoadLe<std::uint16_t>(header, at) == type) {
      return Field(header, where, at + 8, bytes);
    }
    at += 8U + bytes;
  }
  return Bytes();
}

core::Result<Bytes> NeedMessage(Bytes header, std::uint64_t where,
                                std::uint16_t type, std::string_view name,
                                std::size_t least) {
  STOKER_ASSIGN(const Bytes message, FindMessage(header, where, type));
  if (message.size() < least) {
    return Unsupported(where, fmt::format("expected a {} message in the object "
                                          "header",
                                          name));
  }
  return message;
}

core::Status ParseDataspace(Bytes message, std::uint64_t where, Shape& shape) {
  const auto version = LoadLe<std::uint8_t>(message, 0);
  const std::size_t dims = version == 1 ? 8 : 4;
  if ((version != 1 && version != 2) || LoadLe<std::uint8_t>(message, 1) != 3 ||
      message.size() < dims + 24) {
    return Unsupported(where, fmt::format("expected \"{}\" with three "
                                          "dimensions (samples, rows, columns)",
                                          kDataset));
  }
  shape.samples = LoadLe<std::uint64_t>(message, dims);
  shape.rows = LoadLe<std::uint64_t>(message, dims + 8);
  shape.columns = LoadLe<std::uint64_t>(message, dims + 16);
  constexpr std::uint64_t kMost = 1ULL << 32;
  if (shape.samples == 0 || shape.samples >= kMost || shape.rows == 0 ||
      shape.rows >= kMost || shape.columns == 0 || shape.columns >= kMost ||
      shape.sample_bytes() > (1ULL << 62) / shape.samples) {
    return Corrupt(
        where, fmt::format("shape ({}, {}, {}) is not possible", shape.samples,
                           shape.rows, shape.columns));
  }
  return {};
}

core::Status ParseChunkedLayout(Bytes message, std::uint64_t where,
                                Metadata& out) {
  if (message.size() < 27 || LoadLe<std::uint8_t>(message, 2) != 4) {
    return Corrupt(where, "expected chunks of three dimensions");
  }
  out.address = LoadLe<std::uint64_t>(message, 3);
  out.shape.chunk_rows = LoadLe<std::uint32_t>(message, 15);
  out.shape.chunk_columns = LoadLe<std::uint32_t>(message, 19);
  if (LoadLe<std::uint32_t>(message, 11) != 1 || out.shape.chunk_rows == 0 ||
      out.shape.chunk_columns == 0 || out.shape.chunk_rows > out.shape.rows ||
      out.shape.chunk_columns > out.shape.columns) {
    return Unsupported(
        where, fmt::format("expected chunks of one sample, found ({}, {}, {})",
                           LoadLe<std::uint32_t>(message, 11),
                           out.shape.chunk_rows, out.shape.chunk_columns));
  }
  return {};
}

core::Status ParseDataLayout(Bytes message, std::uint64_t where,
                             Metadata& out) {
  const auto version = LoadLe<std::uint8_t>(message, 0);
  const auto kind = LoadLe<std::uint8_t>(message, 1);
  if (version != 3 || (kind != 1 && kind != 2)) {
    return Unsupported(where, fmt::format("expected a contiguous or chunked "
                                          "data layout of version 3, found "
                                          "class {} of version {}",
                                          kind, version));
  }
  if (kind == 2) {
    return ParseChunkedLayout(message, where, out);
  }
  out.address = LoadLe<std::uint64_t>(message, 2);
  const auto bytes = LoadLe<std::uint64_t>(message, 10);
  if (bytes != out.shape.array_bytes() || out.address > out.file_bytes ||
      out.file_bytes - out.address < bytes) {
    return Corrupt(where, fmt::format("expected {} bytes of data within the "
                                      "file's {}, found {} at {}",
                                      out.shape.array_bytes(), out.file_bytes,
                                      bytes, out.address));
  }
  return {};
}

// Position in row-major order; nullopt: no chunk begins there.
std::optional<std::uint64_t> ChunkAt(Bytes key, const Shape& shape) {
  const auto sample = LoadLe<std::uint64_t>(key, 8);
  const auto row = LoadLe<std::uint64_t>(key, 16);
  const auto column = LoadLe<std::uint64_t>(key, 24);
  if (sample >= shape.samples || row >= shape.rows || column >= shape.columns ||
      row % shape.chunk_rows != 0 || column % shape.chunk_columns != 0) {
    return std::nullopt;
  }
  return sample * shape.per_sample() + row / shape.chunk_rows * shape.across() +
         column / shape.chunk_columns;
}

}  // namespace

Metadata PlannedMetadata(const Plan& plan) {
  Metadata out;
  out.file_bytes = plan.file_bytes;
  out.shape = plan.shape;
  out.address = plan.layout_address();
  return out;
}

core::Status ParseSuperblock(Bytes block, std::uint64_t file_bytes,
                             Metadata& out) {
  STOKER_ASSIGN(block, Field(block, 0, 0, kSuperblockBytes));
  if (AsText(block.first(kSignature.size())) != kSignature) {
    return Corrupt(0, "expected the signature of an hdf5 file (\\x89HDF)");
  }
  if (LoadLe<std::uint8_t>(block, 8) != 0) {
    return Unsupported(8, fmt::format("expected a superblock of version 0, "
                                      "found {}; files of libver='latest' are "
                                      "not read",
                                      LoadLe<std::uint8_t>(block, 8)));
  }
  if (LoadLe<std::uint16_t>(block, 13) != 0x0808 ||
      LoadLe<std::uint16_t>(block, 16) != kGroupLeafK ||
      LoadLe<std::uint16_t>(block, 18) != kGroupInternalK ||
      LoadLe<std::uint64_t>(block, 24) != 0) {
    return Unsupported(13,
                       "expected offsets and lengths of 8 bytes, trees of "
                       "4 and 16, and no user block");
  }
  out.file_bytes = LoadLe<std::uint64_t>(block, 40);
  out.root_header = LoadLe<std::uint64_t>(block, 64);
  if (out.file_bytes != file_bytes) {
    return Corrupt(40, fmt::format("the superblock tells of {} bytes, but the "
                                   "file has {}",
                                   out.file_bytes, file_bytes));
  }
  return {};
}

core::Status ParseRootHeader(Bytes header, Metadata& out) {
  STOKER_ASSIGN(
      const Bytes table,
      NeedMessage(header, out.root_header, kSymbolTable, "symbol table", 16));
  out.group_tree = LoadLe<std::uint64_t>(table, 0);
  out.heap = LoadLe<std::uint64_t>(table, 8);
  return {};
}

core::Status ParseHeap(Bytes heap, Metadata& out) {
  STOKER_TRY(CheckMagic(heap, out.heap, "HEAP", "root group's names"));
  STOKER_ASSIGN(const Bytes head, Field(heap, out.heap, 0, 32));
  const auto bytes = LoadLe<std::uint64_t>(head, 8);
  const auto data = LoadLe<std::uint64_t>(head, 24);
  if (data < out.heap || data - out.heap > heap.size()) {
    return Unsupported(out.heap + 24, "expected the names behind their header");
  }
  STOKER_ASSIGN(const Bytes names,
                Field(heap, out.heap, data - out.heap, bytes));
  // Names begin at multiples of 8 and end with a zero.
  for (std::uint64_t at = 0; at + kDataset.size() < names.size(); at += 8) {
    if (AsText(names.subspan(at, kDataset.size())) == kDataset &&
        names[at + kDataset.size()] == std::byte{0}) {
      out.name_offset = at;
      return {};
    }
  }
  return Corrupt(out.heap, fmt::format("expected a dataset \"{}\"", kDataset));
}

core::Status ParseGroupTree(Bytes node, Metadata& out) {
  const std::uint64_t at = out.group_tree;
  STOKER_TRY(CheckMagic(node, at, "TREE", "root group's tree"));
  STOKER_ASSIGN(node, Field(node, at, 0, kGroupTreeBytes));
  if (LoadLe<std::uint16_t>(node, 4) != 0 ||
      LoadLe<std::uint16_t>(node, 6) != 1) {
    return Unsupported(at + 4, "expected a root group of at most 8 objects");
  }
  out.symbols = LoadLe<std::uint64_t>(node, 32);
  return {};
}

core::Status ParseSymbols(Bytes node, Metadata& out) {
  const std::uint64_t at = out.symbols;
  STOKER_TRY(CheckMagic(node, at, "SNOD", "root group's objects"));
  STOKER_ASSIGN(node, Field(node, at, 0, kSymbolsBytes));
  const std::uint64_t entries = std::min<std::uint64_t>(
      LoadLe<std::uint16_t>(node, 6), 2ULL * kGroupLeafK);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const Bytes entry = node.subspan(8 + 40 * i, 40);
    if (LoadLe<std::uint64_t>(entry, 0) == out.name_offset) {
      out.records_header = LoadLe<std::uint64_t>(entry, 8);
      return {};
    }
  }
  return Corrupt(at, fmt::format("expected a dataset \"{}\"", kDataset));
}

core::Status ParseRecordsHeader(Bytes header, Metadata& out) {
  const std::uint64_t at = out.records_header;
  STOKER_ASSIGN(const Bytes space,
                NeedMessage(header, at, kDataspace, "dataspace", 2));
  STOKER_ASSIGN(const Bytes type,
                NeedMessage(header, at, kDatatype, "datatype", 12));
  STOKER_ASSIGN(const Bytes layout,
                NeedMessage(header, at, kDataLayout, "data layout", 18));
  STOKER_ASSIGN(const Bytes filters, FindMessage(header, at, kFilters));
  if (!filters.empty()) {
    return Unsupported(at, "compressed or filtered datasets are not read");
  }
  constexpr std::uint32_t kSigned = 0x0800;
  if ((LoadLe<std::uint32_t>(type, 0) & (0x0F | kSigned)) != 0 ||
      LoadLe<std::uint32_t>(type, 4) != 1) {
    return Unsupported(at, fmt::format("expected \"{}\" of uint8", kDataset));
  }
  out.shape = {};
  STOKER_TRY(ParseDataspace(space, at, out.shape));
  return ParseDataLayout(layout, at, out);
}

core::Status ParseFront(Bytes front, std::uint64_t file_bytes, Metadata& out) {
  STOKER_TRY(ParseSuperblock(front, file_bytes, out));
  const auto from = [front](std::uint64_t at) {
    return front.subspan(std::min<std::uint64_t>(at, front.size()));
  };
  STOKER_TRY(ParseRootHeader(from(out.root_header), out));
  STOKER_TRY(ParseHeap(from(out.heap), out));
  STOKER_TRY(ParseGroupTree(from(out.group_tree), out));
  STOKER_TRY(ParseSymbols(from(out.symbols), out));
  return ParseRecordsHeader(from(out.records_header), out);
}

core::Result<Child> FindChild(Bytes node, std::uint64_t at, const Shape& shape,
                              std::uint64_t chunk) {
  STOKER_TRY(CheckMagic(node, at, "TREE", "index of the chunks"));
  const auto level = LoadLe<std::uint8_t>(node, 5);
  const std::uint64_t used = LoadLe<std::uint16_t>(node, 6);
  if (LoadLe<std::uint8_t>(node, 4) != 1 || used > kFanout) {
    return Corrupt(at + 4, "expected an index of chunks");
  }
  std::uint64_t low = 0;  // the last child that begins at `chunk` or before
  std::optional<std::uint64_t> found;
  for (std::uint64_t high = used; low < high;) {
    const std::uint64_t middle = (low + high) / 2;
    const std::uint64_t key = kNodeHeadBytes + middle * (kKeyBytes + 8);
    const auto begins = ChunkAt(node.subspan(key, kKeyBytes), shape);
    if (!begins) {
      return Corrupt(at + key, "expected the place of a chunk");
    }
    if (*begins <= chunk) {
      found = begins;
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (!found || (level == 0 && *found != chunk)) {
    return Corrupt(at, fmt::format("expected chunk {} in the index", chunk));
  }
  const std::uint64_t key = kNodeHeadBytes + (low - 1) * (kKeyBytes + 8);
  if (level == 0 && LoadLe<std::uint32_t>(node, key) != shape.chunk_bytes()) {
    return Corrupt(
        at + key,
        fmt::format("expected a chunk of {} bytes, found {}",
                    shape.chunk_bytes(), LoadLe<std::uint32_t>(node, key)));
  }
  return Child{.address = LoadLe<std::uint64_t>(node, key + kKeyBytes),
               .chunk = level == 0};
}

}  // namespace stoker::formats::hdf5
