#pragma once

// What is known of an object that was written through the cache.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/slot_entry.h"

namespace stoker::cache::internal {

// One writing of an object. It is in the table of commits (commit_table.h) from
// the moment its blocks are all on the device, and dirty until the store has
// it.
struct Commit {
  std::string store;  // StoreName of what is behind
  std::string name;   // of the object there; any bytes
  std::uint64_t sequence = 0;
  std::uint64_t size = 0;     // bytes
  std::uint64_t version = 0;  // of its blocks' keys; drawn for each writing
  bool dirty = true;          // the store does not have it yet
  bool durable = false;       // its blocks were on stable storage before it was
  std::uint64_t store_version = 0;   // there, once it has it
  std::vector<std::string> after{};  // WriteOptions::after
};

inline bool IsSameWriting(const Commit& one, const Commit& other) {
  return one.store == other.store && one.name == other.name &&
         one.version == other.version;
}

// What an object is known by in all stores: its store, '/' and its name.
std::string FullName(std::string_view store, std::string_view name);

// The ObjectKey that the writing's blocks are made of.
Fingerprint ObjectOf(const Commit& commit);

// As bytes, little-endian: numbers, then texts with their lengths. Any bytes
// may be decoded: nothing, if they are no commit's.
std::vector<std::byte> Encode(const Commit& commit);
std::optional<Commit> Decode(std::span<const std::byte> bytes);

}  // namespace stoker::cache::internal
