// The artifact as a user meets it: found by CMake, compiled by the system's compilers, run; the same bytes each time;
// nothing of the user's replaced.
#include "backends/artifact/Artifact.h"
#include "tests/runtime/Toy.h"
#include <cstdio>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

using testing::HasSubstr;
namespace fs = std::filesystem;

struct Artifact : Toy {
  bigm::artifact::Inputs inputs;
  void SetUp() override {
    Toy::SetUp();
    ASSERT_EQ(bigm_init(context, nullptr, 1), BIGM_OK);
    ASSERT_EQ(bigm_model_save(model, path("w").c_str(), 0), BIGM_OK);
    inputs.stem = "toy";
    inputs.manifest.assign(toy_bigm_manifest, toy_bigm_manifest_size);
    inputs.objects = {{"module.o", contents(BIGM_TOY_OBJECT)}};
    inputs.weightsFile = path("w");
    inputs.runtimes = {BIGM_RUNTIME};
  }
  /// The output of a command, with its errors; fails the test when the command fails.
  std::string run(const std::string &command) {
    std::string log = path("log");
    int code = std::system(fmt::format("cd '{}' && ({}) > '{}' 2>&1", folder.string(), command, log).c_str());
    EXPECT_EQ(code, 0) << command << "\n" << contents(log);
    return contents(log);
  }
  std::map<std::string, std::string> bytesOf(const std::string &name) {
    std::map<std::string, std::string> files;
    for (const auto &entry : fs::recursive_directory_iterator(folder / name))
      if (entry.is_regular_file())
        files[fs::relative(entry.path(), folder / name).string()] = contents(entry.path().string());
    return files;
  }
  std::string write(const std::string &name) {
    std::string error;
    bool done = bigm::artifact::write(inputs, path(name.c_str()), error);
    EXPECT_EQ(done, error.empty());
    return error;
  }
};

TEST_F(Artifact, BuildsAndRunsApplications) {
#if defined(__has_feature) && __has_feature(address_sanitizer)
  GTEST_SKIP() << "the runtime carries a sanitizer that a plain program lacks";
#endif
  ASSERT_EQ(write("out"), "");
  run(fmt::format("cmake -S '{}' -B app -DCMAKE_PREFIX_PATH='{}/out' -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ && cmake --build app",
                  BIGM_TEST_APP, folder.string()));
  const char *expected = "6 18 18 9 4\n`x` is f32[N, 3], so it takes a multiple of 3 numbers, and here it has 2\n";
  EXPECT_EQ(run("app/app"), expected);
  EXPECT_EQ(run("app/app-static"), expected);
  EXPECT_EQ(run("app/app-c"), "18 9 18\ncannot read none.safetensors: no such file or directory\n");
  std::string needed = run("ldd out/lib/libtoy.so");
  for (const char *foreign : {"LLVM", "MLIR", "antlr", "Halide", "fmt", "sodium"})
    EXPECT_THAT(needed, testing::Not(HasSubstr(foreign)));
  EXPECT_LE(fs::file_size(folder / "out/lib/libtoy.so"), 3u << 20);
  // What leaves the library: its three symbols and the C ABI.
  for (std::istringstream lines(run("nm -D --defined-only out/lib/libtoy.so")); !lines.eof();) {
    std::string address, kind, name;
    if (lines >> address >> kind >> name)
      EXPECT_TRUE(name.rfind("bigm_", 0) == 0 || name.rfind("toy_bigm_", 0) == 0) << name;
  }
}
TEST_F(Artifact, TwoBuildsGiveTheSameBytes) {
  ASSERT_EQ(write("one"), "");
  ASSERT_EQ(write("deep/two"), "");
  auto one = bytesOf("one"), two = bytesOf("deep/two");
  EXPECT_EQ(one.size(), 15u);
  for (const auto &[name, bytes] : one)
    EXPECT_EQ(bytes == two[name], true) << name;
}
TEST_F(Artifact, ReplacesAnEarlierOne) {
  ASSERT_EQ(write("out"), "");
  ASSERT_EQ(write("out"), "");
  EXPECT_EQ(files(), 2u) << "the weights and the artifact, nothing temporary";
}
TEST_F(Artifact, fail_KeepsAFolderOfTheUser) {
  fs::create_directories(folder / "site/lib");
  ::write(path("site/manifest.json"), "{}");
  ::write(path("site/index.html"), "mine");
  EXPECT_THAT(write("site"), HasSubstr("holds other files"));
  EXPECT_EQ(contents(path("site/index.html")), "mine");
}
TEST_F(Artifact, fail_LeavesTheEarlierOneWhenTheNewFails) {
  ASSERT_EQ(write("out"), "");
  auto before = bytesOf("out");
  inputs.weightsFile = path("none");
  EXPECT_THAT(write("out"), HasSubstr("none"));
  inputs.weightsFile = path("w");
  inputs.objects[0].bytes = "no object";
  EXPECT_NE(write("out"), "");
  EXPECT_EQ(bytesOf("out"), before);
  EXPECT_EQ(files(), 2u);
}
TEST_F(Artifact, fail_AFileInTheWay) {
  ::write(path("out"), "mine");
  EXPECT_THAT(write("out"), HasSubstr("not a folder"));
  EXPECT_THAT(write("out/below"), HasSubstr("cannot write"));
}
TEST_F(Artifact, NamesThatAreWordsOfCAreChanged) {
  auto json = nlohmann::json::parse(inputs.manifest);
  json["functions"][0]["args"][0]["name"] = "class";
  json["functions"][0]["args"][2]["name"] = "class";
  json["functions"][0]["args"][3]["name"] = "N";
  std::string header = bigm::artifact::cHeader("toy", json.dump());
  EXPECT_THAT(header, HasSubstr("int64_t N, const float *class_, float *class__out, float *N_out)"));
}
