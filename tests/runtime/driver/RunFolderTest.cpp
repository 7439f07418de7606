// Saving all files together: what a crash at any place leaves behind.
#include "Linear.h"
#include "runtime/data/Error.h"
#include "runtime/driver/Program.h"
#include "runtime/driver/RunFolder.h"

using namespace bigm::driver;
namespace fs = std::filesystem;

struct Folder : LinearProgram {
  void SetUp() override {
    LinearProgram::SetUp();
    fs::create_directory(path("run"));
    for (auto name : {"weights.safetensors", "optimizer.safetensors", "state.json"})
      write(std::string("run/") + name, "old");
  }
  void writeNew(std::initializer_list<const char *> names) {
    for (auto name : names)
      write(std::string("run/") + name + ".new", "new");
  }
};

TEST_F(Folder, withoutTheMarkerTheOldFilesAreTheRun) {
  writeNew({"weights.safetensors", "optimizer.safetensors"});
  RunFolder folder(path("run"), true);
  EXPECT_EQ(contents("run/weights.safetensors"), "old");
}

TEST_F(Folder, withTheMarkerTheRenamingIsFinished) {
  writeNew({"weights.safetensors", "state.json"});
  write("run/optimizer.safetensors", "new"); // this one had been renamed already
  write("run/commit", "");
  RunFolder folder(path("run"), true);
  for (auto name : {"weights.safetensors", "optimizer.safetensors", "state.json"})
    EXPECT_EQ(contents(std::string("run/") + name), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(path("run")), {}), 3);
}
