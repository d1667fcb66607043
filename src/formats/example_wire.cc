#include "formats/example_wire.h"

#include <fmt/format.h>

#include <string_view>

#include "formats/byte_order.h"

namespace stoker::formats {
namespace {

// Tags of length-delimited fields: number << 3 | 2.
constexpr std::byte kField1{0x0A};  // features, entry, key, byte list, value
constexpr std::byte kField2{0x12};  // value of an entry
constexpr std::byte kField3{0x1A};  // integer list

std::size_t VarintBytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) {
    ++bytes;
  }
  return bytes;
}

void AppendVarint(std::vector<std::byte>& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<std::byte>(value | 0x80));
  }
  out.push_back(static_cast<std::byte>(value));
}

void AppendTag(std::vector<std::byte>& out, std::byte tag,
               std::uint64_t length) {
  out.push_back(tag);
  AppendVarint(out, length);
}

// Bytes of a length-delimited field around `length` bytes.
std::uint64_t FieldBytes(std::uint64_t length) {
  return 1 + VarintBytes(length) + length;
}

void AppendKey(std::vector<std::byte>& out, std::string_view key) {
  AppendTag(out, kField1, key.size());
  AppendText(out, key);
}

constexpr std::string_view kImage = "image";
constexpr std::string_view kSize = "size";

// Of what is nested in a message, each without its own tag and length.
struct Lengths {
  std::uint64_t list, image_feature, image_entry;
  std::uint64_t integers, size_feature, size_entry;

  std::uint64_t features() const {
    return FieldBytes(image_entry) + FieldBytes(size_entry);
  }
};

Lengths LengthsOf(std::uint64_t image_bytes, std::uint64_t size) {
  Lengths lengths{};
  lengths.list = FieldBytes(image_bytes);
  lengths.image_feature = FieldBytes(lengths.list);
  lengths.image_entry =
      FieldBytes(kImage.size()) + FieldBytes(lengths.image_feature);
  lengths.integers = FieldBytes(VarintBytes(size));
  lengths.size_feature = FieldBytes(lengths.integers);
  lengths.size_entry =
      FieldBytes(kSize.size()) + FieldBytes(lengths.size_feature);
  return lengths;
}

// Walks the fields of the start of a message.
class Cursor {
 public:
  Cursor(std::span<const std::byte> head, std::uint64_t message_bytes)
      : head_(head), end_(message_bytes) {}

  std::uint64_t at() const { return at_; }

  // Goes behind tag and length of a field that must be `tag` and end at or
  // before `limit`. Returns where it ends.
  core::Result<std::uint64_t> Enter(std::byte tag, std::uint64_t limit,
                                    std::string_view name) {
    const std::uint64_t start = at_;
    if (at_ >= limit) {
      return Missing(name);
    }
    if (at_ >= head_.size()) {
      return TooFar();
    }
    if (head_[at_] != tag) {
      return Missing(name);
    }
    ++at_;
    STOKER_ASSIGN(const std::uint64_t length, Varint(limit));
    if (at_ > limit || length > limit - at_) {
      return core::Status(
          core::Code::kCorruption,
          fmt::format("at offset {} of the message: {} of {} bytes does not "
                      "fit before offset {}",
                      start, name, length, limit));
    }
    return at_ + length;
  }

  // The text of a field that was entered; it must end at `end`.
  core::Result<std::string_view> Text(std::uint64_t end) {
    if (end > head_.size()) {
      return TooFar();
    }
    const std::string_view text = AsText(head_.subspan(at_, end - at_));
    at_ = end;
    return text;
  }

  void Skip(std::uint64_t end) { at_ = end; }

  core::Status Missing(std::string_view name) const {
    return {core::Code::kCorruption,
            fmt::format("at offset {} of the message of {} bytes: expected {}",
                        at_, end_, name)};
  }

 private:
  core::Status TooFar() const {
    return {core::Code::kUnsupported,
            fmt::format("expected the feature \"image\" to begin within the "
                        "first {} of the message's {} bytes",
                        head_.size(), end_)};
  }

  core::Result<std::uint64_t> Varint(std::uint64_t limit) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ >= limit) {
        break;
      }
      if (at_ >= head_.size()) {
        return TooFar();
      }
      const auto byte = std::to_integer<std::uint64_t>(head_[at_++]);
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    return Missing("a length");
  }

  std::span<const std::byte> head_;
  std::uint64_t end_;
  std::uint64_t at_ = 0;
};

}  // namespace

ExampleFrame FrameExample(std::uint64_t image_bytes, std::uint64_t size) {
  const Lengths lengths = LengthsOf(image_bytes, size);
  ExampleFrame frame;
  AppendTag(frame.before, kField1, lengths.features());
  AppendTag(frame.before, kField1, lengths.image_entry);
  AppendKey(frame.before, kImage);
  AppendTag(frame.before, kField2, lengths.image_feature);
  AppendTag(frame.before, kField1, lengths.list);
  AppendTag(frame.before, kField1, image_bytes);

  AppendTag(frame.after, kField1, lengths.size_entry);
  AppendKey(frame.after, kSize);
  AppendTag(frame.after, kField2, lengths.size_feature);
  AppendTag(frame.after, kField3, lengths.integers);
  AppendTag(frame.after, kField1, VarintBytes(size));
  AppendVarint(frame.after, size);
  return frame;
}

std::uint64_t ExampleBytes(std::uint64_t image_bytes, std::uint64_t size) {
  return FieldBytes(LengthsOf(image_bytes, size).features());
}

core::Result<ImageField> FindImage(std::span<const std::byte> head,
                                   std::uint64_t message_bytes) {
  Cursor cursor(head, message_bytes);
  STOKER_ASSIGN(const std::uint64_t features,
                cursor.Enter(kField1, message_bytes, "the features"));
  while (cursor.at() < features) {
    STOKER_ASSIGN(const std::uint64_t entry,
                  cursor.Enter(kField1, features, "a feature"));
    STOKER_ASSIGN(const std::uint64_t key,
                  cursor.Enter(kField1, entry, "a feature's name"));
    STOKER_ASSIGN(const std::string_view name, cursor.Text(key));
    if (name != kImage) {
      cursor.Skip(entry);
      continue;
    }
    STOKER_ASSIGN(const std::uint64_t value,
                  cursor.Enter(kField2, entry, "the image's feature"));
    STOKER_ASSIGN(const std::uint64_t list,
                  cursor.Enter(kField1, value, "the image's list of bytes"));
    STOKER_ASSIGN(const std::uint64_t image,
                  cursor.Enter(kField1, list, "the image"));
    return ImageField{.offset = cursor.at(), .bytes = image - cursor.at()};
  }
  return cursor.Missing("the feature \"image\"");
}

}  // namespace stoker::formats
