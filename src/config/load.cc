#include "config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "config/field.h"
#include "config/overrides.h"
#include "config/scalar.h"
#include "config/schema.h"
#include "config/tree.h"
#include "config/yaml.h"
#include "core/check.h"
#include "core/text.h"

namespace stoker::config {

namespace {

using core::Code;
using core::Result;
using core::Status;

// What a file or an override gives a row.
struct Setting {
  Node value;
  Mark mark;  // of the name
};

class Loader {
 public:
  explicit Loader(const LoadOptions& options)
      : options_(options), settings_(Table().size()) {}

  Result<LoadedConfig> Run() {
    STOKER_ASSIGN(const std::string text, ReadYamlFile(options_.workload_path));
    std::optional<Node> root = ParseYaml(text, errors_);
    if (root) {
      root = TakeRoot(std::move(*root));
    }
    const std::vector<Override> overrides = ParseOverrides();
    if (root) {
      ReadTree(*root, overrides);
    }
    if (!errors_.empty()) {
      return Status(Code::kInvalidArgument, Listing(errors_));
    }
    return MakeResult();
  }

 private:
  void Error(Mark mark, std::string text) {
    errors_.push_back({mark, std::move(text)});
  }
  void Warn(Mark mark, std::string text) {
    warnings_.push_back({mark, std::move(text)});
  }

  // "workloads/x.yaml:14:3", "override '++a=1'"
  std::string Where(Mark mark, bool with_column) const {
    if (mark.source > 0) {
      const auto index = static_cast<std::size_t>(mark.source) - 1;
      return fmt::format("override '{}'", options_.overrides[index]);
    }
    if (mark.line == 0) {
      return options_.workload_path;
    }
    const std::string where =
        fmt::format("{}:{}", options_.workload_path, mark.line);
    return with_column ? fmt::format("{}:{}", where, mark.column) : where;
  }

  std::vector<std::string> Lines(Problems problems) const {
    std::ranges::stable_sort(problems, {}, [](const Problem& problem) {
      return std::tuple(problem.mark.source, problem.mark.line,
                        problem.mark.column);
    });
    std::vector<std::string> lines;
    for (const Problem& problem : problems) {
      lines.push_back(Where(problem.mark, true) + ": " + problem.text);
    }
    return lines;
  }

  std::string Listing(const Problems& problems) const {
    const std::vector<std::string> lines = Lines(problems);
    const std::vector<std::string_view> views(lines.begin(), lines.end());
    return core::Join(views, "\n");
  }

  // The map of sections, also where a recorded configuration has it under
  // `workload:`; nullopt if there is none.
  std::optional<Node> TakeRoot(Node root) {
    const bool recorded = root.kind == Node::Kind::kMap &&
                          root.entries.size() == 1 &&
                          root.entries[0].name == "workload";
    Node sections = recorded ? root.entries[0].value : std::move(root);
    if (sections.kind != Node::Kind::kMap) {
      Error(sections.mark,
            "a workload file is a map of sections such as dataset: and "
            "reader:");
      return std::nullopt;
    }
    return sections;
  }

  std::vector<Override> ParseOverrides() {
    std::vector<Override> overrides;
    int source = 0;
    for (const std::string& text : options_.overrides) {
      ++source;
      auto parsed = ParseOverride(text, source);
      if (!parsed.ok()) {
        Error({source, 1, 1}, std::string(parsed.status().message()));
        continue;
      }
      constexpr std::string_view kAlias = "data_reader";
      std::string& key = parsed.value().key;
      if (key == kAlias || key.starts_with(std::string(kAlias) + ".")) {
        key.replace(0, kAlias.size(), "reader");
      }
      overrides.push_back(std::move(parsed).value());
    }
    return overrides;
  }

  void ReadTree(Node& root, const std::vector<Override>& overrides) {
    RenameDataReader(root);
    NameModel(root);
    for (const Override& change : overrides) {
      ApplyOverride(change, root, errors_);
    }
    NameModel(root);
    ResolveReferences(root, errors_);
    Collect(root, "");
    ApplyAliases();
    StoreAll();
    if (!IsSet("reader.data_loader")) {
      loaded_.workload.reader.data_loader =
          loaded_.workload.framework == Framework::kPytorch
              ? DataLoader::kPytorch
              : DataLoader::kTensorflow;
    }
    CheckLoader();
    CheckCheckpoint();
  }

  // `data_reader` is the same section as `reader`, and the one that counts.
  void RenameDataReader(Node& root) {
    const auto alias =
        std::ranges::find(root.entries, "data_reader", &Entry::name);
    if (alias == root.entries.end()) {
      return;
    }
    Entry section = *alias;
    section.name = "reader";
    root.entries.erase(alias);
    const auto reader = std::ranges::find(root.entries, "reader", &Entry::name);
    if (reader != root.entries.end()) {
      Warn(reader->mark,
           "the section 'reader' is ignored, as 'data_reader' is there too");
      root.entries.erase(reader);
    }
    root.entries.push_back(std::move(section));
  }

  // v1.0 files have `model: unet3d`.
  void NameModel(Node& root) {
    const auto model = std::ranges::find(root.entries, "model", &Entry::name);
    if (model == root.entries.end() ||
        model->value.kind != Node::Kind::kString) {
      return;
    }
    Warn(model->mark,
         "'model' with a name is the form of v1.0: read as "
         "model.name");
    Node section;
    section.kind = Node::Kind::kMap;
    section.mark = model->value.mark;
    section.entries.push_back({"name", model->mark, model->value});
    model->value = std::move(section);
  }

  void Collect(const Node& map, std::string_view prefix) {
    for (const Entry& entry : map.entries) {
      const std::string key = prefix.empty()
                                  ? entry.name
                                  : fmt::format("{}.{}", prefix, entry.name);
      if (entry.name.find('.') != std::string::npos) {
        Error(entry.mark,
              fmt::format("'{}': keys are nested in a file, not dotted",
                          entry.name));
      } else if (const Row* const row = FindRow(key)) {
        settings_[IndexOf(*row)] = Setting{entry.value, entry.mark};
      } else if (!IsSection(key)) {
        UnknownKey(key, entry.mark);
      } else if (entry.value.kind == Node::Kind::kMap) {
        Collect(entry.value, key);
      } else if (entry.value.kind != Node::Kind::kNull) {
        Error(entry.value.mark,
              fmt::format("{}: value {} is not allowed; allowed: a map of keys",
                          key, FlowText(entry.value)));
      }
    }
  }

  void UnknownKey(const std::string& key, Mark mark) {
    const std::string_view nearest = NearestKey(key);
    Error(mark,
          fmt::format("unknown key '{}'", key) +
              (nearest.empty()
                   ? std::string("; docs/configuration.md lists the known ones")
                   : fmt::format("; did you mean '{}'?", nearest)));
  }

  void ApplyAliases() {
    for (const Row& row : Table()) {
      const auto* const alias = std::get_if<AliasField>(&row.field);
      auto& setting = settings_[IndexOf(row)];
      if (alias == nullptr || !setting) {
        continue;
      }
      auto& target = settings_[IndexOf(*FindRow(alias->target))];
      if (options_.compat.v2_0) {
        Warn(setting->mark,
             fmt::format("{}: ignored under --compat v2.0, as DLIO v2.0 "
                         "ignores it; it knows {}",
                         row.key, alias->target));
      } else if (target) {
        Warn(setting->mark,
             fmt::format("{}: ignored, as {} is set", row.key, alias->target));
      } else {
        Warn(setting->mark, fmt::format("{}: an old name, read as {}", row.key,
                                        alias->target));
        target = setting;
      }
      setting.reset();
    }
  }

  void StoreAll() {
    const WorkloadConfig defaults;
    for (const Row& row : Table()) {
      const auto& setting = settings_[IndexOf(row)];
      if (!setting) {
        continue;
      }
      Outcome outcome = Store(row, setting->value, loaded_.workload);
      if (!outcome.error.empty()) {
        failed_.insert(row.key);
        Error(setting->value.mark, std::move(outcome.error));
        continue;
      }
      if (!outcome.warning.empty()) {
        Warn(setting->mark, std::move(outcome.warning));
      }
      const auto* const ignored = std::get_if<IgnoredField>(&row.field);
      const bool differs =
          ignored != nullptr
              ? setting->value.kind != Node::Kind::kNull &&
                    FlowText(setting->value) != ignored->default_value
              : Show(row, loaded_.workload) != Show(row, defaults);
      if (!row.inert.empty() && differs) {
        Warn(setting->mark, fmt::format("{}: accepted, but changes nothing: {}",
                                        row.key, row.inert));
      }
    }
  }

  // Combinations that no framework can run.
  void CheckLoader() {
    const WorkloadConfig& config = loaded_.workload;
    const DataLoader loader = config.reader.data_loader;
    const bool torch_loader = loader == DataLoader::kPytorch;
    if (failed_.contains("reader.data_loader")) {
      return;
    }
    const bool torch_framework = config.framework == Framework::kPytorch;
    if (!failed_.contains("framework") &&
        (torch_loader || loader == DataLoader::kTensorflow) &&
        torch_loader != torch_framework) {
      Error(MarkOf("reader.data_loader"),
            fmt::format("reader.data_loader: value '{}' does not go with "
                        "framework '{}'; set both to the same",
                        torch_loader ? "pytorch" : "tensorflow",
                        torch_framework ? "pytorch" : "tensorflow"));
    }
    const bool uses_data = config.workflow.train ||
                           config.workflow.evaluation ||
                           config.workflow.generate_data;
    if (uses_data && !failed_.contains("dataset.format") && torch_loader &&
        config.dataset.format == "tfrecord") {
      Error(MarkOf(IsSet("dataset.format") ? "dataset.format"
                                           : "reader.data_loader"),
            fmt::format("dataset.format: value 'tfrecord'{} cannot be read by "
                        "the pytorch loader; use the tensorflow loader and "
                        "framework, or another format",
                        IsSet("dataset.format") ? "" : " (the default)"));
    }
  }

  // Combinations that no number of ranks can save or restore.
  void CheckCheckpoint() {
    const CheckpointConfig& checkpoint = loaded_.workload.checkpoint;
    const ModelConfig& model = loaded_.workload.model;
    const auto sound = [this](std::initializer_list<std::string_view> keys) {
      return std::ranges::none_of(
          keys, [this](std::string_view key) { return failed_.contains(key); });
    };
    constexpr std::string_view kLayers = "model.num_layers";
    constexpr std::string_view kPipeline = "model.parallelism.pipeline";
    constexpr std::string_view kZero = "model.parallelism.zero_stage";
    constexpr std::string_view kData = "model.parallelism.data";
    constexpr std::string_view kMode = "checkpoint.mode";
    constexpr std::string_view kReads = "checkpoint.num_checkpoints_read";
    constexpr std::string_view kWrites = "checkpoint.num_checkpoints_write";
    const auto [tensor, pipeline, data, zero] = model.parallelism;
    if (sound({kLayers, kPipeline}) && model.num_layers > 0 &&
        model.num_layers < pipeline) {
      Error(MarkOf(kPipeline),
            fmt::format("{}: value {} is more than {} ({}); each stage holds "
                        "at least one layer",
                        kPipeline, pipeline, kLayers, model.num_layers));
    }
    if (sound({kPipeline, kZero}) && pipeline > 1 && zero == 3) {
      Error(MarkOf(kZero),
            fmt::format("{}: value 3 does not go with {} above 1; set {}=1, or "
                        "a stage below 3",
                        kZero, kPipeline, kPipeline));
    }
    const bool subset = checkpoint.mode == "subset";
    if (sound({kMode, kData}) && subset != (data > 0)) {
      Error(MarkOf(subset ? kMode : kData),
            subset ? fmt::format("{}: value 'subset' needs {}, the copies of "
                                 "the whole model",
                                 kMode, kData)
                   : fmt::format("{}: value {} is for {}=subset alone; "
                                 "otherwise it follows from the ranks: leave "
                                 "it at -1",
                                 kData, data, kMode));
    }
    const std::int64_t reads = checkpoint.num_checkpoints_read;
    const std::int64_t writes = checkpoint.num_checkpoints_write;
    if (sound({kReads, kWrites}) && writes > 0 && reads > writes) {
      Error(MarkOf(kReads),
            fmt::format("{}: value {} is more than {} ({}): what is read back "
                        "is what the run wrote; read at most that many, or "
                        "write 0 to read what is there",
                        kReads, reads, kWrites, writes));
    }
    CheckMerging();
  }

  // Pages of random content cannot be merged.
  void CheckMerging() {
    for (const Row& row : Table()) {
      if (row.key.starts_with("checkpoint.ksm.") && IsSet(row.key) &&
          loaded_.workload.checkpoint.randomize_tensor &&
          !failed_.contains("checkpoint.randomize_tensor")) {
        Error(MarkOf(row.key),
              fmt::format("{}: pages are merged where they are equal; it "
                          "needs checkpoint.randomize_tensor=false",
                          row.key));
        return;
      }
    }
  }

  LoadedConfig MakeResult() {
    for (const Row& row : Table()) {
      const auto& setting = settings_[IndexOf(row)];
      const bool stored = IsStored(row);
      const bool merged = std::holds_alternative<TimeStdevField>(row.field);
      if (merged || (!stored && !setting)) {
        continue;
      }
      EffectiveKey key;
      key.key = row.key;
      key.value =
          stored ? Show(row, loaded_.workload) : FlowText(setting->value);
      key.is_set = setting.has_value();
      key.origin.where = setting ? Where(setting->mark, false)
                         : row.key == "reader.data_loader" ? "from framework"
                                                           : "default";
      loaded_.keys.push_back(std::move(key));
    }
    loaded_.compat = options_.compat;
    loaded_.overrides = options_.overrides;
    loaded_.warnings = Lines(warnings_);
    return std::move(loaded_);
  }

  static std::size_t IndexOf(const Row& row) {
    return static_cast<std::size_t>(&row - Table().data());
  }
  const std::optional<Setting>& SettingOf(std::string_view key) const {
    const Row* const row = FindRow(key);
    STOKER_CHECK(row != nullptr);
    return settings_[IndexOf(*row)];
  }
  bool IsSet(std::string_view key) const { return SettingOf(key).has_value(); }
  Mark MarkOf(std::string_view key) const {
    const auto& setting = SettingOf(key);
    return setting ? setting->value.mark : Mark{};
  }

  const LoadOptions& options_;
  Problems errors_;
  Problems warnings_;
  std::vector<std::optional<Setting>> settings_;  // by row of the table
  std::set<std::string_view> failed_;             // keys with bad values
  LoadedConfig loaded_;
};

}  // namespace

std::string_view LoadedConfig::Value(std::string_view key) const {
  const auto found = std::ranges::find(keys, key, &EffectiveKey::key);
  return found == keys.end() ? std::string_view{} : found->value;
}

core::Result<LoadedConfig> Load(const LoadOptions& options) {
  return Loader(options).Run();
}

std::string ToYaml(const LoadedConfig& config) {
  std::string out = "workload:\n";
  std::vector<std::string_view> open;  // sections already begun
  for (const EffectiveKey& key : config.keys) {
    std::vector<std::string_view> sections = core::Split(key.key, '.');
    const std::string_view name = sections.back();
    sections.pop_back();
    const auto [differs, unused] = std::ranges::mismatch(sections, open);
    const auto indent = [](std::ptrdiff_t depth) {
      return std::string(static_cast<std::size_t>(2 * depth + 2), ' ');
    };
    for (auto section = differs; section != sections.end(); ++section) {
      out +=
          fmt::format("{}{}:\n", indent(section - sections.begin()), *section);
    }
    out += fmt::format("{}{}: {}\n",
                       indent(static_cast<std::ptrdiff_t>(sections.size())),
                       name, key.value);
    open = std::move(sections);
  }
  return out;
}

std::span<const KeyHelp> Keys() {
  static const std::vector<KeyHelp> kKeys = [] {
    std::vector<KeyHelp> help;
    const WorkloadConfig defaults;
    for (const Row& row : Table()) {
      const auto* const ignored = std::get_if<IgnoredField>(&row.field);
      help.push_back({row.key, TypeName(row), Allowed(row),
                      ignored != nullptr ? std::string(ignored->default_value)
                                         : Show(row, defaults),
                      row.unit, row.summary, row.inert});
    }
    return help;
  }();
  return kKeys;
}

}  // namespace stoker::config
