#include "Files.h"

using namespace bigm::data;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
const SourceSpec kFolder{"folder", {"root"}, {}};
const Field kPicture = tensor("picture", Elem::U8, {1, 2, 2});
} // namespace

using Folder = InFolder;

TEST_F(Folder, classesAreSubfoldersInOrder) {
  writePicture("root/cat/1.png", 1, 2, 2, 1);
  writePicture("root/ant/2.PNG", 1, 2, 2, 2);
  writePicture("root/ant/0.png", 1, 2, 2, 0);
  write("root/ant/notes.txt", "passed over");
  Table t = open(kFolder, {kPicture, label("kind", 2)});
  EXPECT_THAT(values<int32_t>(all(t), "kind"), ElementsAre(0, 0, 1));
  EXPECT_THAT(values<uint8_t>(all(t), "picture"), ElementsAre(0, 0, 0, 0, 2, 2, 2, 2, 1, 1, 1, 1));
  EXPECT_THAT(values<int32_t>(all(open(kFolder, {kPicture, label("kind", 2, {"cat", "ant"})})), "kind"), ElementsAre(0, 1, 1));
}

TEST_F(Folder, fail_everyWayToBeWrong) {
  std::vector<Field> fields{kPicture, label("kind", 2)};
  EXPECT_THAT(error(kFolder, fields), HasSubstr("/root: there is no such folder"));
  write("root/file", "x");
  EXPECT_THAT(error(kFolder, fields), HasSubstr("has 0 sub-folders, and `kind` is label[2]"));
  writePicture("root/cat/1.png", 1, 2, 2);
  std::filesystem::create_directory(path("root/ant"));
  EXPECT_THAT(error(kFolder, fields), HasSubstr("/root/ant: holds no PNG or JPEG file"));
  writePicture("root/ant/1.png", 1, 3, 2);
  EXPECT_THAT(error(kFolder, fields), HasSubstr("1.png: the picture is 2 wide and 3 high"));
  EXPECT_THAT(error(kFolder, {kPicture, label("kind", 3)}), HasSubstr("has 2 sub-folders, and `kind` is label[3]"));
  EXPECT_THAT(error(kFolder, {kPicture, label("kind", 2, {"cat", "dog"})}), HasSubstr("/root/ant: is no class of `kind`"));
  EXPECT_THAT(error(kFolder, {kPicture, label("kind", 3, {"cat", "dog", "ant"})}), HasSubstr("no sub-folder for the class `dog`"));
  EXPECT_THAT(error(kFolder, {kPicture, tensor("x", Elem::F32)}), HasSubstr("`x` (f32) is neither"));
  EXPECT_THAT(error({"folder", {"root/file"}, {}}, fields), HasSubstr("is no folder"));
}
