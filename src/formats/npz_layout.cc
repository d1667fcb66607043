#include "formats/npz_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "core/text.h"
#include "formats/byte_order.h"

namespace stoker::formats::npz {
namespace {

constexpr std::string_view kMember = "x.npy";
constexpr std::uint32_t kInExtra = 0xFFFFFFFF;  // the value is in the extra
constexpr std::uint16_t kUtf8Flag = 0x0800;
constexpr std::uint16_t kZip64Id = 1;

core::Status Corrupt(std::uint64_t at, std::string_view what) {
  return {core::Code::kCorruption, fmt::format("at offset {}: {}", at, what)};
}

core::Status Unsupported(std::uint64_t at, std::string_view what) {
  return {core::Code::kUnsupported, fmt::format("at offset {}: {}", at, what)};
}

core::Status WrongMagic(Bytes record, std::uint64_t at, std::uint32_t expected,
                        std::string_view name) {
  return Corrupt(at,
                 fmt::format("expected the {} (signature {:08x}), found "
                             "{:08x}",
                             name, expected, LoadLe<std::uint32_t>(record, 0)));
}

// The values of the zip64 extra field, nothing if there is none; nullopt if the
// fields do not fill `extra` exactly or that one has no value.
std::optional<Bytes> FindZip64(Bytes extra) {
  Bytes found;
  while (!extra.empty()) {
    if (extra.size() < 4) {
      return std::nullopt;
    }
    const auto id = LoadLe<std::uint16_t>(extra, 0);
    const auto length = LoadLe<std::uint16_t>(extra, 2);
    if (extra.size() - 4 < length || (id == kZip64Id && length < 8)) {
      return std::nullopt;
    }
    if (id == kZip64Id) {
      found = extra.subspan(4, length);
    }
    extra = extra.subspan(std::size_t{4} + length);
  }
  return found;
}

// Takes the next 64-bit value of a zip64 extra field if `value` refers to it.
// False: it is not there.
bool Widen(std::uint64_t& value, Bytes& zip64) {
  if (value != kInExtra) {
    return true;
  }
  if (zip64.size() < 8) {
    return false;
  }
  value = LoadLe<std::uint64_t>(zip64, 0);
  zip64 = zip64.subspan(8);
  return true;
}

// The entry of the array's member; `entry` holds all of it.
core::Status TakeEntry(Bytes entry, std::uint64_t at, Layout& layout) {
  layout.flags = LoadLe<std::uint16_t>(entry, 8);
  if ((layout.flags & ~kUtf8Flag) != 0) {
    return Unsupported(at + 8, fmt::format("member {} has flags {:#06x}: "
                                           "encrypted or streamed members are "
                                           "not read",
                                           kMember, layout.flags));
  }
  if (const auto method = LoadLe<std::uint16_t>(entry, 10); method != 0) {
    return Unsupported(at + 10, fmt::format("member {} is compressed (method "
                                            "{}), expected stored (0)",
                                            kMember, method));
  }
  const std::size_t names = kEntryBytes + LoadLe<std::uint16_t>(entry, 28);
  std::optional<Bytes> zip64 =
      FindZip64(entry.subspan(names, LoadLe<std::uint16_t>(entry, 30)));
  std::uint64_t compressed = LoadLe<std::uint32_t>(entry, 20);
  layout.crc = LoadLe<std::uint32_t>(entry, 16);
  layout.member_bytes = LoadLe<std::uint32_t>(entry, 24);
  layout.local_offset = LoadLe<std::uint32_t>(entry, 42);
  if (!zip64 || !Widen(layout.member_bytes, *zip64) ||
      !Widen(compressed, *zip64) || !Widen(layout.local_offset, *zip64)) {
    return Corrupt(at + names,
                   "expected whole extra fields with every 64-bit "
                   "value that the entry refers to");
  }
  if (compressed != layout.member_bytes) {
    return Corrupt(at + 20, fmt::format("a stored member of {} bytes is given "
                                        "as {} compressed bytes",
                                        layout.member_bytes, compressed));
  }
  return {};
}

core::Status CheckMemberFits(const Layout& layout) {
  const std::uint64_t end = layout.directory_offset;
  if (layout.local_offset > end || end - layout.local_offset < kLocalBytes ||
      layout.member_bytes > end - layout.local_offset - kLocalBytes) {
    return Corrupt(
        layout.directory_offset,
        fmt::format("member {} of {} bytes at {} does not fit "
                    "before the directory",
                    kMember, layout.member_bytes, layout.local_offset));
  }
  return {};
}

// The numbers between `(` and `)` of a shape; nothing if malformed.
std::optional<std::array<std::uint64_t, 3>> ParseShape(std::string_view text) {
  std::array<std::uint64_t, 3> shape{};
  std::size_t count = 0;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    more = comma != text.npos;
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(more ? comma + 1 : text.size());
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    const core::Result<std::int64_t> number = core::ParseInt(part);
    if (count == shape.size() || !number.ok() || number.value() < 0) {
      return std::nullopt;
    }
    shape[count++] = static_cast<std::uint64_t>(number.value());
  }
  return count == shape.size() ? std::optional(shape) : std::nullopt;
}

// a·b·c == bytes, without overflow.
bool ProductIs(const std::array<std::uint64_t, 3>& shape, std::uint64_t bytes) {
  std::uint64_t product = 1;
  for (const std::uint64_t length : shape) {
    if (__builtin_mul_overflow(product, length, &product)) {
      return false;
    }
  }
  return product == bytes;
}

std::uint64_t EntryExtraBytes(std::uint64_t member_bytes,
                              std::uint64_t local_offset) {
  const std::uint64_t values = (member_bytes > kZip64Limit ? 2U : 0U) +
                               (local_offset > kZip64Limit ? 1U : 0U);
  return values == 0 ? 0 : 4 + 8 * values;
}

}  // namespace

Layout PlanLayout(const FileSpec& file) {
  Layout plan;
  plan.entries = 2;
  plan.name_bytes = static_cast<std::uint16_t>(kMember.size());
  plan.extra_bytes = kExtra64Bytes;
  plan.member_offset = kLocalBytes + plan.name_bytes + plan.extra_bytes;
  plan.header_bytes = kNpyBytes;
  plan.rows = file.rows;
  plan.columns = file.columns;
  plan.samples = file.samples;
  plan.member_bytes = kNpyBytes + file.sample_bytes() * file.samples;
  const LabelLayout labels = PlanLabels(file);
  plan.directory_offset =
      labels.local_offset + plan.member_offset + labels.member_bytes;
  plan.directory_bytes =
      2 * (kEntryBytes + kMember.size()) +
      EntryExtraBytes(plan.member_bytes, 0) +
      EntryExtraBytes(labels.member_bytes, labels.local_offset);
  plan.zip64_end = plan.directory_offset > kZip64Limit;
  plan.file_bytes = plan.directory_offset + plan.directory_bytes +
                    (plan.zip64_end ? kEnd64Bytes + kLocatorBytes : 0) +
                    kEndBytes;
  return plan;
}

LabelLayout PlanLabels(const FileSpec& file) {
  return {.local_offset = kLocalBytes + kMember.size() + kExtra64Bytes +
                          kNpyBytes + file.sample_bytes() * file.samples,
          .member_bytes =
              kNpyBytes + sizeof(std::int64_t) * std::uint64_t{file.samples}};
}

core::Status ParseEnd(Bytes record, std::uint64_t at, Layout& layout) {
  if (LoadLe<std::uint32_t>(record, 0) != kEndMagic) {
    return WrongMagic(record, at, kEndMagic, "end-of-directory record");
  }
  layout.entries = LoadLe<std::uint16_t>(record, 10);
  layout.directory_bytes = LoadLe<std::uint32_t>(record, 12);
  layout.directory_offset = LoadLe<std::uint32_t>(record, 16);
  if (LoadLe<std::uint32_t>(record, 4) != 0 ||
      LoadLe<std::uint16_t>(record, 8) != layout.entries) {
    return Corrupt(at + 4, "expected an archive on one disk");
  }
  if (LoadLe<std::uint16_t>(record, 20) != 0) {
    return Unsupported(at + 20, "archives with a comment are not read");
  }
  return {};
}

bool IsLocator(Bytes record) {
  return LoadLe<std::uint32_t>(record, 0) == kLocatorMagic;
}

core::Status ParseLocator(Bytes record, std::uint64_t at, Layout& layout) {
  layout.zip64_end = true;
  if (LoadLe<std::uint64_t>(record, 8) != at - kEnd64Bytes ||
      LoadLe<std::uint32_t>(record, 4) != 0 ||
      LoadLe<std::uint32_t>(record, 16) != 1) {
    return Corrupt(at, fmt::format("expected a locator of the zip64 end record "
                                   "at {} on the only disk",
                                   at - kEnd64Bytes));
  }
  return {};
}

core::Status ParseEnd64(Bytes record, std::uint64_t at, Layout& layout) {
  if (LoadLe<std::uint32_t>(record, 0) != kEnd64Magic) {
    return WrongMagic(record, at, kEnd64Magic, "zip64 end-of-directory record");
  }
  layout.entries = LoadLe<std::uint64_t>(record, 32);
  layout.directory_bytes = LoadLe<std::uint64_t>(record, 40);
  layout.directory_offset = LoadLe<std::uint64_t>(record, 48);
  if (LoadLe<std::uint64_t>(record, 4) != kEnd64Bytes - 12 ||
      LoadLe<std::uint64_t>(record, 16) != 0 ||
      LoadLe<std::uint64_t>(record, 24) != layout.entries) {
    return Corrupt(at + 4,
                   "expected a zip64 end record of 44 bytes for an "
                   "archive on one disk");
  }
  return {};
}

core::Status CheckDirectory(std::uint64_t at, const Layout& layout) {
  if (layout.directory_bytes > at ||
      layout.directory_offset != at - layout.directory_bytes) {
    return Corrupt(
        at, fmt::format("expected the directory to end here, but "
                        "it is given as {} bytes at {}",
                        layout.directory_bytes, layout.directory_offset));
  }
  return {};
}

core::Status ParseDirectory(Bytes directory, Layout& layout) {
  bool found = false;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < directory.size(); ++count) {
    const std::uint64_t at = layout.directory_offset + i;
    Bytes entry = directory.subspan(i);
    if (entry.size() < kEntryBytes) {
      return Corrupt(at, "expected a whole directory entry");
    }
    if (LoadLe<std::uint32_t>(entry, 0) != kEntryMagic) {
      return WrongMagic(entry, at, kEntryMagic, "directory entry");
    }
    const std::size_t name = LoadLe<std::uint16_t>(entry, 28);
    const std::size_t length = kEntryBytes + name +
                               LoadLe<std::uint16_t>(entry, 30) +
                               LoadLe<std::uint16_t>(entry, 32);
    if (entry.size() < length) {
      return Corrupt(at + 28, fmt::format("the entry's names and fields end "
                                          "behind the directory ({} bytes)",
                                          directory.size()));
    }
    entry = entry.first(length);
    if (AsText(entry.subspan(kEntryBytes, name)) == kMember) {
      STOKER_TRY(TakeEntry(entry, at, layout));
      found = true;
    }
    i += length;
  }
  if (!found || count != layout.entries) {
    return Corrupt(layout.directory_offset,
                   fmt::format("expected {} entries with \"{}\" among them, "
                               "found {} entries {} it",
                               layout.entries, kMember, count,
                               found ? "with" : "without"));
  }
  return CheckMemberFits(layout);
}

core::Status ParseLocalSizes(Bytes record, Layout& layout) {
  if (LoadLe<std::uint32_t>(record, 0) != kLocalMagic) {
    return WrongMagic(record, layout.local_offset, kLocalMagic,
                      "local file header");
  }
  layout.name_bytes = LoadLe<std::uint16_t>(record, 26);
  layout.extra_bytes = LoadLe<std::uint16_t>(record, 28);
  layout.member_offset = layout.local_offset + kLocalBytes + layout.name_bytes +
                         layout.extra_bytes;
  if (layout.name_bytes != kMember.size() ||
      layout.member_end() > layout.directory_offset) {
    return Corrupt(layout.local_offset + 26,
                   fmt::format("expected a name of {} bytes and a member that "
                               "ends before the directory at {}",
                               kMember.size(), layout.directory_offset));
  }
  return {};
}

core::Status ParseLocal(Bytes record, const Layout& layout) {
  const std::uint64_t at = layout.local_offset;
  if (LoadLe<std::uint16_t>(record, 6) != layout.flags ||
      LoadLe<std::uint16_t>(record, 8) != 0) {
    return Corrupt(at + 6, fmt::format("expected flags {:#06x} and method 0, "
                                       "as in the directory",
                                       layout.flags));
  }
  if (AsText(record.subspan(kLocalBytes, layout.name_bytes)) != kMember) {
    return Corrupt(at + kLocalBytes,
                   fmt::format("expected the name \"{}\"", kMember));
  }
  if (LoadLe<std::uint32_t>(record, 14) != layout.crc) {
    return Corrupt(at + 14,
                   fmt::format("expected CRC-32 {:08x} as in the "
                               "directory, found {:08x}",
                               layout.crc, LoadLe<std::uint32_t>(record, 14)));
  }
  std::uint64_t compressed = LoadLe<std::uint32_t>(record, 18);
  std::uint64_t bytes = LoadLe<std::uint32_t>(record, 22);
  // The sizes are in the extra field as well, whether it is needed or not.
  std::optional<Bytes> zip64 =
      FindZip64(record.subspan(kLocalBytes + layout.name_bytes));
  if (!zip64 ||
      (zip64->size() >= 16 &&
       (LoadLe<std::uint64_t>(*zip64, 0) != layout.member_bytes ||
        LoadLe<std::uint64_t>(*zip64, 8) != layout.member_bytes)) ||
      !Widen(bytes, *zip64) || !Widen(compressed, *zip64) ||
      bytes != layout.member_bytes || compressed != layout.member_bytes) {
    return Corrupt(at + 18, fmt::format("expected a stored member of {} bytes "
                                        "in the local header and its extra "
                                        "fields, as in the directory",
                                        layout.member_bytes));
  }
  return {};
}

core::Result<bool> ParseLocalAlone(Bytes record, Layout& layout) {
  const std::uint64_t at = layout.local_offset;
  layout.name_bytes = LoadLe<std::uint16_t>(record, 26);
  layout.extra_bytes = LoadLe<std::uint16_t>(record, 28);
  layout.member_offset = at + record.size();
  layout.flags = LoadLe<std::uint16_t>(record, 6);
  layout.crc = LoadLe<std::uint32_t>(record, 14);
  const std::string_view name =
      AsText(record.subspan(kLocalBytes, layout.name_bytes));
  if ((layout.flags & ~kUtf8Flag) != 0) {
    return Unsupported(at + 6, fmt::format("member {} has flags {:#06x}: "
                                           "encrypted or streamed members are "
                                           "not read",
                                           name, layout.flags));
  }
  if (const auto method = LoadLe<std::uint16_t>(record, 8);
      method != 0 && name == kMember) {
    return Unsupported(at + 8, fmt::format("member {} is compressed (method "
                                           "{}), expected stored (0)",
                                           name, method));
  }
  std::uint64_t stored = LoadLe<std::uint32_t>(record, 18);
  layout.member_bytes = LoadLe<std::uint32_t>(record, 22);
  std::optional<Bytes> zip64 =
      FindZip64(record.subspan(kLocalBytes + layout.name_bytes));
  if (!zip64 || !Widen(layout.member_bytes, *zip64) || !Widen(stored, *zip64) ||
      stored > INT64_MAX ||
      (name == kMember && stored != layout.member_bytes)) {
    return Corrupt(at + 18, fmt::format("expected the sizes of member {} in "
                                        "the local header and its extra fields",
                                        name));
  }
  layout.member_bytes = stored;
  return name == kMember;
}

core::Result<std::uint64_t> NpyHeaderBytes(Bytes start, std::uint64_t at) {
  if (start.size() < 10) {
    return std::uint64_t{0};
  }
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (AsText(start.first(kMagic.size())) != kMagic) {
    return Corrupt(at, "expected an array header (\\x93NUMPY)");
  }
  const std::uint64_t bytes = 10U + LoadLe<std::uint16_t>(start, 8);
  if (LoadLe<std::uint16_t>(start, 6) != 1 || bytes > kMaxNpyBytes) {
    return Unsupported(at + 6, fmt::format("expected version 1.0 of the array "
                                           "header in at most {} bytes",
                                           kMaxNpyBytes));
  }
  return bytes;
}

core::Status ParseNpy(Bytes header, Layout& layout) {
  const std::uint64_t at = layout.member_offset;
  const std::string_view text = AsText(header.subspan(10));
  if (text.find("'descr': '|u1'") == text.npos ||
      text.find("'fortran_order': False") == text.npos) {
    return Unsupported(at + 10, fmt::format("expected an array with descr "
                                            "'|u1' in C order, found {}",
                                            text.substr(0, text.find('\n'))));
  }
  constexpr std::string_view kShape = "'shape': (";
  const std::size_t open = text.find(kShape);
  const std::size_t begin =
      open == text.npos ? text.size() : open + kShape.size();
  const auto shape =
      ParseShape(text.substr(begin, text.find(')', begin) - begin));
  if (!shape) {
    return Unsupported(at + 10 + begin,
                       "expected a shape of three lengths (rows, columns, "
                       "samples)");
  }
  layout.header_bytes = header.size();
  if (!ProductIs(*shape, layout.payload_bytes())) {
    return Corrupt(at + 10 + begin,
                   fmt::format("shape ({}, {}, {}) does not make the member's "
                               "{} bytes of data",
                               (*shape)[0], (*shape)[1], (*shape)[2],
                               layout.payload_bytes()));
  }
  layout.rows = (*shape)[0];
  layout.columns = (*shape)[1];
  layout.samples = (*shape)[2];
  return {};
}

}  // namespace stoker::formats::npz
