#include "formats/npz_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "core/crc.h"
#include "formats/byte_order.h"
#include "formats/npy_header.h"
#include "formats/npz_content.h"
#include "formats/npz_layout.h"
#include "formats/npz_reader.h"
#include "formats/payload_io.h"
#include "formats/whole_file.h"

namespace stoker::formats {
namespace {

constexpr std::uint16_t kVersion20 = 20;
constexpr std::uint16_t kVersion45 = 45;  // needs zip64
constexpr std::uint16_t kUnix = 3;
constexpr std::uint16_t kDate1980 = 0x0021;
constexpr std::uint32_t kOwnerReadWrite = 0600U << 16;
constexpr std::size_t kCrcOffset = 14;  // in the local header

struct Member {
  std::string_view name;
  std::uint64_t bytes = 0;
  std::uint64_t local_offset = 0;
  std::uint32_t crc = 0;

  bool large() const { return bytes > npz::kZip64Limit; }
  std::uint32_t size32() const {
    return large() ? UINT32_MAX : static_cast<std::uint32_t>(bytes);
  }
};

void AppendZip64(std::vector<std::byte>& out,
                 const std::vector<std::uint64_t>& values) {
  AppendLe<std::uint16_t>(out, 1);
  AppendLe(out, static_cast<std::uint16_t>(8 * values.size()));
  for (const std::uint64_t value : values) {
    AppendLe(out, value);
  }
}

// The fields that local header and directory entry share, up to the lengths.
void AppendCommon(std::vector<std::byte>& out, const Member& member,
                  std::uint16_t version) {
  AppendLe(out, version);
  AppendLe<std::uint16_t>(out, 0);  // flags
  AppendLe<std::uint16_t>(out, 0);  // stored
  AppendLe<std::uint16_t>(out, 0);  // time
  AppendLe(out, kDate1980);
  AppendLe(out, member.crc);
  AppendLe(out, member.size32());
  AppendLe(out, member.size32());
  AppendLe(out, static_cast<std::uint16_t>(member.name.size()));
}

void AppendLocal(std::vector<std::byte>& out, const Member& member) {
  AppendLe(out, npz::kLocalMagic);
  AppendCommon(out, member, member.large() ? kVersion45 : kVersion20);
  AppendLe(out, static_cast<std::uint16_t>(npz::kExtra64Bytes));
  AppendText(out, member.name);
  // numpy forces zip64, so the extra field is there whatever the size.
  AppendZip64(out, {member.bytes, member.bytes});
}

void AppendEntry(std::vector<std::byte>& out, const Member& member) {
  std::vector<std::uint64_t> wide;
  if (member.large()) {
    wide.assign(2, member.bytes);
  }
  const bool far = member.local_offset > npz::kZip64Limit;
  if (far) {
    wide.push_back(member.local_offset);
  }
  const std::uint16_t version = wide.empty() ? kVersion20 : kVersion45;
  AppendLe(out, npz::kEntryMagic);
  AppendLe(out, static_cast<std::uint16_t>(kUnix << 8 | version));
  AppendCommon(out, member, version);
  AppendLe(out,
           static_cast<std::uint16_t>(wide.empty() ? 0 : 4 + 8 * wide.size()));
  AppendLe<std::uint16_t>(out, 0);  // comment
  AppendLe<std::uint16_t>(out, 0);  // disk
  AppendLe<std::uint16_t>(out, 0);  // internal attributes
  AppendLe(out, kOwnerReadWrite);
  AppendLe(out,
           far ? UINT32_MAX : static_cast<std::uint32_t>(member.local_offset));
  AppendText(out, member.name);
  if (!wide.empty()) {
    AppendZip64(out, wide);
  }
}

void AppendEnd(std::vector<std::byte>& out, const npz::Layout& layout) {
  if (layout.zip64_end) {
    AppendLe(out, npz::kEnd64Magic);
    AppendLe<std::uint64_t>(out, npz::kEnd64Bytes - 12);
    AppendLe(out, kVersion45);
    AppendLe(out, kVersion45);
    AppendLe<std::uint64_t>(out, 0);  // disks
    AppendLe(out, layout.entries);
    AppendLe(out, layout.entries);
    AppendLe(out, layout.directory_bytes);
    AppendLe(out, layout.directory_offset);
    AppendLe(out, npz::kLocatorMagic);
    AppendLe<std::uint32_t>(out, 0);  // disk
    AppendLe(out, layout.directory_offset + layout.directory_bytes);
    AppendLe<std::uint32_t>(out, 1);  // disks
  }
  AppendLe(out, npz::kEndMagic);
  AppendLe<std::uint32_t>(out, 0);  // disks
  AppendLe(out, static_cast<std::uint16_t>(layout.entries));
  AppendLe(out, static_cast<std::uint16_t>(layout.entries));
  AppendLe(out, static_cast<std::uint32_t>(layout.directory_bytes));
  // Between 2 and 4 GiB zipfile writes the zip64 record and the offset here.
  AppendLe(out, static_cast<std::uint32_t>(std::min<std::uint64_t>(
                    layout.directory_offset, UINT32_MAX)));
  AppendLe<std::uint16_t>(out, 0);  // comment
}

constexpr std::array<std::byte, 4096> kZeros{};

// The `bytes` zeros behind the label header, in pieces.
template <class Use>
core::Status ForZeros(std::uint64_t bytes, Use use) {
  while (bytes > 0) {
    const auto piece =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kZeros.size()));
    STOKER_TRY(use(std::span(kZeros).first(piece)));
    bytes -= piece;
  }
  return {};
}

core::Status WriteLabels(const FileSpec& file, Member& member,
                         storage::WriteStream& out) {
  const std::vector<std::byte> header =
      NpyHeader("<i8", fmt::format("({},)", file.samples));
  const std::uint64_t zeros = member.bytes - header.size();
  member.crc = core::Crc32(header);
  STOKER_TRY(ForZeros(zeros, [&member](std::span<const std::byte> piece) {
    member.crc = core::Crc32(piece, member.crc);
    return core::Status();
  }));
  std::vector<std::byte> local;
  AppendLocal(local, member);
  STOKER_TRY(out.Write(local));
  STOKER_TRY(out.Write(header));
  return ForZeros(zeros, [&out](std::span<const std::byte> piece) {
    return out.Write(piece);
  });
}

}  // namespace

std::uint64_t NpzFormat::FileBytes(const FileSpec& file) const {
  return npz::PlanLayout(file).file_bytes;
}

core::Status NpzFormat::Encode(const FileSpec& file, PayloadSource& payload,
                               storage::WriteStream& out) const {
  const npz::Layout plan = npz::PlanLayout(file);
  Member array{.name = "x.npy", .bytes = plan.member_bytes};
  const std::vector<std::byte> header = NpyHeader(
      "|u1",
      fmt::format("({}, {}, {})", file.rows, file.columns, file.samples));
  std::vector<std::byte> record;
  AppendLocal(record, array);
  STOKER_TRY(out.Write(record));
  STOKER_TRY(out.Write(header));
  STOKER_ASSIGN(
      array.crc,
      StreamPayload(
          {.file = file.index, .sample = 0, .bytes = plan.payload_bytes()},
          payload, core::Crc32, core::Crc32(header), out));
  record.clear();
  AppendLe(record, array.crc);
  STOKER_TRY(out.Patch(kCrcOffset, record));

  const npz::LabelLayout labels = npz::PlanLabels(file);
  Member label{.name = "y.npy",
               .bytes = labels.member_bytes,
               .local_offset = labels.local_offset};
  STOKER_TRY(WriteLabels(file, label, out));
  record.clear();
  AppendEntry(record, array);
  AppendEntry(record, label);
  AppendEnd(record, plan);
  return out.Write(record);
}

std::unique_ptr<ReaderProgram> NpzFormat::NewReader(
    const ReaderOptions& options) const {
  if (options.style == ReaderOptions::Style::kReference) {
    return std::make_unique<NpzReferenceReader>(options);
  }
  return std::make_unique<WholeFileReader>(
      options, *this, 0, std::make_unique<NpzContent>(options));
}

}  // namespace stoker::formats
