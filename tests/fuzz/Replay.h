// Every file of a folder through a fuzz target, in the ordinary tests: what once was found stays found.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace bigm::fuzz {
inline void replay(const std::string &folder) {
  int count = 0;
  for (auto &file : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(file.path(), std::ios::binary);
    std::stringstream all;
    all << in.rdbuf();
    std::string bytes = all.str();
    SCOPED_TRACE(file.path().string());
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
    ++count;
  }
  EXPECT_GT(count, 3);
}
} // namespace bigm::fuzz
