#pragma once

// The commands of the program.

#include <span>
#include <string>
#include <vector>

namespace stoker::cli {

// Runs the command of `words` (without the program's name) and returns the
// exit status. `program` is the path the program was started by.
int RunCommand(const std::string& program, std::span<const std::string> words);

// Of each family; `words` begin with the verb.
int TrainingCommand(const std::string& program,
                    std::span<const std::string> words);
int S3Command(const std::string& program, std::span<const std::string> words);
int CacheCommand(const std::string& program,
                 std::span<const std::string> words);
int CheckpointingCommand(const std::string& program,
                         std::span<const std::string> words);
int ListCommand(std::span<const std::string> words);
int HistoryCommand(const std::string& program,
                   std::span<const std::string> words);

}  // namespace stoker::cli
