#pragma once

// The files of a block device, as one range of bytes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "storage/block_device.h"

namespace stoker::storage::internal {

// What the kernel is asked for at a time.
struct BlockPiece {
  std::size_t file = 0;
  int fd = -1;
  std::uint64_t offset = 0;  // bytes from the file's start
  std::span<std::byte> buffer{};
};

// kInvalidArgument unless `op` is of whole blocks within a device of
// `device_bytes`.
core::Status CheckBlockOp(const BlockOp& op, std::uint64_t device_bytes);

// Safe for concurrent use.
class BlockFiles {
 public:
  // As OpenBlockFiles.
  static core::Result<std::unique_ptr<BlockFiles>> Open(
      std::span<const std::string> paths, std::uint64_t file_bytes);
  ~BlockFiles();
  BlockFiles(const BlockFiles&) = delete;
  BlockFiles& operator=(const BlockFiles&) = delete;

  std::uint64_t size() const { return size_; }  // bytes, of all files
  // Whether all of them are read and written past the page cache.
  bool direct() const { return direct_; }

  // What comes next of `op`, of which `got` bytes are done: as far as the file
  // reaches. `op` is a good one by CheckBlockOp, and `got` below its size.
  BlockPiece PieceOf(const BlockOp& op, std::uint64_t got) const;
  // Takes what the kernel answered to that piece: bytes, or -errno. The op's
  // outcome, or nothing: ask for the next piece.
  std::optional<core::Status> Advance(const BlockOp& op, std::uint64_t& got,
                                      std::int64_t result) const;
  // fdatasync of every file.
  core::Status Flush() const;

 private:
  struct File {
    std::string path;
    int fd = -1;
  };

  explicit BlockFiles(std::uint64_t file_bytes) : file_bytes_(file_bytes) {}
  // kUnsupported if `direct` and a file has no such way.
  core::Status OpenAll(std::span<const std::string> paths, bool direct);
  core::Status AddSize(const File& file);
  void CloseAll();
  core::Status Failed(const BlockOp& op, const BlockPiece& piece,
                      int os_error) const;
  core::Status Stopped(const BlockOp& op, const BlockPiece& piece) const;

  const std::uint64_t file_bytes_;
  std::uint64_t size_ = 0;
  bool direct_ = false;
  std::vector<File> files_;
};

}  // namespace stoker::storage::internal
