// What we write and type against PyYAML, in Debian's python3.

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"
#include "config/scalar.h"
#include "tests/config/load_helpers.h"

namespace stoker::config {
namespace {

// Standard output of a Python program that is given one argument.
std::string RunPython(std::string_view program, const std::string& argument) {
  const stoker::testing::TempDir dir;
  const std::string script = dir.str() + "/script.py";
  testing::WriteText(script, program);
  const std::string command =
      "/usr/bin/python3 '" + script + "' '" + argument + "' 2>&1";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return "popen failed";
  }
  std::string out;
  std::array<char, 4096> chunk{};
  while (const std::size_t count =
             std::fread(chunk.data(), 1, chunk.size(), pipe)) {
    out.append(chunk.data(), count);
  }
  return ::pclose(pipe) == 0 ? out : "python failed: " + out;
}

TEST(PyYaml, ReadsTheEffectiveConfigurationBack) {
  const auto loaded = testing::LoadText(
      "framework: pytorch\n"
      "dataset: {format: npz, data_folder: \"a'b: #1\", file_prefix: '010',\n"
      "  record_length_bytes: 114660.07}\n"
      "reader: {preprocess_time: 1e-5, file_shuffle: off}\n"
      "train: {computation_time: {mean: 0.25, stdev: 1e-7}}\n"
      "model: {name: \"two\\nlines \\\\ \\u00e9\", type: 'on',\n"
      "  optimization_groups: [1, 2], parallelism: {zero_stage: 3}}\n"
      "output: {log_file: '1e3'}\nprofiling: {iostat_devices: [sda, 'no']}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  const stoker::testing::TempDir dir;
  const std::string path = dir.str() + "/config.yaml";
  testing::WriteText(path, ToYaml(loaded.value()));
  const std::string out = RunPython(
      "import sys, yaml\n"
      "w = yaml.safe_load(open(sys.argv[1], encoding='utf-8'))['workload']\n"
      "print(repr(w['framework']), ascii(w['dataset']['data_folder']),\n"
      "  repr(w['dataset']['file_prefix']),\n"
      "  repr(w['dataset']['record_length_bytes']),\n"
      "  repr(w['dataset']['num_files_train']))\n"
      "print(repr(w['reader']['preprocess_time']),\n"
      "  repr(w['reader']['file_shuffle']), repr(w['reader']['pin_memory']))\n"
      "print(w['train']['computation_time'])\n"
      "print(ascii(w['model']['name']), repr(w['model']['type']),\n"
      "  w['model']['optimization_groups'],\n"
      "  w['model']['parallelism']['zero_stage'])\n"
      "print(repr(w['output']['log_file']), repr(w['output']['folder']),\n"
      "  w['output']['metric'], w['profiling']['iostat_devices'],\n"
      "  w['evaluation']['eval_time'], w['metric']['au'])\n",
      path);
  EXPECT_EQ(out,
            "'pytorch' \"a'b: #1\" '010' 114660.07 8\n"
            "1e-05 'off' True\n"
            "{'type': 'normal', 'mean': 0.25, 'stdev': 1e-07}\n"
            "'two\\nlines \\\\ \\xe9' 'on' [1, 2] 3\n"
            "'1e3' None {'exclude_start_steps': 1, 'exclude_end_steps': 0} "
            "['sda', 'no'] {} 0.9\n");
}

// OmegaConf differs from PyYAML in exponents without a point or a sign only,
// so none of those is here.
TEST(PyYaml, TypesScalarsAsWeDo) {
  const std::vector<std::string> scalars{
      "off",      "On",     "oN",        "y",     "n",
      "yes",      "NO",     "true",      "~",     "null",
      "Null",     "1",      "-1",        "+1",    "0",
      "00",       "08",     "010",       "0_7",   "1_000",
      "0x1F",     "-0x1f",  "0b11",      "0b2",   "0o7",
      "12:30:45", "1:60",   "190:20:30", "-1:30", "01:30",
      "1:30.5",   "1.0",    "-1.5",      "7.",    ".5",
      "+.5",      "1.5e+3", "1_0.5",     ".inf",  "-.Inf",
      "+.INF",    ".nan",   "inf",       "nan",   "1.2.3",
      "1e",       "abc",    "a b",       "1__0",  "9223372036854775807"};
  std::string text;
  std::string ours;
  for (const std::string& scalar : scalars) {
    text += "- " + scalar + "\n";
    const Node node = YamlScalar(scalar);
    ours += scalar + " " + std::string(KindName(node.kind));
    if (node.kind == Node::Kind::kInt) {
      ours += " " + std::to_string(node.integer);
    }
    if (node.kind == Node::Kind::kFloat) {
      std::array<char, 64> buffer{};
      std::snprintf(buffer.data(), buffer.size(), " %.6f", node.real);
      ours += buffer.data();
    }
    ours += "\n";
  }
  const stoker::testing::TempDir dir;
  testing::WriteText(dir.str() + "/list.yaml", text);
  const std::string theirs = RunPython(
      "import sys, yaml\n"
      "text = open(sys.argv[1]).read()\n"
      "names = {'NoneType': 'null', 'bool': 'boolean', 'int': 'integer',\n"
      "         'float': 'float', 'str': 'text'}\n"
      "for line, v in zip(text.splitlines(), yaml.safe_load(text)):\n"
      "  tail = ''\n"
      "  if type(v) is int: tail = ' %d' % v\n"
      "  if type(v) is float: tail = ' %.6f' % v\n"
      "  print(line[2:], names[type(v).__name__] + tail)\n",
      dir.str() + "/list.yaml");
  EXPECT_EQ(ours, theirs);
}

}  // namespace
}  // namespace stoker::config
