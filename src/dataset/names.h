#pragma once

// Names of data files, computed from their index, never held as a table.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoker::dataset {

// Naming of one set (train or valid) as it lies in the store.
struct Naming {
  std::string set = "train";  // folder of the set: "train" or "valid"
  std::string prefix = "img";
  std::string suffix = "npz";    // without the dot
  std::uint64_t total = 0;       // files in the set; part of every name
  std::uint64_t subfolders = 0;  // 0 and 1: flat

  friend bool operator==(const Naming&, const Naming&) = default;
};

// "train/img_000_of_168.npz"; with subfolders S > 1
// "train/07/img_019_of_168.npz" (file i in i mod S, zero-padded to the digits
// of S). Replaces `out`, keeping its capacity.
void ObjectName(const Naming& naming, std::uint64_t index, std::string& out);
std::string ObjectName(const Naming& naming, std::uint64_t index);

// "index/train/img_0000_of_1024.tfrecord.idx": where the record index of a file
// lies. Never in subfolders. Replaces `out`.
void IndexName(const Naming& naming, std::uint64_t index, std::string& out);

// The parts of a name as ObjectName makes them ("train/" may be missing: then
// set is ""); nothing if it has another form or is padded otherwise. A folder
// of digits only is a subfolder. The views point into `name`.
struct ParsedName {
  std::string_view set;
  std::string_view subfolder;  // "" if flat
  std::string_view prefix;
  std::string_view suffix;
  std::uint64_t index = 0;
  std::uint64_t total = 0;
};
std::optional<ParsedName> ParseName(std::string_view name);

}  // namespace stoker::dataset
