// Manifests of TensorFlow.js and the files beside them.
#include "InFolder.h"
#include "runtime/data/Error.h"
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace bigm;
using namespace bigm::weights;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

struct Tfjs : Folder {
  template <class T> static std::string bytesOf(const std::vector<T> &values) {
    return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)};
  }
  Stored stored(const std::string &manifest) {
    write("m.json", manifest);
    return Stored(dir + "/m.json");
  }
  std::string error(const std::string &manifest) {
    try {
      stored(manifest);
      return "";
    } catch (const data::Error &e) {
      return e.what();
    }
  }
};

} // namespace

TEST_F(Tfjs, EveryWayOfStoring) {
  write("s", std::string("\1\0\377", 3) + bytesOf<uint16_t>({0, 1, 65535}) + bytesOf<uint16_t>({0x3c00, 0xc000}) + bytesOf<float>({1.5f, -2}));
  Stored all = stored(R"([{"paths": ["s"], "weights": [
    {"name": "bytes", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}},
    {"name": "words", "shape": [1, 3], "dtype": "float32", "quantization": {"dtype": "uint16", "scale": 2, "min": 3}},
    {"name": "halves", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}},
    {"name": "plain", "shape": [2, 1], "dtype": "float32"}]}])");
  EXPECT_THAT(floats(all, "bytes"), ElementsAre(-0.5f, -1, 126.5f));
  EXPECT_THAT(floats(all, "words"), ElementsAre(3, 5, 131073));
  EXPECT_THAT(floats(all, "halves"), ElementsAre(1, -2));
  EXPECT_THAT(floats(all, "plain"), ElementsAre(1.5f, -2)) << "not on a boundary of four bytes";
  ASSERT_EQ(all.tensors().size(), 4u);
  EXPECT_THAT(all.tensors()[2].shape, ElementsAre(2, 1));
}

TEST_F(Tfjs, ATensorMayLieInSeveralFiles) {
  std::string bytes = bytesOf<float>({1, 2, 3});
  write("1", bytes.substr(0, 5));
  write("2", bytes.substr(5));
  write("other", bytesOf<float>({4}));
  Stored all = stored(R"({"modelTopology": {}, "weightsManifest": [
    {"paths": ["1", "2"], "weights": [{"name": "a", "shape": [3], "dtype": "float32"}]},
    {"paths": ["other"], "weights": [{"name": "b", "shape": [], "dtype": "float32"}]}]})");
  EXPECT_THAT(floats(all, "a"), ElementsAre(1, 2, 3));
  EXPECT_THAT(floats(all, "b"), ElementsAre(4));
}

TEST_F(Tfjs, fail_FilesThatAreNotThere) {
  auto with = [](const std::string &path) { return R"([{"paths": [")" + path + R"("], "weights": [{"name": "a", "shape": [1], "dtype": "float32"}]}])"; };
  EXPECT_THAT(error(with("none")), HasSubstr("none: no such file"));
  for (std::string path : {"../s", "/etc/hostname", "a/../s", "a/"})
    EXPECT_THAT(error(with(path)), HasSubstr("is not in the manifest's folder")) << path;
  for (std::string path : {"..", ".", ""})
    EXPECT_THAT(error(with(path)), HasSubstr("is a directory")) << path;
  write("s", "123");
  EXPECT_THAT(error(with("s")), HasSubstr("its tensors have 4 bytes, and its files 3"));
  write("s", "12345");
  EXPECT_THAT(error(with("s")), HasSubstr("its tensors have 4 bytes, and its files 5"));
}

TEST_F(Tfjs, fail_TensorsThatCannotBe) {
  write("s", "1234");
  auto with = [](const std::string &rest) { return R"([{"paths": ["s"], "weights": [{"name": "a", )" + rest + "}]}]"; };
  for (std::string shape : {"[-1]", "[4611686018427387904, 4]", "[1099511627776, 2]", "[2147483648, 2147483648, 4]"})
    EXPECT_THAT(error(with(R"("dtype": "float32", "shape": )" + shape)), HasSubstr("`a` has the impossible shape")) << shape;
  EXPECT_THAT(error(with(R"("dtype": "string", "shape": [1])")), HasSubstr("stored as string, which is none of"));
  EXPECT_THAT(error(with(R"("dtype": "float32", "shape": [1], "quantization": {"dtype": "int4"})")), HasSubstr("stored as int4"));
  EXPECT_THAT(error(with(R"("dtype": "float32", "shape": [4], "quantization": {"dtype": "uint8", "min": 0})")), HasSubstr("needs `scale`"));
  EXPECT_THAT(error(with(R"("dtype": "float32", "shape": "4")")), HasSubstr("needs `shape`"));
  EXPECT_THAT(error(R"([{"paths": ["s"], "weights": [{"name": "a", "shape": [2], "dtype": "uint8"}, {"name": "a", "shape": [2], "dtype": "uint8"}]}])"),
              HasSubstr("`a` stands there twice"));
}

TEST_F(Tfjs, fail_WhatIsNoManifest) {
  for (std::string text : {"", "{"})
    EXPECT_THAT(error(text), HasSubstr("is no JSON")) << text;
  for (std::string text : {"{}", "[]", "3", R"({"weightsManifest": 3})"})
    EXPECT_THAT(error(text), HasSubstr("is no manifest of weights")) << text;
  for (std::string text : {"[3]", "[{}]", R"([{"weights": [3], "paths": []}])", R"([{"weights": []}])"})
    EXPECT_THAT(error(text), HasSubstr("a manifest of weights needs")) << text;
  // Deep enough that walking through it by recursion would leave the stack.
  std::string deep = std::string(300000, '[') + std::string(300000, ']');
  EXPECT_NE(error(deep), "");
  EXPECT_NE(error(R"({"weightsManifest": )" + deep + "}"), "");
  EXPECT_NE(error(R"([{"paths": [], "weights": [{"name": "a", "shape": )" + deep + "}]}]"), "");
}
