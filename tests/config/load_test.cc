#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/config/load_helpers.h"

namespace stoker::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::LoadText;
using ::testing::StartsWith;

constexpr Compat kV20{.v2_0 = true};

const EffectiveKey& KeyOf(const LoadedConfig& loaded, std::string_view name) {
  for (const EffectiveKey& key : loaded.keys) {
    if (key.key == name) {
      return key;
    }
  }
  ADD_FAILURE() << "no key " << name;
  return loaded.keys.front();
}

TEST(Load, ReadsTypedValuesAndTheirOrigins) {
  const auto loaded = LoadText(
      "framework: pytorch\ndataset:\n  format: npz\n"
      "  num_files_train: 168\nreader:\n  batch_size: 7\n",
      {"++workload.reader.batch_size=9"});
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  const WorkloadConfig& workload = loaded.value().workload;
  EXPECT_EQ(workload.framework, Framework::kPytorch);
  EXPECT_EQ(workload.dataset.num_files_train, 168);
  EXPECT_EQ(workload.reader.batch_size, 9);
  EXPECT_EQ(KeyOf(loaded.value(), "dataset.num_files_train").origin.where,
            "w.yaml:4");
  EXPECT_EQ(KeyOf(loaded.value(), "reader.batch_size").origin.where,
            "override '++workload.reader.batch_size=9'");
  EXPECT_EQ(loaded.value().Value("reader.batch_size"), "9");
  const EffectiveKey& epochs = KeyOf(loaded.value(), "train.epochs");
  EXPECT_EQ(epochs.origin.where, "default");
  EXPECT_FALSE(epochs.is_set);
  EXPECT_EQ(loaded.value().Value("nosuch"), "");
  EXPECT_THAT(loaded.value().overrides,
              ElementsAre("++workload.reader.batch_size=9"));
  EXPECT_THAT(loaded.value().warnings, IsEmpty());
}

TEST(Load, NamesAMissingFile) {
  const auto loaded = Load({"/nonexistent/w.yaml", {}, {}});
  EXPECT_EQ(loaded.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(loaded.status().message()),
              HasSubstr("/nonexistent/w.yaml"));
}

TEST(Load, ReportsAllMistakesAtOnceInTheOrderOfTheText) {
  const auto loaded = LoadText(
      "reader:\n  batch_size: seven\n  read_thread: 4\n  file_shuffle: sead\n"
      "train:\n  epochs: 0\n  epochs: 2\n",
      {"++reader.prefetch_size=010", "++reader.nosuch=1,2"});
  EXPECT_EQ(loaded.status().code(), core::Code::kInvalidArgument);
  EXPECT_EQ(
      loaded.status().message(),
      "w.yaml:2:15: reader.batch_size: value 'seven' (text) is not allowed; "
      "allowed: an integer from 1 to 2147483647\n"
      "w.yaml:3:3: unknown key 'reader.read_thread'; did you mean "
      "'reader.read_threads'?\n"
      "w.yaml:4:17: reader.file_shuffle: value 'sead' (text) is not allowed; "
      "allowed: off, seed, random; did you mean 'seed'?\n"
      "w.yaml:6:11: train.epochs: value '0' (integer) is not allowed; "
      "allowed: an integer from 1 to 1000000\n"
      "w.yaml:7:3: 'epochs' is given twice, first at 6:3\n"
      "override '++reader.prefetch_size=010': reader.prefetch_size: value "
      "'010' (text) is not allowed; allowed: an integer from 0 to 65536\n"
      "override '++reader.nosuch=1,2': a list of values separated by commas is "
      "a sweep, which is not supported: quote the value, or write [a,b] for a "
      "list");
}

TEST(Load, ReportsSyntaxWithFileLineAndColumn) {
  EXPECT_THAT(ErrorOf("reader: [1, 2\ntrain: 3"), StartsWith("w.yaml:2:"));
  EXPECT_THAT(ErrorOf("a: \xff"), StartsWith("w.yaml: byte 3"));
  EXPECT_THAT(ErrorOf("- a\n- b\n"), HasSubstr("map of sections"));
  EXPECT_THAT(ErrorOf("reader: 5\n"),
              HasSubstr("w.yaml:1:9: reader: value 5 is not allowed"));
}

TEST(Load, SuggestsTheKeyThatWasMeant) {
  EXPECT_THAT(ErrorOf("reder: {batch_size: 1}"), HasSubstr("mean 'reader'?"));
  EXPECT_THAT(ErrorOf("batch_size: 1"), HasSubstr("mean 'reader.batch_size'?"));
  EXPECT_THAT(ErrorOf("dataset: {batch_size: 1}"),
              HasSubstr("mean 'reader.batch_size'?"));
  EXPECT_THAT(ErrorOf("model: {paralelism: {tensor: 1}}"),
              HasSubstr("mean 'model.parallelism'?"));
  EXPECT_THAT(ErrorOf("zzz: 1"),
              HasSubstr("docs/configuration.md lists the known ones"));
  EXPECT_THAT(ErrorOf("reader.batch_size: 1"), HasSubstr("not dotted"));
}

TEST(Load, ConvertsWithoutLossOnly) {
  const auto loaded = LoadText(
      "reader: {batch_size: 4.0}\ndataset: {record_length_bytes: 7}\n"
      "model: {name: 5}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(loaded.value().workload.reader.batch_size, 4);
  EXPECT_EQ(loaded.value().workload.dataset.record_length_bytes, 7.0);
  EXPECT_EQ(loaded.value().workload.model.name, "5");
  EXPECT_THAT(ErrorOf("reader: {batch_size: 4.5}"), HasSubstr("'4.5' (float)"));
  EXPECT_THAT(ErrorOf("reader: {batch_size: '4'}"), HasSubstr("'4' (text)"));
  EXPECT_THAT(ErrorOf("reader: {batch_size: on}"), HasSubstr("'on' (boolean)"));
  EXPECT_THAT(ErrorOf("reader: {batch_size: }"), HasSubstr("(null)"));
  EXPECT_THAT(ErrorOf("reader: {batch_size: 99999999999999999999}"),
              HasSubstr("(float) is not allowed"));
  EXPECT_THAT(ErrorOf("metric: {au: .nan}"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(ErrorOf("metric: {au: true}"), HasSubstr("'true' (boolean)"));
  EXPECT_THAT(ErrorOf("workflow: {train: 1}"), HasSubstr("true or false"));
}

TEST(Load, TakesTheBooleansThatYamlMakesOfOff) {
  const auto loaded =
      LoadText("reader: {sample_shuffle: off, file_shuffle: seed}");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value().workload.reader.sample_shuffle, Shuffle::kOff);
  EXPECT_EQ(loaded.value().workload.reader.file_shuffle, Shuffle::kSeed);
  EXPECT_EQ(loaded.value().Value("reader.sample_shuffle"), "'off'");
  EXPECT_THAT(ErrorOf("reader: {sample_shuffle: on}"),
              HasSubstr("allowed: off, seed, random"));
}

TEST(Load, DerivesTheLoaderFromTheFramework) {
  const auto torch = LoadText("framework: pytorch\ndataset: {format: npz}");
  ASSERT_TRUE(torch.ok());
  EXPECT_EQ(torch.value().workload.reader.data_loader, DataLoader::kPytorch);
  EXPECT_EQ(KeyOf(torch.value(), "reader.data_loader").origin.where,
            "from framework");
  EXPECT_EQ(LoadText("{}").value().workload.reader.data_loader,
            DataLoader::kTensorflow);
}

TEST(Load, RefusesContradictions) {
  EXPECT_THAT(ErrorOf("framework: pytorch\nreader: {data_loader: tensorflow}"),
              StartsWith("w.yaml:2:23: reader.data_loader: value 'tensorflow' "
                         "does not go with framework 'pytorch'"));
  EXPECT_THAT(ErrorOf("reader: {data_loader: pytorch}\ndataset: {format: npz}"),
              HasSubstr("does not go with framework 'tensorflow'"));
  EXPECT_THAT(ErrorOf("framework: pytorch\ndataset: {format: tfrecord}"),
              StartsWith("w.yaml:2:19: dataset.format: value 'tfrecord'"));
  EXPECT_THAT(ErrorOf("framework: pytorch"),
              HasSubstr("'tfrecord' (the default) cannot be read"));
}

TEST(Load, RefusesCheckpointsThatContradictThemselves) {
  EXPECT_THAT(ErrorOf("model: {num_layers: 3, parallelism: {pipeline: 4}}"),
              HasSubstr("model.parallelism.pipeline: value 4 is more than "
                        "model.num_layers (3)"));
  EXPECT_THAT(ErrorOf("model: {parallelism: {pipeline: 2, zero_stage: 3}}"),
              HasSubstr("model.parallelism.zero_stage: value 3 does not go"));
  EXPECT_THAT(ErrorOf("model: {parallelism: {data: 2}}"),
              HasSubstr("model.parallelism.data: value 2 is for "
                        "checkpoint.mode=subset alone"));
  EXPECT_THAT(ErrorOf("checkpoint: {mode: subset}"),
              HasSubstr("value 'subset' needs model.parallelism.data"));
  EXPECT_THAT(
      ErrorOf("checkpoint: {num_checkpoints_write: 2, num_checkpoints_read: "
              "3}"),
      HasSubstr("num_checkpoints_read: value 3 is more than "
                "checkpoint.num_checkpoints_write (2)"));
  EXPECT_THAT(ErrorOf("checkpoint: {ksm: {await_time: 100}}"),
              HasSubstr("needs checkpoint.randomize_tensor=false"));
}

TEST(Load, TakesCheckpointsThatAreOnlyReadOrPartsOfAModel) {
  EXPECT_EQ(ErrorOf("checkpoint: {num_checkpoints_write: 0, "
                    "num_checkpoints_read: 3}"),
            "");
  EXPECT_EQ(ErrorOf("checkpoint: {mode: subset}\n"
                    "model: {parallelism: {data: 8}}"),
            "");
  EXPECT_EQ(ErrorOf("checkpoint: {ksm: {await_time: 100}, "
                    "randomize_tensor: false}"),
            "");
  EXPECT_EQ(ErrorOf("model: {num_layers: -1, parallelism: {pipeline: 4}}"), "");
}

TEST(Load, KnowsTheFormatsOfCheckpoints) {
  for (const char* format :
       {"torchzip", "torchzip-2.1", "torchzip-1.13", "raw"}) {
    const auto loaded =
        LoadText(std::string("checkpoint: {format: ") + format + "}");
    ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
    EXPECT_EQ(loaded.value().workload.checkpoint.format, format);
  }
  EXPECT_THAT(
      ErrorOf("checkpoint: {format: pickle, verify: all}"),
      AllOf(HasSubstr("checkpoint.format"), HasSubstr("checkpoint.verify")));
}

TEST(Load, RefusesWhatOnlyPluginsOrOtherToolsDo) {
  EXPECT_THAT(ErrorOf("reader: {reader_classname: a.B}"),
              HasSubstr("reader.reader_classname: 'a.B' is not supported: only "
                        "a Python plug-in could do that"));
  EXPECT_THAT(ErrorOf("reader: {data_loader_classname: a.B}"),
              HasSubstr("Python plug-in"));
  EXPECT_THAT(ErrorOf("checkpoint: {checkpoint_mechanism_classname: a.B}"),
              HasSubstr("Python plug-in"));
  EXPECT_THAT(ErrorOf("reader: {data_loader: custom}"),
              HasSubstr("Python plug-in"));
  EXPECT_THAT(ErrorOf("reader: {data_loader_sampler: custom}"),
              HasSubstr("Python plug-in"));
  EXPECT_THAT(ErrorOf("reader: {data_loader: native_dali}"),
              HasSubstr("'native_dali' is not supported: it is not emulated; "
                        "use pytorch or tensorflow"));
  EXPECT_EQ(ErrorOf("reader: {reader_classname: null}"), "");
}

TEST(Load, RefusesWhatThisVersionCannotDo) {
  EXPECT_THAT(ErrorOf("dataset: {compression: gzip}"),
              HasSubstr("allowed: none"));
  EXPECT_THAT(ErrorOf("dataset: {keep_files: false}"),
              HasSubstr("never deletes its data set"));
  EXPECT_THAT(ErrorOf("storage: {storage_type: aistore}"),
              HasSubstr("is not allowed; allowed: local_fs, parallel_fs, s3"));
}

TEST(Load, WarnsOfKeysThatChangeNothing) {
  const auto loaded = LoadText(
      "storage: {storage_type: parallel_fs, storage_options: {a: 1}}\n"
      "reader:\n  dont_use_mmap: True\n  file_access: multi\n"
      "  read_type: memory\n"
      "workflow: {query: model.name}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_THAT(
      loaded.value().warnings,
      ElementsAre(
          "w.yaml:1:11: storage.storage_type: parallel_fs is treated as "
          "local_fs",
          HasSubstr("storage.storage_options: accepted, but changes nothing"),
          "w.yaml:3:3: reader.dont_use_mmap: accepted, but changes nothing: "
          "only DALI readers look at it (Q32)",
          HasSubstr("reader.read_type: accepted"),
          HasSubstr("workflow.query: accepted")));
  EXPECT_EQ(loaded.value().workload.storage.storage_type, "local_fs");
  EXPECT_EQ(loaded.value().Value("storage.storage_options"), "{a: 1}");
}

TEST(Load, ReadsOldNamesWithAWarning) {
  const auto loaded = LoadText(
      "model: unet3d\ndataset:\n  record_length: 100\n"
      "  record_length_stdev: 5\ncheckpoint: {model_size: 77}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  const WorkloadConfig& workload = loaded.value().workload;
  EXPECT_EQ(workload.model.name, "unet3d");
  EXPECT_EQ(workload.dataset.record_length_bytes, 100);
  EXPECT_EQ(workload.dataset.record_length_bytes_stdev, 5);
  EXPECT_EQ(workload.model.model_size_bytes, 77);
  EXPECT_EQ(loaded.value().warnings.size(), 4U);
  EXPECT_EQ(KeyOf(loaded.value(), "dataset.record_length_bytes").origin.where,
            "w.yaml:3");
}

TEST(Load, ModelSizeCountsUnlessCompatibilityIsAsked) {
  const char* const text = "model: {model_size: 499153191}";
  const auto ours = LoadText(text);
  EXPECT_EQ(ours.value().workload.model.model_size_bytes, 499153191);
  EXPECT_THAT(ours.value().warnings,
              ElementsAre("w.yaml:1:9: model.model_size: an old name, read as "
                          "model.model_size_bytes"));
  const auto compat = LoadText(text, {}, kV20);
  EXPECT_EQ(compat.value().workload.model.model_size_bytes, 10240);
  EXPECT_TRUE(compat.value().compat.v2_0);
  EXPECT_THAT(compat.value().warnings,
              ElementsAre(HasSubstr("ignored under --compat v2.0")));
  const auto both = LoadText("model: {model_size: 1, model_size_bytes: 2}");
  EXPECT_EQ(both.value().workload.model.model_size_bytes, 2);
  EXPECT_THAT(both.value().warnings, ElementsAre(HasSubstr("ignored, as")));
}

TEST(Load, DataReaderIsTheReaderThatCounts) {
  const auto loaded = LoadText(
      "reader: {batch_size: 1, read_threads: 9}\ndata_reader: {batch_size: 2}",
      {"++data_reader.prefetch_size=5"});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value().workload.reader.batch_size, 2);
  EXPECT_EQ(loaded.value().workload.reader.read_threads, 1);
  EXPECT_EQ(loaded.value().workload.reader.prefetch_size, 5);
  EXPECT_THAT(loaded.value().warnings,
              ElementsAre(HasSubstr("'reader' is ignored")));
}

TEST(Load, AppliesOverridesInOrderAndByForm) {
  const char* const text = "reader: {batch_size: 1}";
  const auto loaded =
      LoadText(text, {"++reader.batch_size=2", "workload.reader.batch_size=3",
                      "+reader.read_threads=4", "prefetch_size=1"});
  EXPECT_THAT(std::string(loaded.status().message()),
              HasSubstr("unknown key 'prefetch_size'; did you mean "
                        "'reader.prefetch_size'?"));
  const auto good =
      LoadText(text, {"reader.batch_size=3", "+workload.reader.read_threads=4",
                      "reader.prefetch_size=7"});
  ASSERT_TRUE(good.ok()) << good.status().ToString();
  EXPECT_EQ(good.value().workload.reader.batch_size, 3);
  EXPECT_EQ(good.value().workload.reader.read_threads, 4);
  EXPECT_EQ(good.value().workload.reader.prefetch_size, 7);
  EXPECT_THAT(ErrorOf(text, {"+reader.batch_size=2"}),
              HasSubstr("'reader.batch_size' is set already; write "
                        "++reader.batch_size=..."));
  EXPECT_THAT(ErrorOf(text, {"workload.reader.nosuch=3"}),
              HasSubstr("unknown key 'reader.nosuch'"));
  EXPECT_THAT(ErrorOf(text, {"++reader.batch_size="}),
              HasSubstr("value '' (text)"));
}

TEST(Load, DeletesWhatIsSet) {
  const char* const text = "reader: {batch_size: 5}";
  const auto loaded = LoadText(text, {"~reader.batch_size"});
  EXPECT_EQ(loaded.value().workload.reader.batch_size, 1);
  EXPECT_TRUE(LoadText(text, {"~workload.reader.batch_size=5"}).ok());
  EXPECT_THAT(ErrorOf(text, {"~reader.batch_size=6"}),
              HasSubstr("'reader.batch_size' is 5, not 6"));
  EXPECT_THAT(ErrorOf(text, {"~reader.read_threads"}),
              HasSubstr("'reader.read_threads' is not set"));
}

TEST(Load, MergesMapOverrides) {
  const auto loaded =
      LoadText("reader: {batch_size: 5}\ntrain: {computation_time: 0.3}",
               {"++reader={read_threads:3}", "++train.computation_time.mean=2",
                "++train.computation_time.stdev=1"});
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(loaded.value().workload.reader.batch_size, 5);
  EXPECT_EQ(loaded.value().workload.reader.read_threads, 3);
  const TimeSpec& time = loaded.value().workload.train.computation_time;
  EXPECT_EQ(time.kind, TimeSpec::Kind::kNormal);
  EXPECT_EQ(time.mean, 2);
  EXPECT_EQ(time.stdev, 1);
}

TEST(Load, ResolvesReferencesToKeys) {
  const auto loaded = LoadText(
      "model: {name: unet3d}\n"
      "dataset: {data_folder: '/x/${workload.model.name}/v${reader.batch_size}'"
      ", num_files_train: '${reader.batch_size}'}\nreader: {batch_size: 6}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(loaded.value().workload.dataset.data_folder, "/x/unet3d/v6");
  EXPECT_EQ(loaded.value().workload.dataset.num_files_train, 6);
  EXPECT_THAT(ErrorOf("model: {name: '${a.b}'}"),
              HasSubstr("w.yaml:1:15: '${a.b}': refers to 'a.b', which is not "
                        "set"));
  EXPECT_THAT(ErrorOf("model: {name: '${model.type}', type: '${model.name}'}"),
              HasSubstr("refers to itself"));
  EXPECT_THAT(ErrorOf("model: {name: '${oc.env:HOME}'}"),
              HasSubstr("only references to a key"));
  EXPECT_THAT(ErrorOf("model: {name: 'a${b'}"), HasSubstr("lacks its '}'"));
}

TEST(Load, FolderNamesLoseTrailingSlashes) {
  const auto loaded = LoadText(
      "dataset: {data_folder: data/unet3d//}\ncheckpoint: {checkpoint_folder: "
      "/}");
  EXPECT_EQ(loaded.value().workload.dataset.data_folder, "data/unet3d");
  EXPECT_EQ(loaded.value().workload.checkpoint.checkpoint_folder, "/");
  EXPECT_THAT(ErrorOf("dataset: {data_folder: ''}"), HasSubstr("not empty"));
}

TEST(Load, ReadsListsAndSingleDevices) {
  const auto loaded = LoadText(
      "model: {optimization_groups: [1, 2.0], layer_parameters: []}\n"
      "profiling: {iostat_devices: sda}\n");
  EXPECT_THAT(loaded.value().workload.model.optimization_groups,
              ElementsAre(1, 2));
  EXPECT_THAT(loaded.value().workload.profiling.iostat_devices,
              ElementsAre("sda"));
  EXPECT_THAT(ErrorOf("model: {optimization_groups: 5}"),
              HasSubstr("a list of integers"));
  EXPECT_THAT(ErrorOf("profiling: {iostat_devices: [[a]]}"),
              HasSubstr("a list of texts"));
}

TEST(ToYaml, LoadsBackWithoutChangeOrWarning) {
  const auto first = LoadText(
      "framework: pytorch\ndataset: {format: npz, data_folder: \"it's: #1\"}\n"
      "reader: {preprocess_time: {type: gamma, shape: 2, scale: 1e-5}}\n"
      "train: {computation_time: 0.3, computation_time_stdev: 0.1}\n"
      "model: {parallelism: {tensor: 8}, name: 'on'}\n");
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const std::string yaml = ToYaml(first.value());
  EXPECT_THAT(yaml, StartsWith("workload:\n  framework: pytorch\n  storage:\n"
                               "    storage_type: local_fs\n"));
  const auto second = LoadText(yaml);
  ASSERT_TRUE(second.ok()) << second.status().ToString() << yaml;
  EXPECT_THAT(second.value().warnings, IsEmpty());
  ASSERT_EQ(first.value().keys.size(), second.value().keys.size());
  for (std::size_t i = 0; i < first.value().keys.size(); ++i) {
    EXPECT_EQ(first.value().keys[i].value, second.value().keys[i].value)
        << first.value().keys[i].key;
  }
}

}  // namespace
}  // namespace stoker::config
