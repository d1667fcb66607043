#pragma once

// Little-endian fields, as all our file formats store them.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stoker::core {

static_assert(std::endian::native == std::endian::little,
              "fields are copied as they are");

// The T at `bytes[at]`. Requires at + sizeof(T) <= bytes.size().
template <std::unsigned_integral T>
T LoadLe(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.subspan(at, sizeof(T)).data(), sizeof(T));
  return value;
}

// Requires at + sizeof(T) <= bytes.size().
template <std::unsigned_integral T>
void StoreLe(std::span<std::byte> bytes, std::size_t at, T value) {
  std::memcpy(bytes.subspan(at, sizeof(T)).data(), &value, sizeof(T));
}

template <std::unsigned_integral T>
void AppendLe(std::vector<std::byte>& out, T value) {
  const std::span<const std::byte> bytes =
      std::as_bytes(std::span<const T, 1>(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <std::unsigned_integral T>
void AppendLe(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

inline void AppendText(std::vector<std::byte>& out, std::string_view text) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace stoker::core
