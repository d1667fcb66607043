#include "reporting/metadata_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reporting/result_folder.h"
#include "tests/reporting/synthetic_run.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

CommandMetadata Example(const std::string& folder) {
  CommandMetadata metadata;
  metadata.args = {{"program", "training"},
                   {"hosts", Json::Array{"a", "b"}},
                   {"closed", false}};
  metadata.run_datetime = "20250301_143000";
  metadata.runtime_seconds = 1.5;
  metadata.outputs = {{.command = "mpirun x",
                       .stdout_file = folder + "/out",
                       .stderr_file = folder + "/err"}};
  metadata.folder = folder;
  metadata.metadata_file = MetadataFile("training", "20250301_143000");
  metadata.program_file = "/opt/bin/stoker";
  metadata.config_folder = "/opt/workloads";
  metadata.config_file = "unet3d_h100.yaml";
  metadata.hosts = {testing::SyntheticHost(), testing::SyntheticHost()};
  metadata.params = {{"dataset.num_files_train", 42000}};
  metadata.executed_command = "mpirun x";
  return metadata;
}

TEST(MetadataJson, FieldsAreTheReferencesInItsOrder) {
  const Json json = MetadataJson(Example("/r"));
  std::vector<std::string> keys;
  for (const auto& [key, value] : std::get<Json::Object>(json.value()))
    keys.push_back(key);
  EXPECT_THAT(
      keys, ::testing::ElementsAre(
                "args", "debug", "run_datetime", "run_number", "runtime",
                "verification", "command_output_files", "run_result_output",
                "metadata_filename", "metadata_file_path", "_config_name",
                "base_command", "base_path", "base_command_path", "config_path",
                "per_host_mem_kB", "total_mem_kB", "cluster_information",
                "config_file", "params_dict", "yaml_params", "combined_params",
                "executed_command", "benchmark_type", "warm_up"));
}

TEST(MetadataJson, ClusterHoldsRealData) {
  const Json json = MetadataJson(Example("/r"));
  const Json* cluster = json.Find("cluster_information");
  ASSERT_NE(cluster, nullptr);
  // Two hosts of 1 GiB and 4 CPUs.
  EXPECT_EQ(DumpJson(*cluster->Find("total_memory_bytes"), 0), "2147483648");
  EXPECT_EQ(DumpJson(*cluster->Find("total_cores"), 0), "8");
  EXPECT_EQ(std::get<Json::Array>(cluster->Find("hosts")->value()).size(), 2U);
}

TEST(MetadataJson, UnsetValuesAreNull) {
  CommandMetadata metadata = Example("/r");
  EXPECT_EQ(DumpJson(*MetadataJson(metadata).Find("debug"), 0), "null");
  EXPECT_EQ(DumpJson(*MetadataJson(metadata).Find("verification"), 0), "null");
  metadata.verification = "closed";
  metadata.debug = true;
  EXPECT_EQ(DumpJson(*MetadataJson(metadata).Find("verification"), 0),
            "\"closed\"");
  EXPECT_EQ(DumpJson(*MetadataJson(metadata).Find("debug"), 0), "true");
  metadata.hosts.clear();
  EXPECT_EQ(MetadataJson(metadata).Find("cluster_information"), nullptr);
}

TEST(WriteMetadata, NamesTheFileAndItsPlace) {
  const testing::TempDir folder;
  ASSERT_TRUE(WriteMetadata(Example(folder.str())).ok());
  const std::string name = "training_20250301_143000_metadata.json";
  const core::Result<Json> json =
      ParseJson(testing::Slurp(folder.path() / name));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(DumpJson(*json.value().Find("metadata_filename"), 0),
            '"' + name + '"');
  EXPECT_EQ(DumpJson(*json.value().Find("metadata_file_path"), 0),
            '"' + folder.str() + '/' + name + '"');
}

}  // namespace
}  // namespace stoker::reporting
