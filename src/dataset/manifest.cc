#include "dataset/manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "core/fnv.h"
#include "core/random.h"

namespace stoker::dataset {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kManifestLimit = 1ULL << 20;  // bytes

Json ToJson(const Naming& naming) {
  return {{"set", naming.set},
          {"prefix", naming.prefix},
          {"suffix", naming.suffix},
          {"total", naming.total},
          {"subfolders", naming.subfolders}};
}

// The readers below throw what nlohmann throws; Parse catches it.
Naming ToNaming(const Json& json) {
  return {.set = json.at("set"),
          .prefix = json.at("prefix"),
          .suffix = json.at("suffix"),
          .total = json.at("total"),
          .subfolders = json.at("subfolders")};
}

std::string ToText(const Manifest& manifest) {
  Json json = {{"version", manifest.version},
               {"tool", manifest.tool},
               {"format", manifest.format},
               {"train", ToJson(manifest.train)},
               {"valid", ToJson(manifest.valid)},
               {"samples_per_file", manifest.samples_per_file},
               {"sizes",
                {{"record_length_bytes", manifest.sizes.record_length},
                 {"record_length_bytes_stdev", manifest.sizes.stdev},
                 {"record_length_bytes_resize", manifest.sizes.resize},
                 {"seed", kSizeSeed}}},
               {"content",
                {{"mode", manifest.content.mode},
                 {"seed", manifest.content.seed},
                 {"distinct", manifest.content.distinct}}},
               {"payload_bytes", manifest.payload_bytes},
               {"stored_bytes", manifest.stored_bytes},
               {"hash", manifest.hash}};
  if (manifest.content.ranks > 0) {
    json["content"]["ranks"] = manifest.content.ranks;
  }
  if (manifest.chunk_edge > 0) {
    json["chunk_edge"] = manifest.chunk_edge;
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Manifest ToManifest(const Json& json) {
  const Json& sizes = json.at("sizes");
  const Json& content = json.at("content");
  return {.version = json.at("version"),
          .tool = json.at("tool"),
          .format = json.at("format"),
          .train = ToNaming(json.at("train")),
          .valid = ToNaming(json.at("valid")),
          .samples_per_file = json.at("samples_per_file"),
          .sizes = {.record_length = sizes.at("record_length_bytes"),
                    .stdev = sizes.at("record_length_bytes_stdev"),
                    .resize = sizes.at("record_length_bytes_resize")},
          .content = {.mode = content.at("mode"),
                      .seed = content.at("seed"),
                      .distinct = content.at("distinct"),
                      .ranks = content.value("ranks", std::uint64_t{0})},
          .chunk_edge = json.value("chunk_edge", std::uint32_t{0}),
          .payload_bytes = json.at("payload_bytes"),
          .stored_bytes = json.at("stored_bytes"),
          .hash = json.at("hash")};
}

core::Status Damaged(std::string_view name, std::string_view why) {
  return {core::Code::kCorruption,
          fmt::format("read {}: {}; delete the data folder and generate it "
                      "again with 'stoker training datagen'",
                      name, why)};
}

core::Result<Manifest> Parse(std::string_view name, std::string_view text) {
  try {
    const Json json = Json::parse(text);
    const int known = Manifest{}.version;
    const int version = json.at("version");
    if (version != known) {
      return core::Status(
          core::Code::kUnsupported,
          fmt::format("read {}: it has version {}, this program reads version "
                      "{}; use the program that generated the dataset, or "
                      "generate it again",
                      name, version, known));
    }
    const std::uint32_t seed = json.at("sizes").at("seed");
    if (seed != kSizeSeed) {
      return Damaged(
          name, fmt::format("the sizes' seed is {}, it can only be {}", seed,
                            kSizeSeed));
    }
    return ToManifest(json);
  } catch (const Json::exception& error) {
    return Damaged(name, error.what());
  }
}

std::string NamingText(std::string_view key, const Naming& naming) {
  return fmt::format(
      "{0}.set={1}\n{0}.prefix={2}\n{0}.suffix={3}\n"
      "{0}.total={4}\n{0}.subfolders={5}\n",
      key, naming.set, naming.prefix, naming.suffix, naming.total,
      naming.subfolders > 1 ? naming.subfolders : 0);
}

}  // namespace

std::string ManifestHash(const Manifest& manifest) {
  // 17 significant digits tell any two doubles apart.
  std::string text = fmt::format(
      "version={}\nformat={}\n{}{}samples_per_file={}\n"
      "sizes.record_length_bytes={:.17g}\n"
      "sizes.record_length_bytes_stdev={:.17g}\n"
      "sizes.record_length_bytes_resize={:.17g}\nsizes.seed={}\n"
      "content.mode={}\ncontent.seed={}\ncontent.distinct={}\n"
      "payload_bytes={}\nstored_bytes={}\n",
      manifest.version, manifest.format, NamingText("train", manifest.train),
      NamingText("valid", manifest.valid), manifest.samples_per_file,
      manifest.sizes.record_length, manifest.sizes.stdev, manifest.sizes.resize,
      kSizeSeed, manifest.content.mode, manifest.content.seed,
      manifest.content.distinct, manifest.payload_bytes, manifest.stored_bytes);
  // Later additions, so that hashes of datasets without them stay.
  if (manifest.content.ranks > 0) {
    text += fmt::format("content.ranks={}\n", manifest.content.ranks);
  }
  if (manifest.chunk_edge > 0) {
    text += fmt::format("chunk_edge={}\n", manifest.chunk_edge);
  }
  return fmt::format("{:016x}", core::Mix64(core::Fnv1a64(text)));
}

std::string ManifestText(const Manifest& manifest) {
  Manifest complete = manifest;
  complete.hash = ManifestHash(manifest);
  return ToText(complete);
}

core::Result<Manifest> ParseManifest(std::string_view text,
                                     std::string_view name) {
  STOKER_ASSIGN(Manifest manifest, Parse(name, text));
  if (manifest.hash != ManifestHash(manifest)) {
    return Damaged(name, "its hash does not belong to its fields");
  }
  return manifest;
}

core::Status WriteManifest(storage::Backend& backend, const Manifest& manifest,
                           core::Clock& clock, std::string_view name) {
  return storage::WriteObject(backend, name, ManifestText(manifest), clock)
      .WithContext(fmt::format("write {}", name));
}

core::Result<std::optional<Manifest>> ReadManifest(storage::Backend& backend,
                                                   core::Clock& clock,
                                                   std::string_view name) {
  if (!backend.capabilities().stores_data) {
    return std::optional<Manifest>();
  }
  const core::Result<std::string> text =
      storage::ReadObject(backend, name, clock, kManifestLimit);
  if (text.status().code() == core::Code::kNotFound) {
    return std::optional<Manifest>();
  }
  STOKER_TRY(text.status());
  STOKER_ASSIGN(Manifest manifest, ParseManifest(text.value(), name));
  return std::optional<Manifest>(std::move(manifest));
}

std::string DescribeManifest(const Manifest& manifest) {
  std::string text = fmt::format(
      "{}, {} train and {} eval files of {} samples, record length {} (stdev "
      "{}), content {}",
      manifest.format, manifest.train.total, manifest.valid.total,
      manifest.samples_per_file, manifest.sizes.record_length,
      manifest.sizes.stdev, manifest.content.mode);
  text += manifest.content.mode == "dlio"
              ? fmt::format(" of {} processes", manifest.content.ranks)
              : fmt::format(" seed {}", manifest.content.seed);
  text += fmt::format(", distinct {}", manifest.content.distinct);
  if (manifest.chunk_edge > 0) {
    text += fmt::format(", chunks of {0} x {0}", manifest.chunk_edge);
  }
  if (manifest.train.subfolders > 1 || manifest.valid.subfolders > 1) {
    text += fmt::format(", subfolders {} and {}", manifest.train.subfolders,
                        manifest.valid.subfolders);
  }
  return text;
}

}  // namespace stoker::dataset
