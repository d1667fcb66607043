#include "run/place.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "run/internal/open_storage.h"
#include "storage/registry.h"

namespace stoker::run {

namespace {

constexpr std::array<std::string_view, 4> kModelFolders{
    "unet3d", "resnet50", "cosmoflow", "retinanet"};

// Position in `uri` where the text of the innermost back end begins.
std::size_t InnermostStart(std::string_view uri) {
  const std::size_t comma = uri.rfind(',');
  return comma == std::string_view::npos ? 0 : comma + 1;
}

bool EndsWithModel(std::string_view place, std::string_view model) {
  const std::size_t slash = place.rfind('/');
  const std::string_view last =
      slash == std::string_view::npos ? place : place.substr(slash + 1);
  return last == model ||
         std::ranges::find(kModelFolders, last) != kModelFolders.end();
}

// `uri` with "/<model>" behind the innermost place, unless `is_whole` says of
// that place that nothing is missing.
core::Result<std::string> AppendModel(
    std::string_view uri, std::string_view model,
    bool (*is_whole)(std::string_view place, std::string_view model)) {
  const std::size_t start = InnermostStart(uri);
  std::string_view inner = uri.substr(start);
  std::string_view options;
  // "file:///mnt/x?engine=threads": the place ends before the options. A plain
  // path has none.
  STOKER_ASSIGN(const storage::Uri parsed, storage::ParseUri(inner));
  if (parsed.place.empty()) {
    return std::string(uri);
  }
  if (!parsed.options.empty()) {
    const std::size_t question = inner.rfind('?');
    options = inner.substr(question);
    inner = inner.substr(0, question);
  }
  while (inner.size() > 1 && inner.back() == '/') {
    inner.remove_suffix(1);
  }
  std::string result(uri.substr(0, start));
  result += inner;
  if (!is_whole(inner, model)) {
    result += '/';
    result += model;
  }
  result += options;
  return result;
}

bool NamesABackend(std::string_view path) {
  return path.find(':') != std::string_view::npos;
}

// storage.storage_type s3: `path` is below the bucket of storage.storage_root.
core::Result<std::string> InBucket(std::string_view path,
                                   std::string_view root) {
  constexpr std::string_view kScheme = "s3://";
  if (root.starts_with(kScheme)) {
    root.remove_prefix(kScheme.size());
  }
  while (root.ends_with('/')) {
    root.remove_suffix(1);
  }
  while (path.starts_with("./") || path.starts_with('/')) {
    path.remove_prefix(path.starts_with('/') ? 1 : 2);
  }
  if (root.empty() || root == ".") {
    return core::Status(
        core::Code::kInvalidArgument,
        "storage.storage_type s3: storage.storage_root must name the bucket "
        "(\"bucket\" or \"bucket/prefix\"), or --data-dir be "
        "s3://<bucket>/<prefix>");
  }
  std::string uri = std::string(kScheme).append(root).append("/").append(path);
  while (uri.ends_with('/')) {
    uri.pop_back();
  }
  return uri;
}

}  // namespace

core::Result<std::string> DatasetUri(std::string_view data_dir,
                                     std::string_view model,
                                     const config::WorkloadConfig& workload) {
  const bool s3 = workload.storage.storage_type == "s3";
  const std::string& root = workload.storage.storage_root;
  if (data_dir.empty()) {
    const std::string& folder = workload.dataset.data_folder;
    if (NamesABackend(folder)) {
      return folder;
    }
    if (s3) {
      return InBucket(folder, root);
    }
    return (std::filesystem::path(workload.storage.storage_root) /
            workload.dataset.data_folder)
        .lexically_normal()
        .string();
  }
  if (s3 && !NamesABackend(data_dir)) {
    STOKER_ASSIGN(const std::string uri, InBucket(data_dir, root));
    return AppendModel(uri, model, EndsWithModel);
  }
  return AppendModel(data_dir, model, EndsWithModel);
}

core::Result<std::string> CheckpointUri(
    std::string_view folder, std::string_view model,
    const config::WorkloadConfig& workload) {
  if (folder.empty()) {
    return workload.checkpoint.checkpoint_folder;
  }
  return AppendModel(folder, model,
                     [](std::string_view /*place*/,
                        std::string_view /*model*/) { return false; });
}

core::Status CheckStorage(std::string_view uri, std::int64_t processes) {
  STOKER_ASSIGN(const std::unique_ptr<storage::Backend> backend,
                internal::OpenBehindCaches(uri));
  const storage::Capabilities can = backend->capabilities();
  if (processes > 1 && can.stores_data && !can.shared) {
    return {core::Code::kInvalidArgument,
            std::string(uri) + ": each of the " + std::to_string(processes) +
                " processes would have a store of its own; remedy: storage "
                "that processes share, such as files"};
  }
  return {};
}

}  // namespace stoker::run
