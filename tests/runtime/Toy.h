// The hand-written module of toy.c, and a folder for one test.
#pragma once
#include "bigm/bigm.h"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

extern "C" {
extern const char toy_bigm_manifest[];
extern const uint64_t toy_bigm_manifest_size;
extern const bigm_entry toy_bigm_entries[];
}

struct Toy : testing::Test {
  bigm_module *module = nullptr;
  bigm_model *model = nullptr;
  bigm_context *context = nullptr;
  std::filesystem::path folder;

  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "bigm-test-XXXXXX").string();
    folder = mkdtemp(pattern.data());
    bigm_module_source source = BIGM_INIT(bigm_module_source);
    source.manifest = toy_bigm_manifest;
    source.manifest_size = toy_bigm_manifest_size;
    source.entries = toy_bigm_entries;
    ASSERT_EQ(bigm_module_create(&source, &module), BIGM_OK) << bigm_last_error();
    ASSERT_EQ(bigm_model_create(module, &model), BIGM_OK) << bigm_last_error();
    ASSERT_EQ(bigm_context_create(model, nullptr, &context), BIGM_OK) << bigm_last_error();
  }
  void TearDown() override {
    bigm_context_destroy(context);
    bigm_model_destroy(model);
    bigm_module_destroy(module);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    std::filesystem::remove_all(folder);
  }
  int32_t function(const char *name) const { return bigm_module_find_function(module, name); }
  std::string path(const char *name) const { return (folder / name).string(); }
  size_t files() const { return size_t(std::distance(std::filesystem::directory_iterator(folder), {})); }
};

inline std::string contents(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write(const std::string &path, const std::string &bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// A safetensors file by hand: the header's length, the header, the data.
inline std::string safetensors(const std::string &header, const std::string &data) {
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i)
    file[size_t(i)] = char(header.size() >> (8 * i));
  return file + header + data;
}
