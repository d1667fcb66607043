#include "core/status.h"

#include <cerrno>
#include <cstring>
#include <system_error>

namespace stoker::core {

struct Status::Detail {
  Code code;
  int os_error;
  std::string message;
};

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kInvalidArgument:
      return "invalid argument";
    case Code::kNotFound:
      return "not found";
    case Code::kPermission:
      return "permission denied";
    case Code::kIoError:
      return "I/O error";
    case Code::kCorruption:
      return "corruption";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kTimedOut:
      return "timed out";
    case Code::kCancelled:
      return "cancelled";
    case Code::kUnsupported:
      return "unsupported";
  }
  return "unknown";
}

Status::Status(Code code, std::string message, int os_error)
    : detail_(code == Code::kOk ? nullptr
                                : std::make_shared<const Detail>(Detail{
                                      code, os_error, std::move(message)})) {}

Status Status::FromErrno(int os_error, std::string_view what) {
  Code code = Code::kIoError;
  switch (os_error) {
    case ENOENT:
    case ENOTDIR:
      code = Code::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::kPermission;
      break;
    case ETIMEDOUT:
      code = Code::kTimedOut;
      break;
    default:
      break;
  }
  std::string message(what);
  message += ": ";
  message += std::generic_category().message(os_error);
  return {code, std::move(message), os_error};
}

Code Status::code() const { return ok() ? Code::kOk : detail_->code; }

int Status::os_error() const { return ok() ? 0 : detail_->os_error; }

std::string_view Status::message() const {
  return ok() ? std::string_view{} : std::string_view(detail_->message);
}

bool Status::Retryable() const {
  return code() == Code::kUnavailable || code() == Code::kTimedOut;
}

Status Status::WithContext(std::string_view what) const {
  if (ok()) {
    return *this;
  }
  std::string message(what);
  message += ": ";
  message += detail_->message;
  return {detail_->code, std::move(message), detail_->os_error};
}

std::string Status::ToString() const {
  if (ok()) {
    return "ok";
  }
  std::string text(CodeName(detail_->code));
  text += ": ";
  text += detail_->message;
  return text;
}

}  // namespace stoker::core
