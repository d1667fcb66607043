// Writes checkpoint files and lists the tensors of others, for
// torch_archive_interop.py.
//
//   write <format> <path> [<group>:<key>:<type>:<elements> …]
//   list  <path>
//
// `list` prints a line per tensor, fields parted by tabs: group, key, type,
// elements, offset, bytes, CRC-32 (hexadecimal; "-" if the tensor is not all of
// its record). First the layout's name.

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/archive.h"
#include "core/check.h"
#include "core/text.h"
#include "tests/checkpoint/archive_harness.h"

namespace stoker {
namespace {

using Arguments = std::vector<std::string>;

checkpoint::TensorSpec Tensor(const std::string& text) {
  const std::vector<std::string_view> parts = core::Split(text, ':');
  STOKER_CHECK(parts.size() == 4);
  const core::Result<checkpoint::DataType> type =
      checkpoint::ParseDataType(parts[2]);
  const core::Result<std::int64_t> elements = core::ParseInt(parts[3]);
  STOKER_CHECK(type.ok() && elements.ok());
  return {.group = std::string(parts[0]),
          .key = std::string(parts[1]),
          .type = type.value(),
          .elements = static_cast<std::uint64_t>(elements.value())};
}

int RunWrite(const Arguments& arguments) {
  const core::Result<checkpoint::FileFormat> format =
      checkpoint::ParseFileFormat(arguments.at(1));
  STOKER_CHECK(format.ok());
  checkpoint::ShardFile shard;
  for (const std::string& text : std::span(arguments).subspan(3)) {
    shard.tensors.push_back(Tensor(text));
  }
  const testing::File file = testing::Encode(shard, format.value());
  std::ofstream out(arguments.at(2), std::ios::binary);
  out.write(reinterpret_cast<const char*>(file.data()),
            static_cast<std::streamsize>(file.size()));
  return out.good() ? 0 : 1;
}

int RunList(const Arguments& arguments) {
  std::ifstream in(arguments.at(1), std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(in), {}};
  testing::MemorySource source(std::as_bytes(std::span(content)));
  const core::Result<checkpoint::StoredFile> file =
      checkpoint::ReadArchive(source, content.size(), arguments.at(1));
  if (!file.ok()) {
    fmt::print(stderr, "{}\n", file.status().ToString());
    return 1;
  }
  fmt::print("{}\n", checkpoint::NameOf(file.value().format));
  for (const checkpoint::StoredTensor& tensor : file.value().tensors) {
    fmt::print("{}\t{}\t{}\t{}\t{}\t{}\t{}\n", tensor.spec.group,
               tensor.spec.key, checkpoint::NameOf(tensor.spec.type),
               tensor.spec.elements, tensor.offset, tensor.bytes,
               tensor.whole_record ? fmt::format("{:08x}", tensor.crc) : "-");
  }
  return 0;
}

int Run(const Arguments& arguments) {
  const std::string& command = arguments.at(0);
  if (command == "write") {
    return RunWrite(arguments);
  }
  if (command == "list") {
    return RunList(arguments);
  }
  fmt::print(stderr, "unknown command {}\n", command);
  return 2;
}

}  // namespace
}  // namespace stoker

int main(int argc, char** argv) {
  try {
    return stoker::Run(stoker::Arguments(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 2;
  }
}
