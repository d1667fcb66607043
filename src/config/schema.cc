#include "config/schema.h"

#include <algorithm>
#include <array>

#include "core/text.h"

namespace stoker::config {

namespace {

std::string_view LastPart(std::string_view key) {
  return key.substr(key.rfind('.') + 1);  // npos + 1 is 0
}

std::string_view SectionOf(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? "" : key.substr(0, dot);
}

}  // namespace

// A field that is added or removed needs a row: then correct the number here.
// (Sizes of the 64-bit libstdc++ ABI.)
static_assert(sizeof(StorageConfig) == 64 && sizeof(DatasetConfig) == 232 &&
              sizeof(ReaderConfig) == 304 && sizeof(TrainConfig) == 104 &&
              sizeof(EvaluationConfig) == 80 &&
              sizeof(CheckpointConfig) == 232 && sizeof(ModelConfig) == 264 &&
              sizeof(OutputConfig) == 64 && sizeof(WorkflowConfig) == 5 &&
              sizeof(ProfilingConfig) == 56 && sizeof(MetricConfig) == 24);

std::span<const Row> Table() {
  static const std::vector<Row> kTable = [] {
    const auto data = DataRows();
    const auto run = RunRows();
    std::vector<Row> rows(data.begin(), data.end());
    rows.insert(rows.end(), run.begin(), run.end());
    return rows;
  }();
  return kTable;
}

const Row* FindRow(std::string_view key) {
  const auto found = std::ranges::find(Table(), key, &Row::key);
  return found == Table().end() ? nullptr : &*found;
}

bool IsSection(std::string_view key) {
  return std::ranges::any_of(Table(), [&](const Row& row) {
    return row.key.size() > key.size() && row.key.starts_with(key) &&
           row.key[key.size()] == '.';
  });
}

std::string_view NearestKey(std::string_view key) {
  // A right name in the wrong section, a slip within the right section, then
  // one anywhere in the whole key, then in the name alone.
  const auto same_name = [&](const Row& row) {
    return LastPart(row.key) == LastPart(key);
  };
  if (const auto row = std::ranges::find_if(Table(), same_name);
      row != Table().end()) {
    return row->key;
  }
  std::vector<std::string_view> siblings;
  std::vector<std::string_view> keys;
  std::vector<std::string_view> words;
  for (const Row& row : Table()) {
    keys.push_back(row.key);
    words.push_back(LastPart(row.key));
    for (std::string_view section = SectionOf(row.key); !section.empty();
         section = SectionOf(section)) {
      keys.push_back(section);
    }
    if (SectionOf(row.key) == SectionOf(key)) {
      siblings.push_back(LastPart(row.key));
    }
  }
  const std::string_view sibling = core::Nearest(LastPart(key), siblings);
  const auto same_section = [&](const Row& row) {
    return SectionOf(row.key) == SectionOf(key) && LastPart(row.key) == sibling;
  };
  if (!sibling.empty()) {
    return std::ranges::find_if(Table(), same_section)->key;
  }
  const std::string_view whole = core::Nearest(key, keys);
  if (!whole.empty()) {
    return whole;
  }
  const std::string_view word = core::Nearest(LastPart(key), words);
  const auto same_word = std::ranges::find(
      Table(), word, [](const Row& row) { return LastPart(row.key); });
  return word.empty() ? "" : same_word->key;
}

}  // namespace stoker::config
