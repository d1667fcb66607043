#pragma once

// Files that are either whole or not there.

#include <string>
#include <string_view>

#include "core/status.h"
#include "reporting/json.h"

namespace stoker::reporting {

// Writes to a neighbour of `path` and takes its name at Commit. Without one
// nothing remains. Errors name the file.
class NewFile {
 public:
  static core::Result<NewFile> Make(const std::string& path);
  ~NewFile();
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&& other) = delete;
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  core::Status Write(std::string_view text);
  // On disk under its name, replacing what was there; nothing more is written.
  core::Status Commit();

 private:
  NewFile(int fd, std::string path, std::string temporary);
  core::Status Fail(int error, std::string_view what) const;

  int fd_ = -1;
  std::string path_;
  std::string temporary_;
};

// The whole of a file.
core::Status WriteFile(const std::string& path, std::string_view text);
core::Result<std::string> ReadFile(const std::string& path);

// One JSON object with indent 4, a field at a time, so that none of a long
// run's values has to be in memory at once.
class ObjectFile {
 public:
  static core::Result<ObjectFile> Make(const std::string& path);
  core::Status Add(std::string_view key, const Json& value);
  core::Status Commit();

 private:
  explicit ObjectFile(NewFile file);

  NewFile file_;
  bool empty_ = true;
};

// Puts all of `text` at the end of an open file; EINTR and short writes are
// gone on with. 0, or the errno that stopped it.
int WriteAll(int fd, std::string_view text);

}  // namespace stoker::reporting
