#include "config/schema.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "config/field.h"
#include "config/load.h"
#include "tests/config/load_helpers.h"

namespace stoker::config {
namespace {

// The defaults of DLIO's keys, and of ours.
const std::map<std::string_view, std::string_view> kDefaults{
    {"framework", "tensorflow"},
    {"storage.storage_type", "local_fs"},
    {"storage.storage_root", "./"},
    {"dataset.record_length_bytes", "65536"},
    {"dataset.record_length_bytes_stdev", "0"},
    {"dataset.record_length_bytes_resize", "0"},
    {"dataset.num_files_train", "8"},
    {"dataset.num_files_eval", "0"},
    {"dataset.num_samples_per_file", "1"},
    {"dataset.data_folder", "./data"},
    {"dataset.num_subfolders_train", "0"},
    {"dataset.num_subfolders_eval", "0"},
    {"dataset.generation_buffer_size", "2147483648"},
    {"dataset.enable_chunking", "false"},
    {"dataset.chunk_size", "0"},
    {"dataset.compression", "none"},
    {"dataset.compression_level", "4"},
    {"dataset.file_prefix", "img"},
    {"dataset.format", "tfrecord"},
    {"dataset.keep_files", "true"},
    {"reader.data_loader", "tensorflow"},
    {"reader.batch_size", "1"},
    {"reader.batch_size_eval", "1"},
    {"reader.read_threads", "1"},
    {"reader.computation_threads", "1"},
    {"reader.prefetch_size", "2"},
    {"reader.file_shuffle", "'off'"},
    {"reader.sample_shuffle", "'off'"},
    {"reader.shuffle_size", "1024"},
    {"reader.file_access", "multi"},
    {"reader.read_type", "on_demand"},
    {"reader.transfer_size", "262144"},
    {"reader.odirect", "false"},
    {"reader.preprocess_time", "{}"},
    {"reader.pin_memory", "true"},
    {"reader.dont_use_mmap", "false"},
    {"reader.multiprocessing_context", "fork"},
    {"reader.loader_model", "dlio-v2"},
    {"reader.pump_threads", "1"},
    {"reader.request_bytes", "1048576"},
    {"reader.byte_budget", "268435456"},
    {"train.epochs", "1"},
    {"train.total_training_steps", "-1"},
    {"train.steps_per_epoch_limit", "-1"},
    {"train.seed_change_epoch", "true"},
    {"train.computation_time", "{}"},
    {"train.seed", "123"},
    {"evaluation.eval_time", "{}"},
    {"evaluation.eval_after_epoch", "1"},
    {"evaluation.epochs_between_evals", "1"},
    {"checkpoint.checkpoint_folder", "./checkpoints"},
    {"checkpoint.checkpoint_after_epoch", "1"},
    {"checkpoint.epochs_between_checkpoints", "1"},
    {"checkpoint.steps_between_checkpoints", "-1"},
    {"checkpoint.type", "rank_zero"},
    {"checkpoint.fsync", "false"},
    {"checkpoint.time_between_checkpoints", "-1"},
    {"checkpoint.num_checkpoints_write", "-1"},
    {"checkpoint.num_checkpoints_read", "-1"},
    {"checkpoint.recovery_rank_shift", "false"},
    {"checkpoint.rank_sync", "false"},
    {"checkpoint.mode", "default"},
    {"checkpoint.randomize_tensor", "true"},
    {"checkpoint.format", "torchzip"},
    {"checkpoint.verify", "none"},
    {"model.name", "default"},
    {"model.type", "null"},
    {"model.model_size_bytes", "10240"},
    {"model.optimization_groups", "[]"},
    {"model.num_layers", "-1"},
    {"model.layer_parameters", "[]"},
    {"model.model_datatype", "fp16"},
    {"model.optimizer_datatype", "fp32"},
    {"model.parallelism.tensor", "1"},
    {"model.parallelism.pipeline", "1"},
    {"model.parallelism.data", "-1"},
    {"model.parallelism.zero_stage", "0"},
    {"model.transformer.vocab_size", "32000"},
    {"model.transformer.hidden_size", "2048"},
    {"model.transformer.ffn_hidden_size", "8192"},
    {"model.transformer.num_attention_heads", "32"},
    {"model.transformer.num_kv_heads", "8"},
    {"output.folder", "null"},
    {"output.log_file", "dlio.log"},
    {"output.metric.exclude_start_steps", "1"},
    {"output.metric.exclude_end_steps", "0"},
    {"workflow.train", "true"},
    {"workflow.generate_data", "false"},
    {"workflow.evaluation", "false"},
    {"workflow.checkpoint", "false"},
    {"workflow.profiling", "false"},
    {"profiling.profiler", "iostat"},
    {"profiling.iostat_devices", "[]"},
    {"metric.au", "0.9"},
};

TEST(Schema, EveryKeyHasItsDefault) {
  const auto loaded = testing::LoadText("{}");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  std::map<std::string_view, std::string_view> actual;
  for (const EffectiveKey& key : loaded.value().keys) {
    actual[key.key] = key.value;
    EXPECT_FALSE(key.is_set) << key.key;
  }
  EXPECT_EQ(actual, kDefaults);
  EXPECT_TRUE(loaded.value().warnings.empty());
}

// A valid value of the row that is not its default.
Node OtherValue(const Row& row) {
  Node node;
  if (const auto* field = std::get_if<IntField>(&row.field)) {
    WorkloadConfig defaults;
    node.kind = Node::Kind::kInt;
    node.integer =
        field->at(defaults) == field->min ? field->min + 1 : field->min;
  } else if (std::holds_alternative<RealField>(row.field)) {
    node.kind = Node::Kind::kFloat;
    node.real = 0.5 + (row.key == "dataset.record_length_bytes" ? 1 : 0);
  } else if (const auto* boolean = std::get_if<BoolField>(&row.field)) {
    WorkloadConfig defaults;
    node.kind = Node::Kind::kBool;
    node.boolean =
        boolean->refused ? boolean->at(defaults) : !boolean->at(defaults);
  } else if (std::holds_alternative<IntListField>(row.field) ||
             std::holds_alternative<TextListField>(row.field)) {
    node.kind = Node::Kind::kList;
    Node item;
    item.kind = Node::Kind::kInt;
    item.integer = 3;
    item.text = "3";
    node.items.push_back(item);
  } else if (std::holds_alternative<TimeField>(row.field)) {
    node.kind = Node::Kind::kFloat;
    node.real = 0.75;
  } else if (const auto* word = std::get_if<WordField>(&row.field)) {
    node = TextNode(word->words[word->words.size() > 6 ? 1 : 0].name);
  } else if (const auto* choice = std::get_if<EnumField>(&row.field)) {
    node = TextNode(choice->words[1].name);
  } else {
    node = TextNode("other");
  }
  return node;
}

// No two rows may share a field: setting one key must change what that key
// shows, and nothing else.
TEST(Schema, EachRowHasAFieldOfItsOwn) {
  const WorkloadConfig defaults;
  for (const Row& row : Table()) {
    if (!IsStored(row)) {
      continue;
    }
    WorkloadConfig config;
    ASSERT_EQ(Store(row, OtherValue(row), config).error, "") << row.key;
    for (const Row& other : Table()) {
      if (&other != &row) {
        EXPECT_EQ(Show(other, config), Show(other, defaults))
            << other.key << " changed with " << row.key;
      }
    }
  }
}

TEST(Schema, KeysAreUniqueAndGroupedBySection) {
  std::set<std::string_view> names;
  std::set<std::string_view> closed;
  std::string_view open;
  for (const Row& row : Table()) {
    EXPECT_TRUE(names.insert(row.key).second) << row.key;
    const std::string_view section = row.key.substr(0, row.key.find('.'));
    if (section != open) {
      EXPECT_TRUE(closed.insert(section).second) << row.key;
      open = section;
    }
    EXPECT_FALSE(row.summary.empty()) << row.key;
  }
}

TEST(Schema, AliasesNameStoredKeys) {
  int aliases = 0;
  for (const Row& row : Table()) {
    if (const auto* alias = std::get_if<AliasField>(&row.field)) {
      ++aliases;
      const Row* const target = FindRow(alias->target);
      ASSERT_NE(target, nullptr) << row.key;
      EXPECT_TRUE(IsStored(*target));
    }
  }
  EXPECT_EQ(aliases, 5);
}

TEST(Keys, DescribeTheTable) {
  ASSERT_EQ(Keys().size(), Table().size());
  for (const KeyHelp& key : Keys()) {
    if (key.key == "reader.file_shuffle") {
      EXPECT_EQ(key.type, "off|seed|random");
      EXPECT_EQ(key.default_value, "'off'");
    }
    if (key.key == "reader.batch_size") {
      EXPECT_EQ(key.type, "integer");
      EXPECT_EQ(key.allowed, "an integer from 1 to 2147483647");
      EXPECT_EQ(key.unit, "samples");
    }
  }
}

}  // namespace
}  // namespace stoker::config
