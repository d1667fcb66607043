#include <string>
#include <vector>

#include "cli/commands.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  return stoker::cli::RunCommand(argc > 0 ? argv[0] : "stoker", words);
}
