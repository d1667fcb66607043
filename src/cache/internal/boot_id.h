#pragma once

// Which boot of this host it is.

#include <fstream>
#include <string>

namespace stoker::cache::internal {

// 36 letters and digits, new at each boot; "" where the kernel does not tell.
inline std::string BootId() {
  std::string id;
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::getline(file, id);
  return id;
}

}  // namespace stoker::cache::internal
