// Finding the tensors of a file.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "checkpoint/archive.h"
#include "checkpoint/internal/pickle_reader.h"
#include "checkpoint/internal/zip_directory.h"
#include "core/byte_order.h"
#include "core/crc.h"
#include "core/text.h"

namespace stoker::checkpoint {
namespace {

using core::Code;
using core::Status;

constexpr std::uint64_t kMaxPickleBytes = 16U << 20;
constexpr std::uint64_t kMaxWordBytes = 64;  // of version and byteorder
// Of the file format; torch reads 1 to 10.
constexpr std::int64_t kMaxVersion = 10;

Status Corrupt(std::uint64_t at, std::string_view what) {
  return {Code::kCorruption, fmt::format("at offset {}: {}", at, what)};
}

class Archive {
 public:
  Archive(ByteSource& source, std::uint64_t file_bytes)
      : source_(source, file_bytes) {}

  core::Result<StoredFile> Read() {
    STOKER_TRY(Open());
    STOKER_TRY(CheckVersion());
    STOKER_TRY(CheckByteOrder());
    StoredFile file;
    file.format = Format();
    file.file_bytes = source_.bytes();
    STOKER_ASSIGN(const std::vector<std::byte> pickle,
                  ReadRecord("data.pkl", kMaxPickleBytes));
    STOKER_ASSIGN(std::vector<PickledTensor> tensors, ReadPickle(pickle));
    file.tensors.reserve(tensors.size());
    for (PickledTensor& tensor : tensors) {
      STOKER_ASSIGN(StoredTensor stored, Find(tensor));
      stored.spec = std::move(tensor.spec);
      file.tensors.push_back(std::move(stored));
    }
    return file;
  }

 private:
  // The top folder may have any name.
  Status Open() {
    STOKER_ASSIGN(entries_, zip::ReadDirectory(source_));
    std::size_t folder = 0;
    for (const zip::Entry& entry : entries_) {
      const std::string_view name = entry.record.name;
      const std::size_t slash = name.find('/');
      if (&entry == &entries_.front()) {
        folder = slash == std::string_view::npos ? 0 : slash + 1;
      }
      if (folder == 0 || name.substr(0, folder) !=
                             std::string_view(entries_.front().record.name)
                                 .substr(0, folder)) {
        return {Code::kUnsupported,
                fmt::format("record {}: a torch archive has all of its records "
                            "in one folder",
                            name)};
      }
      if (!by_name_.emplace(name.substr(folder), &entry).second) {
        return Corrupt(entry.record.header_offset,
                       fmt::format("there are two records {}", name));
      }
    }
    return {};
  }

  const zip::Entry* FindRecord(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

  // A small record, its CRC-32 checked.
  core::Result<std::vector<std::byte>> ReadRecord(std::string_view name,
                                                  std::uint64_t max_bytes) {
    const zip::Entry* const entry = FindRecord(name);
    if (entry == nullptr) {
      return Status(Code::kCorruption,
                    fmt::format("expected a record {}, but there is none: not "
                                "an archive of torch.save",
                                name));
    }
    const std::uint64_t bytes = entry->record.bytes;
    if (bytes > max_bytes) {
      return Status(Code::kUnsupported,
                    fmt::format("record {} has {} bytes; at most {} are read",
                                name, bytes, max_bytes));
    }
    STOKER_ASSIGN(const std::uint64_t at, zip::FindPayload(source_, *entry));
    STOKER_ASSIGN(std::vector<std::byte> content, source_.Read(at, bytes));
    if (const std::uint32_t crc = core::Crc32(content); crc != entry->crc) {
      return Corrupt(at,
                     fmt::format("CRC-32 of record {} of {} bytes: expected "
                                 "{:08x}, found {:08x}",
                                 name, bytes, entry->crc, crc));
    }
    return content;
  }

  Status CheckVersion() {
    const std::string_view name =
        FindRecord("version") == nullptr ? ".data/version" : "version";
    STOKER_ASSIGN(const std::vector<std::byte> content,
                  ReadRecord(name, kMaxWordBytes));
    std::string_view text = core::AsText(content);
    text = text.substr(0, text.find('\n'));
    const core::Result<std::int64_t> version = core::ParseInt(text);
    if (!version.ok() || version.value() < 1 || version.value() > kMaxVersion) {
      return {Code::kUnsupported,
              fmt::format("record {} says '{}': versions 1 to {} are read",
                          name, text, kMaxVersion)};
    }
    return {};
  }

  Status CheckByteOrder() {
    if (FindRecord("byteorder") == nullptr) {
      return {};  // before torch 2.1
    }
    STOKER_ASSIGN(const std::vector<std::byte> content,
                  ReadRecord("byteorder", kMaxWordBytes));
    if (core::AsText(content) != "little") {
      return {Code::kUnsupported,
              fmt::format("record byteorder says '{}': only little is read",
                          core::AsText(content))};
    }
    return {};
  }

  FileFormat Format() const {
    if (FindRecord(".format_version") != nullptr) {
      return FileFormat::kTorchZip;
    }
    return FindRecord("byteorder") != nullptr ? FileFormat::kTorchZip2_1
                                              : FileFormat::kTorchZip1_13;
  }

  core::Result<StoredTensor> Find(const PickledTensor& tensor) {
    const std::string name = "data/" + tensor.storage;
    const zip::Entry* const entry = FindRecord(name);
    const std::uint64_t element_bytes = BytesOf(tensor.spec.type);
    const std::uint64_t expected = tensor.storage_elements * element_bytes;
    if (entry == nullptr || entry->record.bytes != expected) {
      return Status(
          Code::kCorruption,
          fmt::format("tensor '{}': expected a record {} of {} bytes, found {}",
                      tensor.spec.key, name, expected,
                      entry == nullptr
                          ? "none"
                          : fmt::format("{} bytes", entry->record.bytes)));
    }
    STOKER_ASSIGN(const std::uint64_t payload,
                  zip::FindPayload(source_, *entry));
    StoredTensor stored;
    stored.header_offset = entry->record.header_offset;
    stored.offset = payload + tensor.first_element * element_bytes;
    stored.bytes = tensor.spec.bytes();
    stored.crc = entry->crc;
    stored.whole_record = stored.bytes == expected;
    return stored;
  }

  zip::ArchiveSource source_;
  std::vector<zip::Entry> entries_;
  // Names within the folder; they and the entries belong to entries_.
  std::map<std::string_view, const zip::Entry*> by_name_;
};

}  // namespace

core::Result<StoredFile> ReadArchive(ByteSource& source,
                                     std::uint64_t file_bytes,
                                     std::string_view name) {
  core::Result<StoredFile> file = Archive(source, file_bytes).Read();
  if (!file.ok()) {
    return file.status().WithContext(name);
  }
  return file;
}

core::Status CheckRecordHeader(const StoredTensor& tensor,
                               std::span<const std::byte> header) {
  STOKER_ASSIGN(const std::uint64_t payload,
                zip::ParseLocal(header, tensor.header_offset));
  if (payload != tensor.header_offset + header.size()) {
    return Corrupt(tensor.header_offset,
                   fmt::format("expected a local header of {} bytes, found {}",
                               header.size(), payload - tensor.header_offset));
  }
  return {};
}

core::Result<StoredFile> DescribeRaw(const ShardFile& file,
                                     std::uint64_t file_bytes) {
  StoredFile stored;
  stored.format = FileFormat::kRaw;
  stored.file_bytes = file.payload_bytes();
  if (file_bytes != stored.file_bytes) {
    return Status(Code::kCorruption,
                  fmt::format("{}: expected {} bytes, found {}", file.name,
                              stored.file_bytes, file_bytes));
  }
  std::uint64_t offset = 0;
  for (const TensorSpec& tensor : file.tensors) {
    StoredTensor& place = stored.tensors.emplace_back();
    place.spec = tensor;
    place.offset = offset;
    place.bytes = tensor.bytes();
    offset += place.bytes;
  }
  return stored;
}

}  // namespace stoker::checkpoint
