// A folder for one test, and a stored tensor as numbers.
#pragma once
#include "runtime/weights/Stored.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

inline std::vector<float> floats(const bigm::weights::Stored &stored, const std::string &name) {
  for (auto &t : stored.tensors())
    if (t.name == name) {
      std::vector<float> out(size_t(t.count()));
      read(t, bigm::data::Elem::F32, out.data());
      return out;
    }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

struct Folder : testing::Test {
  std::string dir;
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "bigm-weights-XXXXXX").string();
    dir = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir); }
  std::string path(const std::string &name) const { return dir + "/" + name; }
  void write(const std::string &name, const std::string &bytes) { std::ofstream(path(name), std::ios::binary) << bytes; }
};
