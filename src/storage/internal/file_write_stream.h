#pragma once

// Writes one file: under a temporary name until Commit, or in place.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "storage/internal/file_paths.h"
#include "storage/internal/part_memory.h"
#include "storage/internal/part_sender.h"
#include "storage/write_stream.h"

namespace stoker::storage::internal {

// What the streams of a back end share.
struct FileWriting {
  TempNames temp_names;
  std::shared_ptr<PartPool> parts = std::make_shared<PartPool>();
  std::size_t threads = 1;  // of a stream with parts in flight
  bool direct = false;  // past the page cache where whole blocks are written
};

class FileWriteStream final : public WriteStream {
 public:
  // Opens the file; makes missing folders. With in_place an existing file is
  // truncated now. Direct: kUnsupported where the file system refuses O_DIRECT.
  static core::Result<std::unique_ptr<WriteStream>> Make(
      std::string path, FileWriting& writing, const WriteOptions& options,
      core::Clock& clock);
  ~FileWriteStream() override;
  FileWriteStream(const FileWriteStream&) = delete;
  FileWriteStream& operator=(const FileWriteStream&) = delete;

 private:
  FileWriteStream(std::string path, const FileWriting& writing,
                  const WriteOptions& options, core::Clock& clock);
  core::Status Open(TempNames& temp_names);
  int TryOpen(TempNames& temp_names);
  core::Status OpenDirect();
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override;
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override;
  core::Status DoCommit(std::uint64_t size, WriteTimes& times) override;
  // Those two in any thread.
  core::Status WritePart(std::uint64_t offset, std::span<const std::byte> part);
  // Writes all of `bytes`. `fd` is one of the two below.
  core::Status WriteAll(int fd, std::uint64_t offset,
                        std::span<const std::byte> bytes) const;
  void StartWriteBack(std::size_t bytes);
  core::Status Drain(WriteTimes& times);
  core::Status Publish();
  core::Status CloseAll();
  core::Status WriteError(std::uint64_t offset, int os_error) const;

  std::string path_;     // the final name
  std::string written_;  // the name written under
  int fd_ = -1;
  int direct_fd_ = -1;       // of the same file, with O_DIRECT
  std::uint64_t block_ = 0;  // what it takes multiples of, bytes
  bool made_folders_ = false;
  bool committed_ = false;
  std::atomic<std::uint64_t> bytes_{0};      // that the kernel has taken
  std::atomic<std::uint64_t> not_begun_{0};  // of these, since StartWriteBack
  std::size_t threads_;
  bool direct_;
  std::shared_ptr<PartPool> parts_;
  PartMemory memory_;
  std::optional<PartSender> sender_;  // once a part may be on its way
};

}  // namespace stoker::storage::internal
