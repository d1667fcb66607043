#include "checkpoint/internal/torch_types.h"

#include <algorithm>
#include <array>

namespace stoker::checkpoint {
namespace {

struct ClassRow {
  DataType type;
  std::string_view name;
};
constexpr std::array<ClassRow, 6> kClasses{
    {{DataType::kInt8, "CharStorage"},
     {DataType::kUint8, "ByteStorage"},
     {DataType::kFp16, "HalfStorage"},
     {DataType::kBf16, "BFloat16Storage"},
     {DataType::kFp32, "FloatStorage"},
     {DataType::kFp64, "DoubleStorage"}}};

}  // namespace

std::string_view StorageClassOf(DataType type) {
  return std::ranges::find(kClasses, type, &ClassRow::type)->name;
}

std::optional<DataType> TypeOfStorageClass(std::string_view name) {
  const auto* const row = std::ranges::find(kClasses, name, &ClassRow::name);
  if (row == kClasses.end()) {
    return std::nullopt;
  }
  return row->type;
}

}  // namespace stoker::checkpoint
