// Where everything goes in a file that we write, and the bytes around tensors.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

#include "checkpoint/archive.h"
#include "checkpoint/internal/pickle_writer.h"
#include "checkpoint/internal/zip_records.h"
#include "core/check.h"
#include "core/crc.h"
#include "core/fnv.h"
#include "core/random.h"
#include "core/text.h"

namespace stoker::checkpoint {
namespace {

constexpr std::string_view kFolder = "archive/";
constexpr std::size_t kIdDigits = 40;

struct FormatRow {
  FileFormat format;
  std::string_view name;
};
constexpr std::array<FormatRow, 4> kFormats{
    {{FileFormat::kTorchZip, "torchzip"},
     {FileFormat::kTorchZip21, "torchzip-2.1"},
     {FileFormat::kTorchZip113, "torchzip-1.13"},
     {FileFormat::kRaw, "raw"}}};

std::uint32_t CrcOf(std::string_view text) {
  return core::Crc32(std::as_bytes(std::span(text)));
}

// Tensors in the order of their records: by number, up to torch 2.6 by the
// number's text.
std::vector<std::size_t> OrderOf(std::size_t tensors, FileFormat format) {
  std::vector<std::size_t> order(tensors);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (format == FileFormat::kTorchZip21 || format == FileFormat::kTorchZip113) {
    std::ranges::sort(order, {},
                      [](std::size_t i) { return std::to_string(i); });
  }
  return order;
}

}  // namespace

core::Result<FileFormat> ParseFileFormat(std::string_view name) {
  std::vector<std::string_view> names;
  for (const FormatRow& row : kFormats) {
    if (row.name == name) {
      return row.format;
    }
    names.push_back(row.name);
  }
  return core::Status(core::Code::kInvalidArgument,
                      fmt::format("checkpoint format '{}': it must be one of "
                                  "{}",
                                  name, core::Join(names, ", ")));
}

std::string_view NameOf(FileFormat format) {
  return std::ranges::find(kFormats, format, &FormatRow::format)->name;
}

struct FileLayout::Impl {
  // A record of the archive, in the order of the file; raw: a tensor.
  struct Part {
    zip::Record record;
    std::string content;  // unless it is a tensor
    std::optional<std::size_t> tensor;
    std::uint64_t offset = 0;  // of the payload

    std::uint64_t end() const { return offset + record.bytes; }
  };

  std::vector<Part> parts;
  std::vector<std::size_t> tensor_parts;  // by position
  std::uint64_t directory_offset = 0;     // archive only
  std::uint64_t file_bytes = 0;
  bool raw = false;

  void Add(std::string_view name, std::string content) {
    Part& part = parts.emplace_back();
    part.record.name = std::string(kFolder) + std::string(name);
    part.record.bytes = content.size();
    part.content = std::move(content);
    Place(part);
  }

  void AddTensor(std::size_t index, std::uint64_t bytes) {
    Part& part = parts.emplace_back();
    if (!raw) {
      part.record.name = fmt::format("{}data/{}", kFolder, index);
    }
    part.record.bytes = bytes;
    part.tensor = index;
    tensor_parts.push_back(parts.size() - 1);
    Place(part);
  }

  // Behind what is there.
  void Place(Part& part) {
    part.record.header_offset = file_bytes;
    part.offset = raw ? file_bytes : zip::PayloadOffset(part.record);
    file_bytes = part.end() + (raw ? 0 : zip::DescriptorBytes(part.record));
  }

  void AddEnd() {
    directory_offset = file_bytes;
    for (const Part& part : parts) {
      file_bytes += zip::DirectoryBytes(part.record);
    }
    file_bytes += zip::kTrailerBytes;
  }

  // Forty digits from the names and the CRC-32s of the records before; readers
  // only show it.
  std::string SerializationId(std::span<const std::uint32_t> crcs) const {
    std::uint64_t names = 0;
    std::uint64_t sums = 0;
    for (std::size_t i = 0; i < crcs.size(); ++i) {
      names = core::StreamKey(names, core::Fnv1a64(parts[i].record.name));
      sums = core::StreamKey(sums, crcs[i]);
    }
    return fmt::format("{:020}{:020}", names, sums);
  }

  // What stands behind the last tensor.
  void AppendTail(std::string& out, std::size_t first,
                  std::span<const std::uint32_t> tensor_crcs) const {
    std::vector<std::uint32_t> crcs;  // by part
    crcs.reserve(parts.size());
    std::size_t position = 0;
    for (std::size_t i = 0; i < first; ++i) {
      crcs.push_back(parts[i].tensor ? tensor_crcs[position++]
                                     : CrcOf(parts[i].content));
    }
    for (std::size_t i = first; i < parts.size(); ++i) {
      const Part& part = parts[i];
      const bool is_id = part.content.empty();
      const std::string content = is_id ? SerializationId(crcs) : part.content;
      crcs.push_back(CrcOf(content));
      zip::AppendLocal(out, part.record);
      out += content;
      zip::AppendDescriptor(out, part.record, crcs.back());
    }
    const std::size_t directory = out.size();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      zip::AppendEntry(out, parts[i].record, crcs[i]);
    }
    zip::AppendTrailer(out, {.entries = parts.size(),
                             .directory_offset = directory_offset,
                             .directory_bytes = out.size() - directory});
  }
};

FileLayout::FileLayout(const ShardFile& file, FileFormat format)
    : impl_(std::make_unique<Impl>()) {
  const bool newest = format == FileFormat::kTorchZip;
  impl_->raw = format == FileFormat::kRaw;
  if (!impl_->raw) {
    impl_->Add("data.pkl", PickleOf(file.tensors));
    if (newest) {
      impl_->Add(".format_version", "1");
      impl_->Add(".storage_alignment", "64");
    }
    if (format != FileFormat::kTorchZip113) {
      impl_->Add("byteorder", "little");
    }
  }
  for (const std::size_t index : OrderOf(file.tensors.size(), format)) {
    impl_->AddTensor(index, file.tensors[index].bytes());
  }
  if (!impl_->raw) {
    impl_->Add("version", "3\n");
    if (format != FileFormat::kTorchZip113) {
      impl_->Add(".data/serialization_id", std::string(kIdDigits, '0'));
      impl_->parts.back().content.clear();  // known once all CRC-32s are
    }
    impl_->AddEnd();
  }
}

FileLayout::~FileLayout() = default;
FileLayout::FileLayout(FileLayout&&) noexcept = default;
FileLayout& FileLayout::operator=(FileLayout&&) noexcept = default;

std::uint64_t FileLayout::file_bytes() const { return impl_->file_bytes; }

std::size_t FileLayout::tensors() const { return impl_->tensor_parts.size(); }

std::size_t FileLayout::index(std::size_t position) const {
  return impl_->parts[impl_->tensor_parts[position]].tensor.value_or(0);
}

std::uint64_t FileLayout::offset(std::size_t position) const {
  return impl_->parts[impl_->tensor_parts[position]].offset;
}

std::string FileLayout::Between(std::size_t position,
                                std::span<const std::uint32_t> crcs) const {
  STOKER_CHECK(position <= tensors() && crcs.size() >= position);
  std::string out;
  if (impl_->raw) {
    return out;
  }
  std::size_t part = 0;
  if (position > 0) {
    const std::size_t before = impl_->tensor_parts[position - 1];
    zip::AppendDescriptor(out, impl_->parts[before].record, crcs[position - 1]);
    part = before + 1;
  }
  if (position == tensors()) {
    // Without tensors this is all of the file.
    impl_->AppendTail(out, part, crcs);
    return out;
  }
  for (; !impl_->parts[part].tensor; ++part) {
    const Impl::Part& small = impl_->parts[part];
    zip::AppendLocal(out, small.record);
    out += small.content;
    zip::AppendDescriptor(out, small.record, CrcOf(small.content));
  }
  zip::AppendLocal(out, impl_->parts[part].record);
  return out;
}

}  // namespace stoker::checkpoint
