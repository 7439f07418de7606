// A folder of this process for what is read from files; in memory where the system has such a place; gone at the end.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>

namespace bigm::fuzz {
class ScratchFolder {
public:
  ScratchFolder() {
    std::string root = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path().string();
    path = root + "/bigm-fuzz-XXXXXX";
    if (!mkdtemp(path.data()))
      std::abort();
  }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  /// `name` may stand in folders, which are made.
  void write(const std::string &name, std::string_view bytes) const {
    std::filesystem::path file = std::filesystem::path(path) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  }
  std::string path;
};
} // namespace bigm::fuzz
