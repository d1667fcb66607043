#pragma once

// Errors as values. No exception crosses a module's edge: libraries that throw
// are caught in the .cc that uses them.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace stoker::core {

enum class Code : std::uint8_t {
  kOk,
  kInvalidArgument,  // configuration or call can never work as given
  kNotFound,
  kPermission,   // the operating system refused access
  kIoError,      // storage said no; see os_error()
  kCorruption,   // bytes arrived but do not match what was written
  kUnavailable,  // may work if tried again (throttling, lost connection)
  kTimedOut,
  kCancelled,
  kUnsupported,  // this back end or format cannot do that
};

// "invalid argument", "not found", …
std::string_view CodeName(Code code);

// Success, or a code with a message that names the operation and the object.
// Copying is cheap; an ok Status allocates nothing.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message, int os_error = 0);
  // Code chosen from errno: ENOENT kNotFound, EACCES and EPERM kPermission,
  // ETIMEDOUT kTimedOut, else kIoError. The message gets ": <strerror>".
  static Status FromErrno(int os_error, std::string_view what);

  bool ok() const { return detail_ == nullptr; }
  Code code() const;
  int os_error() const;  // errno, or 0
  std::string_view message() const;
  bool Retryable() const;  // kUnavailable, kTimedOut
  // Same error, message prefixed with "<what>: ". No effect when ok.
  Status WithContext(std::string_view what) const;
  // "ok", or "<code name>: <message>".
  std::string ToString() const;

 private:
  struct Detail;
  std::shared_ptr<const Detail> detail_;
};

// A T, or the Status that explains its absence.
template <class T>
class [[nodiscard]] Result {
 public:
  template <class U = T>
    requires(std::is_convertible_v<U &&, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Status>)
  Result(U&& value)  // NOLINT(google-explicit-constructor): `return value;`
      : held_(std::in_place_index<1>, std::forward<U>(value)) {}
  Result(Status error)  // NOLINT(google-explicit-constructor): as above
      : held_(std::in_place_index<0>, std::move(error)) {}

  bool ok() const { return held_.index() == 1; }
  T& value() & { return std::get<1>(held_); }  // requires ok()
  const T& value() const& { return std::get<1>(held_); }
  T&& value() && { return std::get<1>(std::move(held_)); }
  Status status() const { return ok() ? Status{} : std::get<0>(held_); }

 private:
  std::variant<Status, T> held_;
};

}  // namespace stoker::core

#define STOKER_CONCAT_INNER(a, b) a##b
#define STOKER_CONCAT(a, b) STOKER_CONCAT_INNER(a, b)

// STOKER_TRY(expr): leaves the function with expr's error, if it has one.
#define STOKER_TRY(expr)                                   \
  do {                                                     \
    if (::stoker::core::Status stoker_try_status = (expr); \
        !stoker_try_status.ok()) {                         \
      return stoker_try_status;                            \
    }                                                      \
  } while (false)
// NOLINTBEGIN(bugprone-macro-parentheses): decl is a declaration.
// STOKER_ASSIGN(decl, expr): `decl = value of expr`, or leaves with its error.
#define STOKER_ASSIGN(decl, expr)                            \
  auto STOKER_CONCAT(stoker_result_, __LINE__) = (expr);     \
  if (!STOKER_CONCAT(stoker_result_, __LINE__).ok()) {       \
    return STOKER_CONCAT(stoker_result_, __LINE__).status(); \
  }                                                          \
  decl = std::move(STOKER_CONCAT(stoker_result_, __LINE__)).value()
// NOLINTEND(bugprone-macro-parentheses)
