#pragma once

// Writes one file: under a temporary name until Commit, or in place.

#include <cstdint>
#include <memory>
#include <string>

#include "storage/internal/file_paths.h"
#include "storage/internal/part_memory.h"
#include "storage/write_stream.h"

namespace stoker::storage::internal {

class FileWriteStream final : public WriteStream {
 public:
  // Opens the file; makes missing folders. With in_place an existing file is
  // truncated now.
  static core::Result<std::unique_ptr<WriteStream>> Make(
      std::string path, TempNames& temp_names, std::shared_ptr<PartPool> parts,
      const WriteOptions& options, core::Clock& clock);
  ~FileWriteStream() override;
  FileWriteStream(const FileWriteStream&) = delete;
  FileWriteStream& operator=(const FileWriteStream&) = delete;

 private:
  FileWriteStream(std::string path, std::shared_ptr<PartPool> parts,
                  const WriteOptions& options, core::Clock& clock);
  core::Status Open(TempNames& temp_names);
  int TryOpen(TempNames& temp_names);
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override;
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override;
  core::Status DoCommit(std::uint64_t size, WriteTimes& times) override;
  core::Status Publish();
  core::Status WriteError(std::uint64_t offset, int os_error) const;

  std::string path_;     // the final name
  std::string written_;  // the name written under
  int fd_ = -1;
  bool made_folders_ = false;
  bool committed_ = false;
  PartMemory memory_;
};

}  // namespace stoker::storage::internal
