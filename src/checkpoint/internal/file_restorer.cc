#include "checkpoint/internal/file_restorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "metrics/witnesses.h"

namespace stoker::checkpoint::internal {

namespace {

using core::Code;
using core::Status;

Status CheckTensors(const ShardFile& file, const StoredFile& stored) {
  const auto describe = [](const TensorSpec& tensor) {
    return fmt::format("'{}{}{}' of {} x {}", tensor.group,
                       tensor.group.empty() ? "" : ".", tensor.key,
                       tensor.elements, NameOf(tensor.type));
  };
  if (stored.tensors.size() != file.tensors.size()) {
    return {Code::kCorruption,
            fmt::format("it holds {} tensors, the model calls for {}",
                        stored.tensors.size(), file.tensors.size())};
  }
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    if (stored.tensors[i].spec != file.tensors[i]) {
      return {Code::kCorruption,
              fmt::format("tensor {} is {}, the model calls for {}", i,
                          describe(stored.tensors[i].spec),
                          describe(file.tensors[i]))};
    }
  }
  return {};
}

std::vector<Region> RegionsOf(const ShardFile& file, const FileLayout& layout) {
  std::vector<Region> regions;
  for (std::size_t i = 0; i < layout.tensors(); ++i) {
    const TensorSpec& tensor = file.tensors[layout.index(i)];
    regions.push_back({.tensor = layout.index(i),
                       .type = tensor.type,
                       .offset = layout.offset(i),
                       .bytes = tensor.bytes()});
  }
  return regions;
}

// The tensors in the order of the pickle.
StoredFile StoredAs(const ShardFile& file, FileFormat format,
                    std::uint64_t small_unit) {
  const FileLayout layout(file, format);
  StoredFile stored{.format = format, .file_bytes = layout.file_bytes()};
  stored.tensors.resize(layout.tensors());
  for (std::size_t i = 0; i < layout.tensors(); ++i) {
    const std::uint64_t offset = layout.offset(i);
    const TensorSpec& tensor = file.tensors[layout.index(i)];
    stored.tensors[layout.index(i)] = {
        .spec = tensor,
        .header_offset = offset - std::min<std::uint64_t>(offset, small_unit),
        .offset = offset,
        .bytes = tensor.bytes()};
  }
  return stored;
}

}  // namespace

const ManifestFile* FindFile(const FoundCheckpoint& found,
                             std::string_view name) {
  const auto& files = found.manifest.files;
  const auto at = std::ranges::find(files, name, &ManifestFile::name);
  return at == files.end() ? nullptr : &*at;
}

std::optional<std::uint64_t> DeviceBytesRead() {
  const std::optional<metrics::Traffic> traffic = metrics::ReadProcessTraffic();
  return traffic.has_value() ? std::optional(traffic->read) : std::nullopt;
}

std::optional<std::uint64_t> CachedBytes(storage::Backend& backend,
                                         std::string_view folder,
                                         const std::vector<ShardFile>& files) {
  std::uint64_t sum = 0;
  for (const ShardFile& file : files) {
    const core::Result<std::optional<std::uint64_t>> cached =
        backend.CachedBytes(ObjectName(folder, file.name));
    const std::optional<std::uint64_t> bytes =
        cached.ok() ? cached.value() : std::nullopt;
    if (!bytes.has_value()) {
      return std::nullopt;
    }
    sum += *bytes;
  }
  return sum;
}

Status FileRestorer::Restore(const std::string& object, const ShardFile& file) {
  reader_.Open(object);
  const ManifestFile* const known = FindFile(found_, file.name);
  std::uint64_t file_bytes = 0;
  if (known != nullptr) {
    file_bytes = known->bytes;
  } else if (reader_.real_data()) {
    STOKER_ASSIGN(file_bytes, reader_.Size());
  } else {
    file_bytes = FileLayout(file, options_.format).file_bytes();
  }
  STOKER_ASSIGN(CheckPlan plan, PlanOf(file, file_bytes));
  const FileContent content(found_.manifest.content, file.name);
  const FileFormat format =
      found_.has_manifest ? found_.manifest.format : options_.format;
  plan.whole_file =
      context_.style != IoStyle::kReference || format == FileFormat::kRaw;
  if (found_.has_manifest) {
    plan.content = &content;
    plan.frame_crc = known->frame_crc;
    plan.by_sum = plan.whole_file && plan.verify == Verify::kFull;
    plan.crc = known->crc;
  }
  Status status = Look(object, file, plan);
  if (status.code() == Code::kCorruption && plan.by_sum) {
    plan.by_sum = false;
    const Status compared = Look(object, file, plan);
    status = compared.ok()
                 ? status.WithContext("read again it was right, but before")
                 : compared;
  }
  STOKER_TRY(status);
  ++op_.files;
  op_.payload_bytes += file.payload_bytes();
  if (context_.progress) {
    context_.progress(reader_.bytes());
  }
  return {};
}

// One pass over the file.
Status FileRestorer::Look(const std::string& object, const ShardFile& file,
                          CheckPlan plan) {
  const std::uint64_t file_bytes = plan.file_bytes;
  const bool whole = plan.whole_file;
  ShardCheck check(std::move(plan), *context_.clock);
  STOKER_TRY(whole ? reader_.Read(0, file_bytes, check)
                   : InOrderOfReference(object, file, file_bytes, check));
  STOKER_TRY(check.Finish().WithContext("read " + object));
  op_.verified_bytes += check.verified_bytes();
  op_.content += check.content_time();
  op_.checksum += check.checksum_time();
  return {};
}

core::Result<CheckPlan> FileRestorer::PlanOf(const ShardFile& file,
                                             std::uint64_t file_bytes) {
  CheckPlan plan{.verify = options_.verify, .file_bytes = file_bytes};
  if (!reader_.real_data()) {
    plan.verify = Verify::kNone;
    return plan;
  }
  if (!found_.has_manifest) {
    STOKER_TRY(PlanForeign(file, plan));
    return plan;
  }
  const FileLayout layout(file, found_.manifest.format);
  if (layout.file_bytes() != file_bytes) {
    return Status(Code::kCorruption,
                  fmt::format("its manifest gives it {} bytes, its tensors "
                              "take {}",
                              file_bytes, layout.file_bytes()));
  }
  plan.regions = RegionsOf(file, layout);
  return plan;
}

// Raw files of others have nothing to be held against but their size.
Status FileRestorer::PlanForeign(const ShardFile& file, CheckPlan& plan) {
  BlockSource source(reader_, plan.file_bytes, reader_.preferred_unit());
  core::Result<StoredFile> stored =
      ReadArchive(source, plan.file_bytes, file.name);
  if (!stored.ok() && plan.file_bytes == file.payload_bytes()) {
    return {};
  }
  STOKER_TRY(stored.status());
  STOKER_TRY(CheckTensors(file, stored.value()));
  for (std::size_t i = 0; i < stored.value().tensors.size(); ++i) {
    const StoredTensor& tensor = stored.value().tensors[i];
    // A view has no sum of its own.
    if (!tensor.whole_record) {
      continue;
    }
    plan.regions.push_back({.tensor = i,
                            .type = tensor.spec.type,
                            .offset = tensor.offset,
                            .bytes = tensor.bytes,
                            .crc = tensor.crc});
  }
  std::ranges::sort(plan.regions, {}, &Region::offset);
  return {};
}

// The directory from the file's end, then each tensor: its header with what
// follows in one small read, and the rest in one.
Status FileRestorer::InOrderOfReference(const std::string& object,
                                        const ShardFile& file,
                                        std::uint64_t file_bytes,
                                        ChunkSink& sink) {
  const std::uint64_t unit = reader_.preferred_unit();
  StoredFile stored = StoredAs(file, options_.format, unit);
  if (reader_.real_data()) {
    BlockSource source(reader_, file_bytes, unit);
    STOKER_ASSIGN(stored, ReadArchive(source, file_bytes, object));
    STOKER_TRY(CheckTensors(file, stored));
  }
  // Of the small read only the tensor's part is looked at.
  struct FromTensor final : ChunkSink {
    Status OnChunk(std::uint64_t offset,
                   std::span<const std::byte> data) override {
      const std::uint64_t skip = offset < begin ? begin - offset : 0;
      if (skip >= data.size()) {
        return {};
      }
      data = data.subspan(skip);
      data = data.first(std::min<std::uint64_t>(
          data.size(), end - std::min(end, offset + skip)));
      return data.empty() ? Status() : inner->OnChunk(offset + skip, data);
    }
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    ChunkSink* inner = nullptr;
  };
  for (const StoredTensor& tensor : stored.tensors) {
    FromTensor part;
    part.begin = tensor.offset;
    part.end = tensor.offset + tensor.bytes;
    part.inner = &sink;
    const std::uint64_t small_end =
        std::min(file_bytes, tensor.header_offset + unit);
    STOKER_TRY(reader_.Read(tensor.header_offset, small_end, part));
    if (small_end < part.end) {
      STOKER_TRY(reader_.Read(std::max(small_end, part.begin), part.end, part));
    }
    if (context_.progress) {
      context_.progress(reader_.bytes());
    }
  }
  return {};
}

}  // namespace stoker::checkpoint::internal
