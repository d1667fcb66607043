#include "checkpoint/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "checkpoint/internal/file_restorer.h"
#include "checkpoint/restore.h"
#include "core/text.h"

namespace stoker::checkpoint {

namespace {

using core::Code;
using core::Status;

// Epoch and step of a step folder's name.
std::optional<std::pair<std::int64_t, std::int64_t>> NumbersOf(
    std::string_view name) {
  constexpr std::string_view kEpoch = "global_epoch";
  constexpr std::string_view kStep = "_step";
  const std::size_t at = name.find(kStep);
  if (!name.starts_with(kEpoch) || at == std::string_view::npos) {
    return std::nullopt;
  }
  const auto epoch =
      core::ParseInt(name.substr(kEpoch.size(), at - kEpoch.size()));
  const auto step = core::ParseInt(name.substr(at + kStep.size()));
  if (!epoch.ok() || !step.ok()) {
    return std::nullopt;
  }
  return std::pair(epoch.value(), step.value());
}

// So that 2 comes before 10; other names last.
std::tuple<std::int64_t, std::int64_t, std::string> ByNumber(
    const std::string& folder) {
  const auto [epoch, step] =
      NumbersOf(folder).value_or(std::pair(INT64_MAX, INT64_MAX));
  return {epoch, step, folder};
}

// Names of all objects in the folder, without its own.
core::Result<std::set<std::string, std::less<>>> ObjectsIn(
    storage::Backend& backend, const std::string& folder) {
  const std::string prefix = folder.empty() ? "" : folder + "/";
  std::set<std::string, std::less<>> names;
  STOKER_TRY(backend.List(prefix, [&](const storage::ObjectInfo& info) {
    names.emplace(info.name.substr(prefix.size()));
    return true;
  }));
  return names;
}

Status VerifyFile(const ShardContext& context, const FoundCheckpoint& found,
                  const std::string& folder, const ShardFile& file,
                  VerifiedCheckpoint& verified) {
  const std::string object = ObjectName(folder, file.name);
  const ManifestFile* const known = internal::FindFile(found, file.name);
  if (known == nullptr) {
    return {Code::kCorruption, object + ": the manifest does not name it"};
  }
  const auto size =
      storage::ObjectSize(*context.backend, object, *context.clock);
  STOKER_TRY(size.status());
  if (size.value() != known->bytes) {
    return {Code::kCorruption,
            fmt::format("{}: it has {} bytes, {} are expected", object,
                        size.value(), known->bytes)};
  }
  // A reader each: after an error one cannot go on.
  STOKER_ASSIGN(const auto reader,
                internal::ChunkReader::Make(context, found.manifest.format));
  const RestoreOptions options{.verify = Verify::kFull};
  metrics::CheckpointOp op;
  internal::FileRestorer restorer(context, options, found, *reader, op);
  const Status status = restorer.Restore(object, file);
  verified.bytes += reader->bytes();
  return status;
}

// What is wrong with the checkpoint, as against with the looking.
bool IsFinding(const Status& status) {
  return status.code() == Code::kCorruption ||
         status.code() == Code::kNotFound || status.code() == Code::kIoError;
}

}  // namespace

bool IsStepFolder(std::string_view name) { return NumbersOf(name).has_value(); }

core::Result<std::vector<std::string>> FindStepFolders(
    storage::Backend& backend) {
  std::set<std::string> folders;
  bool itself = false;
  STOKER_TRY(backend.List("", [&](const storage::ObjectInfo& info) {
    const std::size_t slash = info.name.rfind('/');
    const std::string_view own = slash == std::string_view::npos
                                     ? info.name
                                     : info.name.substr(slash + 1);
    if (own == kManifestName || own == kPartialName) {
      itself = itself || slash == std::string_view::npos;
      folders.emplace(slash == std::string_view::npos
                          ? std::string_view()
                          : info.name.substr(0, slash));
    }
    return true;
  }));
  if (itself) {
    return std::vector<std::string>{""};
  }
  std::vector<std::string> sorted(folders.begin(), folders.end());
  std::ranges::sort(sorted, {}, ByNumber);
  return sorted;
}

core::Result<VerifiedCheckpoint> VerifyCheckpoint(const ShardContext& context,
                                                  const std::string& folder) {
  VerifiedCheckpoint verified;
  auto manifest = ReadManifest(*context.backend, folder, *context.clock);
  if (manifest.status().code() == Code::kCorruption ||
      manifest.status().code() == Code::kUnsupported) {
    verified.problems.emplace_back(manifest.status().message());
    return verified;
  }
  STOKER_TRY(manifest.status());
  if (!manifest.value().has_value()) {
    verified.problems.push_back(fmt::format(
        "{}: there is no {}: saving or deleting it was interrupted",
        folder.empty() ? context.backend->uri() : folder, kManifestName));
    return verified;
  }
  const FoundCheckpoint found{.step = manifest.value()->step,
                              .has_manifest = true,
                              .manifest = std::move(*manifest.value())};
  const Manifest& told = found.manifest;
  verified.description = fmt::format("{} ({}), {}, saved by {}", told.model,
                                     DescribeShards(told.spec, told.layout),
                                     NameOf(told.format), told.tool);
  STOKER_ASSIGN(auto objects, ObjectsIn(*context.backend, folder));
  for (std::uint32_t rank = 0; rank < told.layout.ranks; ++rank) {
    for (const ShardFile& file : FilesOf(told.spec, told.layout, rank)) {
      const Status status = VerifyFile(context, found, folder, file, verified);
      if (!status.ok() && !IsFinding(status)) {
        return status;
      }
      if (!status.ok()) {
        verified.problems.emplace_back(status.message());
      }
      ++verified.files;
    }
  }
  for (const ManifestFile& file : told.files) {
    objects.erase(file.name);
  }
  objects.erase(std::string(kManifestName));
  verified.strangers.assign(objects.begin(), objects.end());
  verified.whole = verified.problems.empty();
  return verified;
}

core::Result<DeletedCheckpoint> DeleteCheckpoint(storage::Backend& backend,
                                                 const std::string& folder,
                                                 core::Clock& clock) {
  STOKER_ASSIGN(auto manifest, ReadManifest(backend, folder, clock));
  if (manifest.has_value()) {
    // From here on it is not whole, but what is left of it is still named.
    STOKER_TRY(WriteManifest(backend, folder, *manifest, /*durable=*/false,
                             clock, kPartialName));
    STOKER_TRY(backend.Remove(ObjectName(folder, kManifestName)));
  } else {
    STOKER_ASSIGN(manifest, ReadManifest(backend, folder, clock, kPartialName));
  }
  if (!manifest.has_value()) {
    return Status(
        Code::kNotFound,
        fmt::format("delete {}/{}: there is no {}, so what belongs to it is "
                    "not known; remove the folder by hand if it is yours",
                    backend.uri(), folder, kManifestName));
  }
  DeletedCheckpoint deleted;
  for (const ManifestFile& file : manifest->files) {
    const Status removed = backend.Remove(ObjectName(folder, file.name));
    if (!removed.ok() && removed.code() != Code::kNotFound) {
      return removed;
    }
    deleted.files += removed.ok() ? 1 : 0;
  }
  const std::string prefix = folder.empty() ? "" : folder + "/";
  STOKER_ASSIGN(deleted.swept,
                backend.SweepUnfinished(prefix, storage::Sweep::kRemove));
  STOKER_TRY(backend.Remove(ObjectName(folder, kPartialName)));
  STOKER_ASSIGN(const auto left, ObjectsIn(backend, folder));
  deleted.strangers = left.size();
  if (!folder.empty()) {
    STOKER_TRY(backend.RemoveFolder(prefix));
  }
  return deleted;
}

}  // namespace stoker::checkpoint
