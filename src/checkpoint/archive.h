#pragma once

// The bytes of a checkpoint file around its tensors: torch.save's zip archive,
// or nothing at all. docs/checkpoints.md describes the archive.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model.h"
#include "core/status.h"

namespace stoker::checkpoint {

enum class FileFormat : std::uint8_t {
  kTorchZip,      // as the newest torch.save writes
  kTorchZip2_1,   // as torch 2.1 to 2.6: no format version, no alignment record
  kTorchZip1_13,  // as torch 1.13 and 2.0: no byte order, no serialization id
  kRaw            // the tensors end to end
};
// "torchzip", "torchzip-2.1", "torchzip-1.13", "raw"; kInvalidArgument names
// them.
core::Result<FileFormat> ParseFileFormat(std::string_view name);
std::string_view NameOf(FileFormat format);

// Where everything of one file goes. Positions do not depend on the tensors'
// bytes; what stands between the tensors needs their CRC-32. Immutable.
class FileLayout {
 public:
  FileLayout(const ShardFile& file, FileFormat format);
  ~FileLayout();
  FileLayout(FileLayout&&) noexcept;
  FileLayout& operator=(FileLayout&&) noexcept;

  std::uint64_t file_bytes() const;
  // Tensors in the order they stand in the file: position i holds tensor
  // `index(i)` of the ShardFile.
  std::size_t tensors() const;
  std::size_t index(std::size_t position) const;
  std::uint64_t offset(std::size_t position) const;  // of the first byte
  // What stands before the tensor at `position`, behind the one before it;
  // position == tensors(): behind the last. `crcs` are CRC-32s of the tensors
  // before, by position.
  std::string Between(std::size_t position,
                      std::span<const std::uint32_t> crcs) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One tensor as found in a file.
struct StoredTensor {
  TensorSpec spec;
  std::uint64_t header_offset = 0;  // of its record; archive only
  std::uint64_t offset = 0;         // bytes from the file's start
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;  // CRC-32 of its record as stored; archive only
  // `crc` is that of this tensor's bytes: the tensor is all of its record.
  bool whole_record = false;
};

struct StoredFile {
  FileFormat format = FileFormat::kTorchZip;
  std::uint64_t file_bytes = 0;
  std::vector<StoredTensor> tensors{};  // in the order of the pickle
};

// Reads bytes [offset, offset + out.size()) of the file.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual core::Status Read(std::uint64_t offset, std::span<std::byte> out) = 0;
};

// Reads the directory and the pickle of an archive that torch.save (1.6 on) or
// we wrote: dicts with text or integer keys, nested or not, of contiguous
// tensors; other values are skipped where they are plain. kCorruption names
// offset and expectation; kUnsupported what we do not read (compressed records,
// foreign classes). Checks the CRC-32 of the records it reads, not of tensors,
// and trusts the directory in where tensors begin as far as torch's alignment
// bears it out: mostly three reads, whatever the number of tensors.
core::Result<StoredFile> ReadArchive(ByteSource& source,
                                     std::uint64_t file_bytes,
                                     std::string_view name);

// `header` is what stands before a tensor that is all of its record: bytes
// [header_offset, offset) of the file. For those who read it on the way to the
// tensor. kCorruption: not its local header.
core::Status CheckRecordHeader(const StoredTensor& tensor,
                               std::span<const std::byte> header);

// What ReadArchive answers, for a raw file: from what it must hold. kCorruption:
// it has another size.
core::Result<StoredFile> DescribeRaw(const ShardFile& file,
                                     std::uint64_t file_bytes);

}  // namespace stoker::checkpoint
