#include "storage/s3_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/units.h"
#include "storage/internal/lent_engine.h"
#include "storage/internal/s3_engine.h"
#include "storage/internal/s3_objects.h"
#include "storage/internal/s3_read_queue.h"
#include "storage/internal/s3_settings.h"
#include "storage/internal/s3_sign.h"
#include "storage/internal/s3_write_stream.h"
#include "storage/internal/s3_xml.h"
#include "storage/uri_options.h"

namespace stoker::storage {

namespace {

using core::Code;
using core::Status;
using internal::EncodeQuery;
using internal::HttpMethod;
using internal::LentEngine;
using internal::QueryItems;
using internal::S3Call;

constexpr std::size_t kMostDeleted = 1000;  // keys of one DeleteObjects
constexpr std::uint64_t kLargestCopy = 5 * core::kGiB;

// "2026-11-28T16:30:00.000Z"; nothing if it is no such text.
std::optional<std::chrono::system_clock::time_point> ParseTime(
    const std::string& text) {
  std::tm utc{};
  if (::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc) == nullptr) {
    return std::nullopt;
  }
  return std::chrono::system_clock::from_time_t(::timegm(&utc));
}

class S3Backend final : public Backend {
 public:
  S3Backend(Uri uri, internal::S3Settings settings, bool copies,
            core::Nanos stale)
      : uri_(std::move(uri)),
        copies_(copies),
        stale_(stale),
        shared_(std::move(settings)) {}

  std::string_view scheme() const override { return "s3"; }
  std::string uri() const override { return FormatUri(uri_); }
  Capabilities capabilities() const override { return {.links = copies_}; }
  Status List(std::string_view prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override;
  ObjectId Resolve(std::string_view object_name) override {
    return objects_.Take([this, object_name](internal::S3Object& object) {
      object.Reset(KeyOf(object_name));
    });
  }
  void Release(ObjectId object) override {
    objects_.Give(object, [](internal::S3Object&) {});
  }
  core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) override {
    STOKER_TRY(CheckDepth(options));
    return internal::S3ReadQueue::Make(shared_, objects_,
                                       {.capacity = options.depth}, clock);
  }
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override {
    STOKER_TRY(CheckObjectName(object_name));
    return internal::S3WriteStream::Make(shared_, KeyOf(object_name), parts_,
                                         options, clock);
  }
  Status EnsureFolder(std::string_view prefix) override;
  Status Link(std::string_view existing, std::string_view name) override;
  Status Remove(std::string_view object_name) override;
  core::Result<std::uint64_t> RemoveAll(
      std::span<const std::string> names) override;
  core::Result<Unfinished> SweepUnfinished(std::string_view prefix,
                                           Sweep sweep) override;
  std::optional<RequestCounters> Requests() const override {
    return shared_.counters();
  }
  core::Result<std::uint64_t> FreeBytes() override { return UINT64_MAX; }

  // As CleanS3Uploads, of objects whose names begin with `prefix`.
  core::Result<Unfinished> CleanUploads(
      std::string_view prefix, core::Nanos older_than, Sweep sweep,
      const std::function<void(const StaleUpload&)>& visit);

 private:
  std::string KeyOf(std::string_view name) const {
    return fmt::format("{}{}", shared_.settings().prefix, name);
  }
  std::string_view NameOf(std::string_view key) const {
    return key.substr(std::min(key.size(), shared_.settings().prefix.size()));
  }
  core::Result<LentEngine> Engine() {
    return LentEngine::Take(shared_, clock_);
  }
  Status DeleteBatch(std::span<const std::string> names);
  Status TakeBack(const internal::S3Upload& upload);

  Uri uri_;
  const bool copies_;
  const core::Nanos stale_;
  core::SystemClock clock_;  // of calls without one
  internal::S3Shared shared_;
  internal::S3Objects objects_;
  std::shared_ptr<internal::PartPool> parts_ =
      std::make_shared<internal::PartPool>();
};

Status S3Backend::List(std::string_view prefix,
                       const std::function<bool(const ObjectInfo&)>& visit) {
  STOKER_ASSIGN(const LentEngine engine, Engine());
  std::string token;
  do {
    QueryItems items{{"list-type", "2"},
                     {"encoding-type", "url"},
                     {"prefix", KeyOf(prefix)}};
    if (!token.empty()) {
      items.emplace_back("continuation-token", token);
    }
    const std::string query = EncodeQuery(items);
    STOKER_TRY(engine->Do({.query = query, .doing = "list"}));
    auto page = internal::ParseListPage(engine->HttpAnswerOf(0).text);
    STOKER_TRY(page.status().WithContext("list " + uri()));
    for (const internal::S3ListedObject& object : page.value().objects) {
      // "folder/" of size 0 is how other tools make a folder.
      if (!object.key.ends_with('/') &&
          !visit({NameOf(object.key), object.size})) {
        return {};
      }
    }
    token = page.value().next_token;
  } while (!token.empty());
  return {};
}

// Whether the bucket is there and may be used, since folders need no making.
Status S3Backend::EnsureFolder(std::string_view prefix) {
  STOKER_ASSIGN(const LentEngine engine, Engine());
  const std::string query = EncodeQuery(
      {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", KeyOf(prefix)}});
  return engine->Do({.query = query, .doing = "look into"});
}

Status S3Backend::Link(std::string_view existing, std::string_view name) {
  STOKER_TRY(CheckObjectName(existing));
  STOKER_TRY(CheckObjectName(name));
  STOKER_ASSIGN(const LentEngine engine, Engine());
  const std::string from = KeyOf(existing);
  STOKER_TRY(engine->Do(
      {.method = HttpMethod::kHead, .key = from, .doing = "link to"}));
  const std::uint64_t size = engine->HttpAnswerOf(0).content_length.value_or(0);
  if (!copies_ || size > kLargestCopy) {
    return {
        Code::kUnsupported,
        fmt::format(
            "link {} to {}: {}; write separate objects instead", name, existing,
            copies_ ? "S3 copies at most 5 GiB at once" : "copy=no was given")};
  }
  const std::string to = KeyOf(name);
  const std::string headers =
      fmt::format("x-amz-copy-source: /{}/{}\n", shared_.settings().bucket,
                  internal::EncodeUri(from, true));
  STOKER_TRY(engine->Do({.method = HttpMethod::kPut,
                         .key = to,
                         .headers = headers,
                         .doing = "copy to"}));
  // Such an answer may be 200 and an error nevertheless.
  const internal::S3Error error =
      internal::ParseS3Error(engine->HttpAnswerOf(0).text);
  if (error.code.empty()) {
    return {};
  }
  return {Code::kIoError, fmt::format("copy {} to {}: {} {}", existing, name,
                                      error.code, error.message)};
}

// S3 says the same whether the object was there or not, so it is asked first.
Status S3Backend::Remove(std::string_view object_name) {
  STOKER_TRY(CheckObjectName(object_name));
  STOKER_ASSIGN(const LentEngine engine, Engine());
  const std::string key = KeyOf(object_name);
  STOKER_TRY(
      engine->Do({.method = HttpMethod::kHead, .key = key, .doing = "remove"}));
  return engine->Do(
      {.method = HttpMethod::kDelete, .key = key, .doing = "remove"});
}

Status S3Backend::DeleteBatch(std::span<const std::string> names) {
  std::vector<std::string> keys;
  keys.reserve(names.size());
  for (const std::string& name : names) {
    STOKER_TRY(CheckObjectName(name));
    keys.push_back(KeyOf(name));
  }
  const std::string body = internal::DeleteObjectsBody(keys);
  const std::string headers =
      fmt::format("content-md5: {}\n", internal::Md5Base64(body));
  STOKER_ASSIGN(const LentEngine engine, Engine());
  STOKER_TRY(engine->Do({.method = HttpMethod::kPost,
                         .query = "delete=",
                         .headers = headers,
                         .body = std::as_bytes(std::span(body)),
                         .doing = "remove objects of"}));
  auto left = internal::ParseDeleteResult(engine->HttpAnswerOf(0).text);
  STOKER_TRY(left.status().WithContext("remove objects"));
  for (const internal::S3NotDeleted& one : left.value()) {
    if (one.error.code != "NoSuchKey") {
      return {Code::kIoError, fmt::format("remove {}: {} {}", one.key,
                                          one.error.code, one.error.message)};
    }
  }
  return {};
}

core::Result<std::uint64_t> S3Backend::RemoveAll(
    std::span<const std::string> names) {
  for (std::size_t at = 0; at < names.size(); at += kMostDeleted) {
    STOKER_TRY(DeleteBatch(
        names.subspan(at, std::min(kMostDeleted, names.size() - at))));
  }
  return static_cast<std::uint64_t>(names.size());
}

Status S3Backend::TakeBack(const internal::S3Upload& upload) {
  STOKER_ASSIGN(const LentEngine engine, Engine());
  const std::string query = EncodeQuery({{"uploadId", upload.id}});
  const Status done = engine->Do({.method = HttpMethod::kDelete,
                                  .key = upload.key,
                                  .query = query,
                                  .doing = "take back the upload of"});
  // Its writer, or another cleaner, was first.
  return done.code() == Code::kNotFound ? Status() : done;
}

core::Result<Unfinished> S3Backend::CleanUploads(
    std::string_view prefix, core::Nanos older_than, Sweep sweep,
    const std::function<void(const StaleUpload&)>& visit) {
  const auto newest =
      std::chrono::system_clock::now() -
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          older_than);
  Unfinished found;
  internal::S3UploadPage page;
  do {
    QueryItems items{
        {"uploads", ""}, {"encoding-type", "url"}, {"prefix", KeyOf(prefix)}};
    if (!page.next_key.empty()) {
      items.emplace_back("key-marker", page.next_key);
      items.emplace_back("upload-id-marker", page.next_id);
    }
    const std::string query = EncodeQuery(items);
    {
      STOKER_ASSIGN(const LentEngine engine, Engine());
      STOKER_TRY(engine->Do({.query = query, .doing = "list uploads of"}));
      STOKER_ASSIGN(page,
                    internal::ParseUploadPage(engine->HttpAnswerOf(0).text));
    }
    for (const internal::S3Upload& upload : page.uploads) {
      const auto initiated = ParseTime(upload.initiated);
      if (!initiated.has_value() || *initiated > newest) {
        ++found.busy;
        continue;
      }
      ++found.objects;
      visit({.object_name = NameOf(upload.key), .initiated = *initiated});
      if (sweep == Sweep::kRemove) {
        STOKER_TRY(TakeBack(upload));
      }
    }
  } while (!page.next_key.empty());
  return found;
}

core::Result<Unfinished> S3Backend::SweepUnfinished(std::string_view prefix,
                                                    Sweep sweep) {
  auto found = CleanUploads(prefix, stale_, sweep, [](const StaleUpload&) {});
  // Whoever may not see uploads may still write objects.
  const Code code = found.status().code();
  if (code == Code::kPermission || code == Code::kInvalidArgument) {
    return Unfinished{};
  }
  return found;
}

core::Result<std::unique_ptr<S3Backend>> MakeS3(const Uri& uri,
                                                const OpenSettings& open) {
  STOKER_ASSIGN(
      internal::S3Settings settings,
      internal::ReadS3Settings(uri, open, internal::ProcessEnvironment));
  const std::string_view copy = TextOption(uri, "copy", "yes");
  if (copy != "yes" && copy != "no") {
    return BadOption(uri, "copy", "allowed are yes and no");
  }
  STOKER_ASSIGN(const core::Nanos stale,
                DurationOption(uri, "stale", std::chrono::hours(24)));
  return std::make_unique<S3Backend>(uri, std::move(settings), copy == "yes",
                                     stale);
}

}  // namespace

core::Result<std::unique_ptr<Backend>> OpenS3Backend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> /*inner*/) {
  STOKER_ASSIGN(std::unique_ptr<S3Backend> backend, MakeS3(uri, settings));
  return std::unique_ptr<Backend>(std::move(backend));
}

core::Result<std::uint64_t> CleanS3Uploads(
    std::string_view uri, std::chrono::seconds older_than, bool only_count,
    const std::function<void(const StaleUpload&)>& visit) {
  STOKER_ASSIGN(const Uri parsed, ParseUri(uri));
  if (parsed.scheme != "s3") {
    return Status(
        Code::kInvalidArgument,
        fmt::format("clean up {}: expected s3://<bucket>/<prefix>", uri));
  }
  STOKER_TRY(CheckUriOptions(parsed));
  STOKER_ASSIGN(const std::unique_ptr<S3Backend> backend, MakeS3(parsed, {}));
  STOKER_ASSIGN(
      const Unfinished found,
      backend->CleanUploads(
          "", older_than, only_count ? Sweep::kCount : Sweep::kRemove, visit));
  return found.objects;
}

}  // namespace stoker::storage
