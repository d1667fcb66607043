#include "checkpoint/manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "core/crc.h"

namespace stoker::checkpoint {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kManifestLimit = 64ULL << 20;  // bytes

Json ToJson(const ModelSpec& spec) {
  return {{"type", spec.type},
          {"model_size_bytes", spec.model_size_bytes},
          {"num_layers", spec.layers},
          {"hidden_size", spec.hidden},
          {"ffn_hidden_size", spec.ffn_hidden},
          {"num_attention_heads", spec.attention_heads},
          {"num_kv_heads", spec.kv_heads},
          {"vocab_size", spec.vocabulary},
          {"layer_parameters", spec.layer_parameters},
          {"optimization_groups", spec.optimization_groups},
          {"model_datatype", NameOf(spec.model_type)},
          {"optimizer_datatype", NameOf(spec.optimizer_type)}};
}

Json ToJson(const Layout& layout) {
  return {{"ranks", layout.ranks},
          {"tensor", layout.tensor},
          {"pipeline", layout.pipeline},
          {"data", layout.data},
          {"zero_stage", layout.zero_stage}};
}

Json ToJson(const ManifestFile& file) {
  return {{"name", file.name},
          {"rank", file.rank},
          {"bytes", file.bytes},
          {"payload_bytes", file.payload_bytes},
          {"crc32", fmt::format("{:08x}", file.crc)},
          {"frame_crc32", fmt::format("{:08x}", file.frame_crc)}};
}

// Without the hash.
Json ToJson(const Manifest& manifest) {
  Json files = Json::array();
  for (const ManifestFile& file : manifest.files) {
    files.push_back(ToJson(file));
  }
  return {{"version", manifest.version},
          {"tool", manifest.tool},
          {"model", manifest.model},
          {"spec", ToJson(manifest.spec)},
          {"layout", ToJson(manifest.layout)},
          {"format", NameOf(manifest.format)},
          {"content",
           {{"save_id", fmt::format("{:016x}", manifest.content.save_id)},
            {"random", manifest.content.random}}},
          {"epoch", manifest.epoch},
          {"step", manifest.step},
          {"files", std::move(files)}};
}

std::string HashOf(const Json& json) {
  const std::string text = json.dump();
  return fmt::format("{:08x}", core::Crc32c(std::as_bytes(std::span(text))));
}

// The readers below throw what nlohmann and stoull throw; Parse catches it.
std::uint64_t Hex(const Json& json) {
  return std::stoull(json.get<std::string>(), nullptr, 16);
}

DataType ToDataType(const Json& json) {
  const auto type = ParseDataType(json.get<std::string>());
  if (!type.ok()) {
    throw std::invalid_argument(std::string(type.status().message()));
  }
  return type.value();
}

ModelSpec ToSpec(const Json& json) {
  return {.type = json.at("type"),
          .model_size_bytes = json.at("model_size_bytes"),
          .layers = json.at("num_layers"),
          .hidden = json.at("hidden_size"),
          .ffn_hidden = json.at("ffn_hidden_size"),
          .attention_heads = json.at("num_attention_heads"),
          .kv_heads = json.at("num_kv_heads"),
          .vocabulary = json.at("vocab_size"),
          .layer_parameters = json.at("layer_parameters"),
          .optimization_groups = json.at("optimization_groups"),
          .model_type = ToDataType(json.at("model_datatype")),
          .optimizer_type = ToDataType(json.at("optimizer_datatype"))};
}

Layout ToLayout(const Json& json) {
  return {.ranks = json.at("ranks"),
          .tensor = json.at("tensor"),
          .pipeline = json.at("pipeline"),
          .data = json.at("data"),
          .zero_stage = json.at("zero_stage")};
}

ManifestFile ToFile(const Json& json) {
  return {.name = json.at("name"),
          .rank = json.at("rank"),
          .bytes = json.at("bytes"),
          .payload_bytes = json.at("payload_bytes"),
          .crc = static_cast<std::uint32_t>(Hex(json.at("crc32"))),
          .frame_crc = static_cast<std::uint32_t>(Hex(json.at("frame_crc32")))};
}

core::Status Damaged(std::string_view name, std::string_view why) {
  return {core::Code::kCorruption,
          fmt::format("read {}: {}; the checkpoint cannot be trusted: restore "
                      "another, or save it again",
                      name, why)};
}

core::Result<Manifest> ToManifest(const Json& json, std::string_view name) {
  Manifest manifest{.version = json.at("version"),
                    .tool = json.at("tool"),
                    .model = json.at("model"),
                    .spec = ToSpec(json.at("spec")),
                    .layout = ToLayout(json.at("layout"))};
  STOKER_ASSIGN(manifest.format,
                ParseFileFormat(json.at("format").get<std::string>()));
  manifest.epoch = json.at("epoch");
  manifest.step = json.at("step");
  const Json& content = json.at("content");
  manifest.content = {.save_id = Hex(content.at("save_id")),
                      .step = manifest.step,
                      .random = content.at("random")};
  for (const Json& file : json.at("files")) {
    manifest.files.push_back(ToFile(file));
    const std::string& path = manifest.files.back().name;
    if (path.empty() || path.find('/') != std::string::npos) {
      return Damaged(name, fmt::format("'{}' is no file name", path));
    }
  }
  if (!CheckLayout(manifest.spec, manifest.layout, /*subset=*/true).ok()) {
    return Damaged(name, "its model and layout do not go together");
  }
  return manifest;
}

}  // namespace

std::string ManifestText(const Manifest& manifest) {
  Json json = ToJson(manifest);
  json["hash"] = HashOf(json);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

core::Result<Manifest> ParseManifest(std::string_view text,
                                     std::string_view name) {
  try {
    Json json = Json::parse(text);
    const int known = Manifest{}.version;
    const int version = json.at("version");
    if (version != known) {
      return core::Status(
          core::Code::kUnsupported,
          fmt::format("read {}: it has version {}, this program reads version "
                      "{}; use the program that saved the checkpoint",
                      name, version, known));
    }
    const std::string hash = json.at("hash");
    json.erase("hash");
    if (hash != HashOf(json)) {
      return Damaged(name, "its hash does not belong to its fields");
    }
    return ToManifest(json, name);
  } catch (const std::exception& error) {
    return Damaged(name, error.what());
  }
}

std::string ObjectName(std::string_view folder, std::string_view name) {
  return folder.empty() ? std::string(name)
                        : fmt::format("{}/{}", folder, name);
}

core::Status WriteManifest(storage::Backend& backend, std::string_view folder,
                           const Manifest& manifest, bool durable,
                           core::Clock& clock, std::string_view name) {
  const std::string object = ObjectName(folder, name);
  storage::WriteOptions options{.durable = durable};
  if (name == kManifestName) {
    for (const ManifestFile& file : manifest.files) {
      options.after.push_back(ObjectName(folder, file.name));
    }
  }
  return storage::WriteObject(backend, object, ManifestText(manifest), clock,
                              options)
      .WithContext("write " + object);
}

core::Result<std::optional<Manifest>> ReadManifest(storage::Backend& backend,
                                                   std::string_view folder,
                                                   core::Clock& clock,
                                                   std::string_view name) {
  const std::string object = ObjectName(folder, name);
  const core::Result<std::string> text =
      storage::ReadObject(backend, object, clock, kManifestLimit);
  if (text.status().code() == core::Code::kNotFound) {
    return std::optional<Manifest>();
  }
  STOKER_TRY(text.status());
  STOKER_ASSIGN(Manifest manifest, ParseManifest(text.value(), object));
  return std::optional<Manifest>(std::move(manifest));
}

bool SameShards(const ModelSpec& a, const Layout& layout_a, const ModelSpec& b,
                const Layout& layout_b) {
  return ToJson(a) == ToJson(b) && ToJson(layout_a) == ToJson(layout_b);
}

std::string DescribeShards(const ModelSpec& spec, const Layout& layout) {
  const std::string model =
      spec.layers > 0
          ? fmt::format("{} layers of hidden size {}, {} and {}", spec.layers,
                        spec.hidden, NameOf(spec.model_type),
                        NameOf(spec.optimizer_type))
          : fmt::format("{} bytes", spec.model_size_bytes);
  return fmt::format("{}, {} ranks as TP {} x PP {} x DP {}, ZeRO {}", model,
                     layout.ranks, layout.tensor, layout.pipeline, layout.data,
                     layout.zero_stage);
}

}  // namespace stoker::checkpoint
