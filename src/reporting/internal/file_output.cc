#include "reporting/internal/file_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>

namespace stoker::reporting {

core::Result<NewFile> NewFile::Make(const std::string& path) {
  // Ranks of other hosts may write beside it: a name in use is passed over.
  for (int attempt = 0;; ++attempt) {
    std::string temporary =
        fmt::format("{}.tmp-{}-{}", path, ::getpid(), attempt);
    const int fd = ::open(temporary.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return NewFile(fd, path, std::move(temporary));
    if (errno != EEXIST || attempt == 1000) {
      return core::Status::FromErrno(errno,
                                     fmt::format("cannot write {}", path));
    }
  }
}

NewFile::NewFile(int fd, std::string path, std::string temporary)
    : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}

NewFile::NewFile(NewFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})) {}

NewFile::~NewFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

core::Status NewFile::Fail(int error, std::string_view what) const {
  return core::Status::FromErrno(error, fmt::format("{} {}", what, path_));
}

core::Status NewFile::Write(std::string_view text) {
  const int error = WriteAll(fd_, text);
  return error == 0 ? core::Status{} : Fail(error, "cannot write");
}

core::Status NewFile::Commit() {
  // Before the rename, or a power cut could leave a short file under the name.
  if (::fdatasync(fd_) != 0 && errno != EINVAL)
    return Fail(errno, "cannot write");
  if (::close(std::exchange(fd_, -1)) != 0) return Fail(errno, "cannot write");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
    return Fail(errno, "cannot put in place");
  temporary_.clear();
  return {};
}

core::Status WriteFile(const std::string& path, std::string_view text) {
  STOKER_ASSIGN(NewFile file, NewFile::Make(path));
  STOKER_TRY(file.Write(text));
  return file.Commit();
}

core::Result<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return core::Status::FromErrno(errno == 0 ? EIO : errno,
                                   fmt::format("cannot read {}", path));
  }
  return text.str();
}

core::Result<ObjectFile> ObjectFile::Make(const std::string& path) {
  STOKER_ASSIGN(NewFile file, NewFile::Make(path));
  return ObjectFile(std::move(file));
}

ObjectFile::ObjectFile(NewFile file) : file_(std::move(file)) {}

core::Status ObjectFile::Add(std::string_view key, const Json& value) {
  const std::string text = DumpJson(value, 4);
  std::string indented =
      fmt::format("{}    {}: ", empty_ ? "{\n" : ",\n", DumpJson(Json(key), 0));
  indented.reserve(indented.size() + text.size() * 5 / 4);
  for (const char c : text) {
    indented += c;
    if (c == '\n') indented += "    ";
  }
  empty_ = false;
  return file_.Write(indented);
}

core::Status ObjectFile::Commit() {
  STOKER_TRY(file_.Write(empty_ ? "{}\n" : "\n}\n"));
  return file_.Commit();
}

int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ::ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace stoker::reporting
