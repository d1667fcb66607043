#include "formats/hdf5_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"

namespace stoker::formats {
namespace {

using hdf5::Bytes;
using hdf5::Shape;

constexpr std::uint64_t kSieve = 64U << 10;      // the library's sieve buffer
constexpr std::uint64_t kChunkCache = 1U << 20;  // and chunk cache, bytes
constexpr std::uint64_t kSignatureBytes = 8;
constexpr std::uint64_t kSuperblockStart = 16;

// `bytes` are at `stored` of the array or the chunks in row-major order.
core::Status CompareStored(PayloadComparer& comparer, std::uint64_t file,
                           const Shape& shape, std::uint64_t stored,
                           std::uint64_t file_offset, Bytes bytes) {
  if (!comparer.active()) {
    return {};
  }
  while (!bytes.empty()) {
    const hdf5::Run run = hdf5::RunAt(shape, stored, bytes.size());
    if (!run.padding) {
      STOKER_TRY(comparer.Compare({.file = file}, run.offset, file_offset,
                                  bytes.first(run.bytes)));
    }
    stored += run.bytes;
    file_offset += run.bytes;
    bytes = bytes.subspan(run.bytes);
  }
  return {};
}

core::Status CheckSample(const Shape& shape, std::uint32_t sample) {
  if (sample < shape.samples) {
    return {};
  }
  return {core::Code::kCorruption,
          fmt::format("expected at least {} samples in \"records\", found {}",
                      sample + 1, shape.samples)};
}

core::Status CheckShape(const Shape& found, const Shape& expected) {
  if (found == expected) {
    return {};
  }
  const auto text = [](const Shape& shape) {
    return fmt::format(
        "({}, {}, {}) {}", shape.samples, shape.rows, shape.columns,
        shape.chunked() ? fmt::format("in chunks of (1, {}, {})",
                                      shape.chunk_rows, shape.chunk_columns)
                        : "contiguous");
  };
  return {core::Code::kCorruption,
          fmt::format("expected \"records\" of {}, found {}", text(expected),
                      text(found))};
}

}  // namespace

void Hdf5Content::Reset(const FileSpec& file, std::uint32_t sample) {
  file_ = file.index;
  sample_ = sample;
  plan_ = hdf5::Plan(file);
  shape_ = plan_.shape;
  data_ = plan_.data;
  whole_ = false;
  gathered_bytes_ = 0;
}

std::uint64_t Hdf5Content::FileBytes(const FileSpec& file) const {
  return hdf5::Plan(file).file_bytes;
}

RangeContent::Extent Hdf5Content::ExtentOf(const FileSpec& file,
                                           std::uint32_t sample) const {
  const hdf5::Plan plan(file);
  const std::uint64_t bytes = plan.shape.stored_bytes() / plan.shape.samples;
  const std::uint64_t begin = plan.data + sample * bytes;
  return {begin, begin + bytes};
}

core::Status Hdf5Content::TakeSize(std::uint64_t size) {
  if (size < hdf5::kFrontBytes) {
    return EndsEarly(0, hdf5::kFrontBytes, size);
  }
  whole_ = true;
  size_ = size;
  return {};
}

core::Status Hdf5Content::Take(std::uint64_t offset, Bytes bytes) {
  const std::uint64_t end = offset + bytes.size();
  if (whole_) {
    STOKER_TRY(TakeFront(offset, bytes));
    if (end < hdf5::kFrontBytes) {
      return {};
    }
    if (shape_.chunked()) {
      STOKER_TRY(TakeTree(offset, bytes));
    }
  }
  const std::uint64_t begin = std::max(offset, data_);
  const std::uint64_t stop = std::min(end, data_ + shape_.stored_bytes());
  if (begin >= stop) {
    return {};
  }
  return CompareStored(comparer_, file_, shape_, begin - data_, begin,
                       bytes.subspan(begin - offset, stop - begin));
}

core::Status Hdf5Content::TakeFront(std::uint64_t offset, Bytes bytes) {
  if (offset >= hdf5::kFrontBytes) {
    return {};
  }
  bytes = bytes.first(
      std::min<std::uint64_t>(bytes.size(), hdf5::kFrontBytes - offset));
  std::ranges::copy(bytes, gathered_.begin() + gathered_bytes_);
  gathered_bytes_ += bytes.size();
  if (gathered_bytes_ < hdf5::kFrontBytes) {
    return {};
  }
  hdf5::Metadata found;
  STOKER_TRY(hdf5::ParseFront(Bytes(gathered_).first(hdf5::kFrontBytes), size_,
                              found));
  gathered_bytes_ = 0;
  if (found.shape.chunked() || comparer_.active()) {
    STOKER_TRY(CheckShape(found.shape, plan_.shape));
  }
  if (found.shape.chunked()) {
    level_ = hdf5::ChunkTree(plan_.shape.chunks()).levels() - 1;
    node_ = 0;
    if (size_ == plan_.file_bytes && found.address == hdf5::kFrontBytes) {
      return {};
    }
    return {core::Code::kUnsupported,
            fmt::format("expected a chunked file of {} bytes with the index at "
                        "offset {}; what others wrote can be read as the "
                        "reference does only",
                        plan_.file_bytes, hdf5::kFrontBytes)};
  }
  shape_ = found.shape;
  data_ = found.address;
  if (data_ < hdf5::kFrontBytes) {
    return {core::Code::kUnsupported,
            fmt::format("expected the data at offset {} or behind, not at {}",
                        hdf5::kFrontBytes, data_)};
  }
  return {};
}

core::Status Hdf5Content::TakeTree(std::uint64_t offset, Bytes bytes) {
  const std::uint64_t begin = std::max(offset, hdf5::kFrontBytes);
  const std::uint64_t end = std::min(offset + bytes.size(), data_);
  if (begin >= end) {
    return {};
  }
  bytes = bytes.subspan(begin - offset, end - begin);
  while (!bytes.empty()) {
    const std::size_t length =
        std::min(bytes.size(), gathered_.size() - gathered_bytes_);
    std::ranges::copy(bytes.first(length), gathered_.begin() + gathered_bytes_);
    gathered_bytes_ += length;
    bytes = bytes.subspan(length);
    if (gathered_bytes_ == gathered_.size()) {
      STOKER_TRY(TakeNode());
    }
  }
  return {};
}

core::Status Hdf5Content::TakeNode() {
  const hdf5::ChunkTree tree(plan_.shape.chunks());
  std::array<std::byte, hdf5::kNodeBytes> expected;
  hdf5::BuildNode(plan_, level_, node_, expected);
  const auto differs = std::ranges::mismatch(expected, gathered_).in1;
  if (differs != expected.end()) {
    return {core::Code::kCorruption,
            fmt::format(
                "at offset {}: the index of the chunks is not as "
                "written here; if another program wrote it, read the "
                "file as the reference does",
                tree.NodeOffset(level_, node_) +
                    static_cast<std::uint64_t>(differs - expected.begin()))};
  }
  gathered_bytes_ = 0;
  if (++node_ == tree.nodes(level_)) {
    --level_;
    node_ = 0;
  }
  return {};
}

core::Result<std::uint64_t> Hdf5Content::Finish() {
  STOKER_TRY(CheckSample(shape_, sample_));
  return shape_.sample_bytes();
}

Hdf5ReferenceReader::Hdf5ReferenceReader(const ReaderOptions& options)
    : blind_(options.blind),
      comparer_(options.expect),
      nodes_(hdf5::kMaxLevels) {}

void Hdf5ReferenceReader::Reset(const FileSpec& file, std::uint32_t sample,
                                std::string_view name) {
  file_ = file;
  sample_ = sample;
  name_ = name;
  plan_ = hdf5::Plan(file);
  metadata_ = hdf5::PlannedMetadata(plan_);
  size_ = plan_.file_bytes;
  for (Node& node : nodes_) {
    node.address = hdf5::kUndefined;
  }
}

// A chunk is never larger than its sample. Room for a sample is left with
// chunks, too: files of others may have none.
std::uint64_t Hdf5ReferenceReader::MaxRequest(const FileSpec& file) const {
  return std::max({kSieve, hdf5::kNodeBytes, file.sample_bytes()});
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::Step(
    const Event& event) {
  switch (event.kind) {
    case Event::Kind::kStart:
      return Next{.kind = Next::Kind::kSize};
    case Event::Kind::kSize:
      return TakeSize(event.size);
    case Event::Kind::kBytes: {
      core::Result<Next> next = TakeBytes(event.bytes);
      return next.ok() ? std::move(next)
                       : core::Result<Next>(next.status().WithContext(name_));
    }
    case Event::Kind::kResume:
      break;
  }
  return Next{.kind = Next::Kind::kFileDone};
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::Ask(
    Stage stage, std::uint64_t offset, std::uint64_t length) {
  if (offset > size_ || size_ - offset < length) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("expected {} bytes at offset {}, but the file has {}",
                    length, offset, size_));
  }
  if (length > MaxRequest(file_)) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("at offset {}: a read of {} bytes, but samples should have "
                    "{} ({} x {}); remedy: dataset.record_length_bytes as in "
                    "the dataset",
                    offset, length, file_.sample_bytes(), file_.rows,
                    file_.columns));
  }
  stage_ = stage;
  at_ = offset;
  asked_ = length;
  return Next{.kind = Next::Kind::kRead, .offset = offset, .length = length};
}

// The library knows the file's end.
core::Result<ReaderProgram::Next> Hdf5ReferenceReader::Probe(
    Stage stage, std::uint64_t offset) {
  return Ask(stage, offset,
             std::min(hdf5::kProbeBytes, size_ - std::min(offset, size_)));
}

ReaderProgram::Next Hdf5ReferenceReader::Ready() const {
  return {.kind = Next::Kind::kSampleReady,
          .payload = metadata_.shape.sample_bytes(),
          .sample = sample_};
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::TakeSize(
    std::uint64_t size) {
  if (!blind_) {
    size_ = size;
  }
  core::Result<Next> next = Ask(Stage::kSignature, 0, kSignatureBytes);
  return next.ok() ? std::move(next)
                   : core::Result<Next>(next.status().WithContext(name_));
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::TakeBytes(Bytes bytes) {
  if (!blind_) {
    if (bytes.size() < asked_) {
      return EndsEarly(at_, asked_, bytes.size());
    }
    STOKER_TRY(Look(bytes));
  }
  return Proceed();
}

core::Status Hdf5ReferenceReader::Look(Bytes bytes) {
  switch (stage_) {
    case Stage::kSignature:
      return {};  // seen again below
    case Stage::kSuperblockStart:
      std::ranges::copy(bytes, superblock_.begin());
      return {};
    case Stage::kSuperblock:
      std::ranges::copy(bytes, superblock_.begin() + kSuperblockStart);
      return hdf5::ParseSuperblock(superblock_, size_, metadata_);
    case Stage::kRootHeader:
      return hdf5::ParseRootHeader(bytes, metadata_);
    case Stage::kHeap:
      return hdf5::ParseHeap(bytes, metadata_);
    case Stage::kGroupTree:
      return hdf5::ParseGroupTree(bytes, metadata_);
    case Stage::kSymbols:
      return hdf5::ParseSymbols(bytes, metadata_);
    case Stage::kRecordsHeader:
      STOKER_TRY(hdf5::ParseRecordsHeader(bytes, metadata_));
      STOKER_TRY(CheckSample(metadata_.shape, sample_));
      return comparer_.active() ? CheckShape(metadata_.shape, plan_.shape)
                                : core::Status();
    case Stage::kNode:
      std::ranges::copy(bytes, nodes_[depth_].bytes.begin());
      return {};
    case Stage::kArray:
      return CompareStored(comparer_, file_.index, metadata_.shape,
                           at_ - metadata_.address, at_, bytes);
    case Stage::kChunk:
      break;
  }
  return CompareStored(
      comparer_, file_.index, metadata_.shape,
      chunk_ * metadata_.shape.chunk_bytes() + (at_ - chunk_offset_), at_,
      bytes);
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::Proceed() {
  switch (stage_) {
    case Stage::kSignature:
      return Ask(Stage::kSuperblockStart, 0, kSuperblockStart);
    case Stage::kSuperblockStart:
      return Ask(Stage::kSuperblock, kSuperblockStart,
                 hdf5::kSuperblockBytes - kSuperblockStart);
    case Stage::kSuperblock:
      return Probe(Stage::kRootHeader, metadata_.root_header);
    case Stage::kRootHeader:
      return Probe(Stage::kHeap, metadata_.heap);
    case Stage::kHeap:
      return Ask(Stage::kGroupTree, metadata_.group_tree,
                 hdf5::kGroupTreeBytes);
    case Stage::kGroupTree:
      return Ask(Stage::kSymbols, metadata_.symbols, hdf5::kSymbolsBytes);
    case Stage::kSymbols:
      return Probe(Stage::kRecordsHeader, metadata_.records_header);
    case Stage::kRecordsHeader:
      return BeginSample();
    case Stage::kArray:
      return Ready();
    case Stage::kNode:
      nodes_[depth_].address = at_;
      return NextChunk();
    case Stage::kChunk:
      break;
  }
  return NextOfChunk();
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::BeginSample() {
  const Shape& shape = metadata_.shape;
  if (shape.chunked()) {
    chunk_ = sample_ * shape.per_sample();
    chunk_end_ = chunk_ + shape.per_sample();
    return NextChunk();
  }
  const std::uint64_t bytes = shape.sample_bytes();
  const std::uint64_t begin = sample_ * bytes;
  return Ask(
      Stage::kArray, metadata_.address + begin,
      bytes > kSieve ? bytes : std::min(kSieve, shape.array_bytes() - begin));
}

core::Result<hdf5::Child> Hdf5ReferenceReader::ChildOf(
    std::size_t depth) const {
  const Node& node = nodes_[depth];
  if (!blind_) {
    return hdf5::FindChild(node.bytes, node.address, metadata_.shape, chunk_);
  }
  const hdf5::ChunkTree tree(plan_.shape.chunks());
  const int below = tree.levels() - 2 - static_cast<int>(depth);
  return below < 0
             ? hdf5::Child{.address =
                               plan_.data + chunk_ * plan_.shape.chunk_bytes(),
                           .chunk = true}
             : hdf5::Child{.address = tree.NodeOffset(
                               below, chunk_ / hdf5::ChunkTree::Span(below))};
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::NextChunk() {
  if (chunk_ == chunk_end_) {
    return Ready();
  }
  std::uint64_t address = metadata_.address;
  for (depth_ = 0; depth_ < nodes_.size(); ++depth_) {
    if (nodes_[depth_].address != address) {
      return Ask(Stage::kNode, address, hdf5::kNodeBytes);
    }
    STOKER_ASSIGN(const hdf5::Child child, ChildOf(depth_));
    if (child.chunk) {
      chunk_offset_ = child.address;
      chunk_done_ = 0;
      return NextOfChunk();
    }
    address = child.address;
  }
  return core::Status(core::Code::kCorruption,
                      fmt::format("at offset {}: expected at most {} levels in "
                                  "the index of the chunks",
                                  address, nodes_.size()));
}

core::Result<ReaderProgram::Next> Hdf5ReferenceReader::NextOfChunk() {
  const Shape& shape = metadata_.shape;
  const std::uint64_t bytes = shape.chunk_bytes();
  std::uint64_t length = 0;
  if (bytes <= kChunkCache) {
    length = bytes - chunk_done_;
  } else if (chunk_done_ < bytes) {
    const std::uint64_t stored = chunk_ * bytes + chunk_done_;
    hdf5::Run run = hdf5::RunAt(shape, stored, bytes - chunk_done_);
    if (run.padding) {
      chunk_done_ += run.bytes;
      run =
          hdf5::RunAt(shape, chunk_ * bytes + chunk_done_, bytes - chunk_done_);
    }
    length = run.padding ? 0 : run.bytes;
  }
  if (length == 0) {
    ++chunk_;
    return NextChunk();
  }
  const std::uint64_t at = chunk_offset_ + chunk_done_;
  chunk_done_ += length;
  return Ask(Stage::kChunk, at, length);
}

}  // namespace stoker::formats
