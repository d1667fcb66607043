#include "cache/internal/commit.h"

#include <cstring>

#include "cache/block_key.h"

namespace stoker::cache::internal {

namespace {

constexpr std::uint32_t kDirtyFlag = 1;
constexpr std::uint32_t kDurableFlag = 2;

class ByteWriter {
 public:
  template <class Number>
  void Put(Number value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof(value));
    std::memcpy(bytes_.data() + at, &value, sizeof(value));
  }
  void PutText(std::string_view text) {
    Put(static_cast<std::uint32_t>(text.size()));
    const auto bytes = std::as_bytes(std::span(text));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// After the end all is 0, and `whole` is false.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : left_(bytes) {}
  template <class Number>
  Number Get() {
    Number value = 0;
    if (left_.size() < sizeof(value)) {
      whole_ = false;
      left_ = {};
      return 0;
    }
    std::memcpy(&value, left_.data(), sizeof(value));
    left_ = left_.subspan(sizeof(value));
    return value;
  }
  std::string GetText() {
    const auto size = Get<std::uint32_t>();
    if (left_.size() < size) {
      whole_ = false;
      left_ = {};
      return {};
    }
    std::string text(reinterpret_cast<const char*>(left_.data()), size);
    left_ = left_.subspan(size);
    return text;
  }
  bool whole() const { return whole_; }

 private:
  std::span<const std::byte> left_;
  bool whole_ = true;
};

}  // namespace

std::string FullName(std::string_view store, std::string_view name) {
  return std::string(store).append("/").append(name);
}

Fingerprint ObjectOf(const Commit& commit) {
  return ObjectKey(FullName(commit.store, commit.name), commit.version);
}

std::vector<std::byte> Encode(const Commit& commit) {
  ByteWriter writer;
  writer.Put(commit.sequence);
  writer.Put(commit.size);
  writer.Put(commit.version);
  writer.Put(commit.store_version);
  writer.Put((commit.dirty ? kDirtyFlag : 0U) |
             (commit.durable ? kDurableFlag : 0U));
  writer.PutText(commit.store);
  writer.PutText(commit.name);
  writer.Put(static_cast<std::uint32_t>(commit.after.size()));
  for (const std::string& name : commit.after) {
    writer.PutText(name);
  }
  return writer.Take();
}

std::optional<Commit> Decode(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  Commit commit;
  commit.sequence = reader.Get<std::uint64_t>();
  commit.size = reader.Get<std::uint64_t>();
  commit.version = reader.Get<std::uint64_t>();
  commit.store_version = reader.Get<std::uint64_t>();
  const auto flags = reader.Get<std::uint32_t>();
  commit.dirty = (flags & kDirtyFlag) != 0;
  commit.durable = (flags & kDurableFlag) != 0;
  commit.store = reader.GetText();
  commit.name = reader.GetText();
  const auto names = reader.Get<std::uint32_t>();
  for (std::uint32_t i = 0; i < names && reader.whole(); ++i) {
    commit.after.push_back(reader.GetText());
  }
  return reader.whole() ? std::optional(std::move(commit)) : std::nullopt;
}

}  // namespace stoker::cache::internal
