// The files of workloads/ against the tables of MLPerf Storage.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/load.h"
#include "tests/config/load_helpers.h"

namespace stoker::config {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char* const kFolder = STOKER_SOURCE_DIR "/workloads/";

LoadedConfig Shipped(const std::string& name) {
  auto loaded = Load({kFolder + name + ".yaml", {}, {}});
  EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
  return loaded.ok() ? std::move(loaded).value() : LoadedConfig{};
}

struct Training {
  const char* name;
  std::int64_t files;
  double seconds;
};

TEST(Workloads, AllLoadWithoutAWarning) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".yaml") {
      ++files;
      const LoadedConfig loaded = Shipped(entry.path().stem());
      EXPECT_THAT(loaded.warnings, IsEmpty()) << entry.path();
      EXPECT_EQ(loaded.workload.workflow.checkpoint,
                entry.path().stem().string().starts_with("llama3_"))
          << entry.path();
    }
  }
  EXPECT_GE(files, 10);
}

TEST(Workloads, Unet3dHasTheValuesOfTheTable) {
  for (const Training& row : {Training{"unet3d_a100", 168, 0.636},
                              Training{"unet3d_h100", 168, 0.323},
                              Training{"unet3d_b200", 7200, 0.162}}) {
    const WorkloadConfig config = Shipped(row.name).workload;
    EXPECT_EQ(config.model.name, "unet3d");
    EXPECT_EQ(config.model.type, "cnn");
    EXPECT_EQ(config.model.model_size_bytes, 499153191);
    EXPECT_EQ(config.framework, Framework::kPytorch);
    EXPECT_TRUE(config.workflow.train);
    EXPECT_FALSE(config.workflow.generate_data);
    EXPECT_EQ(config.dataset.data_folder, "data/unet3d");
    EXPECT_EQ(config.dataset.format, "npz");
    EXPECT_EQ(config.dataset.num_files_train, row.files);
    EXPECT_EQ(config.dataset.num_samples_per_file, 1);
    EXPECT_EQ(config.dataset.record_length_bytes, 146600628);
    EXPECT_EQ(config.dataset.record_length_bytes_stdev, 68341808);
    EXPECT_EQ(config.dataset.record_length_bytes_resize, 2097152);
    EXPECT_EQ(config.reader.data_loader, DataLoader::kPytorch);
    EXPECT_EQ(config.reader.batch_size, 7);
    EXPECT_EQ(config.reader.read_threads, 4);
    EXPECT_EQ(config.reader.prefetch_size, 2);
    EXPECT_EQ(config.reader.file_shuffle, Shuffle::kSeed);
    EXPECT_EQ(config.reader.sample_shuffle, Shuffle::kSeed);
    EXPECT_EQ(config.train.epochs, 5);
    EXPECT_EQ(config.train.computation_time.kind, TimeSpec::Kind::kConstant);
    EXPECT_EQ(config.train.computation_time.mean, row.seconds);
    EXPECT_EQ(config.checkpoint.checkpoint_folder, "checkpoints/unet3d");
    EXPECT_EQ(config.checkpoint.checkpoint_after_epoch, 5);
    EXPECT_EQ(config.checkpoint.epochs_between_checkpoints, 2);
    EXPECT_EQ(config.metric.au, 0.90);
  }
}

TEST(Workloads, Resnet50HasTheValuesOfTheTable) {
  for (const Training& row : {Training{"resnet50_a100", 1024, 0.435},
                              Training{"resnet50_h100", 1024, 0.224}}) {
    const WorkloadConfig config = Shipped(row.name).workload;
    EXPECT_EQ(config.model.name, "resnet50");
    EXPECT_EQ(config.model.type, "cnn");
    EXPECT_EQ(config.framework, Framework::kTensorflow);
    EXPECT_TRUE(config.workflow.train);
    EXPECT_FALSE(config.workflow.generate_data);
    EXPECT_EQ(config.dataset.num_files_train, row.files);
    EXPECT_EQ(config.dataset.num_samples_per_file, 1251);
    EXPECT_EQ(config.dataset.record_length_bytes, 114660.07);
    EXPECT_EQ(config.dataset.record_length_bytes_stdev, 0);
    EXPECT_EQ(config.dataset.record_length_bytes_resize, 150528);
    EXPECT_EQ(config.dataset.data_folder, "data/resnet50");
    EXPECT_EQ(config.dataset.format, "tfrecord");
    EXPECT_EQ(config.reader.data_loader, DataLoader::kTensorflow);
    EXPECT_EQ(config.reader.read_threads, 8);
    EXPECT_EQ(config.reader.computation_threads, 8);
    EXPECT_EQ(config.reader.batch_size, 400);
    EXPECT_EQ(config.reader.file_shuffle, Shuffle::kOff);
    EXPECT_EQ(config.reader.sample_shuffle, Shuffle::kOff);
    EXPECT_EQ(config.train.epochs, 5);
    EXPECT_EQ(config.train.computation_time.mean, row.seconds);
    EXPECT_EQ(config.metric.au, 0.90);
  }
}

TEST(Workloads, CosmoflowHasTheValuesOfTheTable) {
  for (const Training& row : {Training{"cosmoflow_a100", 524288, 0.00551},
                              Training{"cosmoflow_h100", 524288, 0.00350}}) {
    const WorkloadConfig config = Shipped(row.name).workload;
    EXPECT_EQ(config.model.name, "cosmoflow");
    EXPECT_EQ(config.model.type, "");
    EXPECT_EQ(config.framework, Framework::kTensorflow);
    EXPECT_TRUE(config.workflow.train);
    EXPECT_FALSE(config.workflow.generate_data);
    EXPECT_EQ(config.dataset.data_folder, "data/cosmoflow");
    EXPECT_EQ(config.dataset.format, "tfrecord");
    EXPECT_EQ(config.dataset.num_files_train, row.files);
    EXPECT_EQ(config.dataset.num_samples_per_file, 1);
    EXPECT_EQ(config.dataset.record_length_bytes, 2828486);
    EXPECT_EQ(config.dataset.record_length_bytes_stdev, 71311);
    EXPECT_EQ(config.reader.data_loader, DataLoader::kTensorflow);
    EXPECT_EQ(config.reader.read_threads, 4);
    EXPECT_EQ(config.reader.batch_size, 1);
    EXPECT_EQ(config.reader.file_shuffle, Shuffle::kSeed);
    EXPECT_EQ(config.reader.sample_shuffle, Shuffle::kSeed);
    EXPECT_EQ(config.reader.shuffle_size, 2);
    EXPECT_EQ(config.train.epochs, 5);
    EXPECT_EQ(config.train.computation_time.mean, row.seconds);
    EXPECT_EQ(config.metric.au, 0.70);
  }
}

TEST(Workloads, RetinanetHasTheValuesOfTheTable) {
  struct Row {
    const char* name;
    std::int64_t batch;
    double seconds;
  };
  for (const Row& row : {Row{"retinanet_b200", 24, 0.04755},
                         Row{"retinanet_mi355", 32, 0.0634}}) {
    const WorkloadConfig config = Shipped(row.name).workload;
    EXPECT_EQ(config.model.name, "retinanet");
    EXPECT_EQ(config.framework, Framework::kPytorch);
    EXPECT_TRUE(config.workflow.train);
    EXPECT_FALSE(config.workflow.generate_data);
    EXPECT_EQ(config.dataset.data_folder, "data/retinanet");
    EXPECT_EQ(config.dataset.format, "jpeg");
    EXPECT_EQ(config.dataset.num_files_train, 1170301);
    EXPECT_EQ(config.dataset.num_samples_per_file, 1);
    EXPECT_EQ(config.dataset.record_length_bytes, 322957);
    EXPECT_EQ(config.dataset.record_length_bytes_stdev, 0);
    EXPECT_EQ(config.reader.loader_model, "dlio-v3");
    EXPECT_EQ(config.reader.data_loader, DataLoader::kPytorch);
    EXPECT_EQ(config.reader.batch_size, row.batch);
    EXPECT_EQ(config.reader.read_threads, 8);
    EXPECT_EQ(config.reader.file_shuffle, Shuffle::kSeed);
    EXPECT_EQ(config.reader.sample_shuffle, Shuffle::kSeed);
    EXPECT_EQ(config.train.epochs, 8);
    EXPECT_EQ(config.train.computation_time.mean, row.seconds);
    EXPECT_EQ(config.metric.au, 0.85);
  }
}

TEST(Workloads, Llama3HasTheValuesOfTheTable) {
  struct Row {
    const char* name;
    std::int64_t layers;
    std::int64_t hidden;
    std::int64_t ffn;
    std::int64_t heads;
    std::int64_t kv_heads;
    std::int64_t tensor;
    std::int64_t pipeline;
    std::int64_t zero;
  };
  for (const Row& row : {Row{"8b", 32, 4096, 14336, 32, 8, 1, 1, 3},
                         Row{"70b", 80, 8192, 28672, 128, 8, 8, 1, 3},
                         Row{"405b", 126, 16384, 53248, 128, 8, 8, 32, 1},
                         Row{"1t", 128, 25872, 98304, 192, 32, 8, 64, 1}}) {
    const std::string name = row.name;
    const WorkloadConfig config = Shipped("llama3_" + name).workload;
    EXPECT_EQ(config.model.name, "llama_" + name);
    EXPECT_EQ(config.model.type, "transformer");
    EXPECT_EQ(config.model.num_layers, row.layers);
    EXPECT_EQ(config.model.transformer.hidden_size, row.hidden);
    EXPECT_EQ(config.model.transformer.ffn_hidden_size, row.ffn);
    EXPECT_EQ(config.model.transformer.num_attention_heads, row.heads);
    EXPECT_EQ(config.model.transformer.num_kv_heads, row.kv_heads);
    EXPECT_EQ(config.model.transformer.vocab_size, 128256);
    EXPECT_EQ(config.model.parallelism.tensor, row.tensor);
    EXPECT_EQ(config.model.parallelism.pipeline, row.pipeline);
    EXPECT_EQ(config.model.parallelism.data, -1);
    EXPECT_EQ(config.model.parallelism.zero_stage, row.zero);
    EXPECT_EQ(config.model.model_datatype, "fp16");
    EXPECT_EQ(config.model.optimizer_datatype, "fp32");
    EXPECT_EQ(config.framework, Framework::kPytorch);
    EXPECT_FALSE(config.workflow.train);
    EXPECT_FALSE(config.workflow.generate_data);
    EXPECT_EQ(config.checkpoint.checkpoint_folder, "checkpoints/llama_" + name);
    EXPECT_EQ(config.checkpoint.time_between_checkpoints, 5);
    EXPECT_EQ(config.checkpoint.num_checkpoints_write, 10);
    EXPECT_EQ(config.checkpoint.num_checkpoints_read, 10);
    EXPECT_TRUE(config.checkpoint.fsync);
    EXPECT_EQ(config.checkpoint.mode, "default");
  }
}

// What datagen writes is what run expects.
TEST(Workloads, DatagenFilesDescribeTheSameDataSet) {
  for (const auto& [model, accelerator] :
       std::vector<std::pair<std::string, std::string>>{
           {"unet3d", "_h100"},
           {"resnet50", "_h100"},
           {"cosmoflow", "_h100"},
           {"retinanet", "_b200"},
           {"retinanet", "_mi355"}}) {
    const LoadedConfig datagen = Shipped(model + "_datagen");
    const LoadedConfig run = Shipped(model + accelerator);
    EXPECT_TRUE(datagen.workload.workflow.generate_data);
    EXPECT_FALSE(datagen.workload.workflow.train);
    for (const EffectiveKey& key : datagen.keys) {
      const bool same = key.key.starts_with("dataset.") ||
                        key.key.starts_with("model.") || key.key == "framework";
      if (same) {
        EXPECT_EQ(key.value, run.Value(key.key)) << key.key;
      }
    }
  }
}

// A reference file of a checkpoint workload has neither dataset nor reader.
TEST(Workloads, CheckpointsAloneNeedNoDataset) {
  const auto loaded = testing::LoadText(
      "model:\n  name: llama_70b\n  type: transformer\n  num_layers: 80\n"
      "  model_datatype: fp16\n  optimizer_datatype: fp32\n  parallelism:\n"
      "    tensor: 8\n    pipeline: 1\n    zero_stage: 3\n  transformer:\n"
      "    vocab_size: 128256\n    hidden_size: 8192\n"
      "    ffn_hidden_size: 28672\n    num_attention_heads: 128\n"
      "    num_kv_heads: 8\n\nframework: pytorch\n\nworkflow:\n"
      "  generate_data: False\n  train: False\n  checkpoint: True\n\n"
      "checkpoint:\n  checkpoint_folder: checkpoints/llama_70b\n"
      "  time_between_checkpoints: 5\n  num_checkpoints_write: 10\n"
      "  num_checkpoints_read: 10\n  fsync: True\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_THAT(loaded.value().warnings, IsEmpty());
  EXPECT_EQ(loaded.value().workload.model.num_layers, 80);
}

// The spellings of the reference's own files, in one text.
TEST(Workloads, TheReferencesSpellingsLoad) {
  const auto loaded = testing::LoadText(
      "model:\n  name: unet3d\n  type: cnn\n  model_size: 499153191\n\n"
      "framework: pytorch\n\nworkflow:\n  generate_data: False\n  train: True\n"
      "  checkpoint: False\n\ndataset:\n  data_folder: data/unet3d/\n"
      "  format: npz\n  record_length_bytes: 146600628\n\nreader:\n"
      "  data_loader: pytorch\n  file_shuffle: seed\n  dont_use_mmap: True\n\n"
      "train:\n  epochs: 5\n  computation_time: 0.323\n\nmetric:\n  au: 0.90");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(loaded.value().workload.dataset.data_folder, "data/unet3d");
  EXPECT_THAT(loaded.value().warnings,
              ElementsAre(HasSubstr("model.model_size"),
                          HasSubstr("reader.dont_use_mmap")));
}

}  // namespace
}  // namespace stoker::config
