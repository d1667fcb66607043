#include "cache/block_key.h"

#include <algorithm>
#include <cstring>

#include "core/crc.h"
#include "core/random.h"

namespace stoker::cache {

namespace {

// Mixes 8 bytes at a time, the last of them with zeros, and then the length.
std::uint64_t TextHash(std::uint64_t seed, std::string_view text) {
  std::uint64_t hash = core::StreamKey(seed, text.size());
  for (std::size_t at = 0; at < text.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at,
                std::min(sizeof(word), text.size() - at));
    hash = core::Mix64(hash ^ (word + core::kGolden64));
  }
  return hash;
}

constexpr std::uint64_t kHighSeed = 0x68696768;
constexpr std::uint64_t kLowSeed = 0x6C6F77;

}  // namespace

std::string StoreName(std::string_view uri) {
  uri = uri.substr(uri.rfind(',') + 1);  // npos + 1 is 0
  const std::size_t options = std::min(uri.find('?'), uri.size());
  // The same bucket of two servers is two stores.
  constexpr std::string_view kEndpoint = "endpoint=";
  std::string_view server = uri.substr(options);
  const std::size_t at = server.find(kEndpoint);
  server = at == std::string_view::npos ? std::string_view()
                                        : server.substr(at + kEndpoint.size());
  server = server.substr(0, server.find('&'));
  uri = uri.substr(0, options);
  while (uri.ends_with('/')) {
    uri.remove_suffix(1);
  }
  for (const std::string_view scheme : {"direct:", "mmap:"}) {
    if (uri.starts_with(scheme)) {
      return std::string("file:").append(uri.substr(scheme.size()));
    }
  }
  return server.empty() ? std::string(uri)
                        : std::string(uri).append("@").append(server);
}

Fingerprint ObjectKey(std::string_view name, std::uint64_t version) {
  return {.high = core::StreamKey(TextHash(kHighSeed, name), version),
          .low = core::StreamKey(TextHash(kLowSeed, name), version)};
}

Fingerprint BlockKey(const Fingerprint& object, std::uint64_t number) {
  return {.high = core::StreamKey(object.high, number),
          .low = core::StreamKey(object.low, number)};
}

std::uint32_t GranuleCrc(const Fingerprint& key, std::uint32_t slot,
                         std::uint32_t generation, std::uint32_t granule,
                         std::span<const std::byte> bytes) {
  const std::uint64_t place =
      core::StreamKey(key.high ^ key.low, slot, generation, granule);
  return core::Crc32c(bytes, static_cast<std::uint32_t>(place));
}

}  // namespace stoker::cache
