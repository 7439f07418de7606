// Pictures with lists of things in them: VOC, COCO, JSON; folders and archives; what a batch makes of lists.
#include "Files.h"
#include "runtime/data/Archive.h"

using namespace bigm::data;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {
Field photo() {
  Field f = tensor("photo", Elem::U8);
  f.kind = "photo";
  return f;
}
Field cells(std::vector<Field> more = {}) {
  Field list = tensor("cells", Elem::U8), box = tensor("where", Elem::F32, {4});
  box.meaning = "box";
  list.kind = "list";
  list.parts = {box, label("kind", 2, {"cat", "dog"})};
  list.parts.insert(list.parts.end(), more.begin(), more.end());
  return list;
}
std::string object(const std::string &name, const std::string &box, const std::string &more = "") {
  const char *names[] = {"xmin", "ymin", "xmax", "ymax"};
  std::string text = "<object><name>" + name + "</name>" + more + "<bndbox>", side;
  std::istringstream sides(box);
  for (auto *n : names) {
    sides >> side;
    text += "<" + std::string(n) + ">" + side + "</" + n + ">";
  }
  return text + "</bndbox></object>";
}
SourceSpec source(std::string name, std::string file, std::map<std::string, std::variant<double, std::string>> options = {}) {
  return {std::move(name), {std::move(file)}, std::move(options)};
}
} // namespace

struct BoxSources : InFolder {
  void SetUp() override {
    InFolder::SetUp();
    writePicture("set/JPEGImages/a.png", 3, 6, 8);
    writePicture("set/JPEGImages/b.png", 1, 5, 4);
    write("set/Annotations/a.xml", "<annotation><filename>a.png</filename>" + object("dog", "1 2 4 6", "<difficult>1</difficult>") +
                                       object("cat", "3 3 3 5", "<difficult>0</difficult>") + object("cat", "2 1 8 6", "<difficult>0</difficult>") + "</annotation>");
    write("set/Annotations/b.xml", "<annotation></annotation>");
    write("set/ImageSets/Main/both.txt", "a\nb\n");
    write("set/ImageSets/Main/one.txt", "b 1\n\n");
    write("set/ImageSets/Main/lost.txt", "c\n");
  }
};

TEST_F(BoxSources, VocCountsPixelsFromOneAndLeavesOutWhatHasNoArea) {
  Table t = open(source("voc", "set", {{"set", "both"}}), {photo(), cells({tensor("difficult", Elem::I32)})});
  ASSERT_EQ(t.count, 2);
  Batch b = all(t);
  EXPECT_EQ(b.pictures.at("photo")[0]->width, 8);
  EXPECT_EQ(b.pictures.at("photo")[1]->channels, 1);
  EXPECT_THAT(values<int32_t>(b, "cells.length"), ElementsAre(2, 0));
  EXPECT_EQ(b.fields.at("cells.where").shape, (std::vector<int64_t>{2, 2, 4}));
  EXPECT_THAT(values<float>(b, "cells.where"), ElementsAre(0, 1, 4, 6, 1, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(values<int32_t>(b, "cells.kind"), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(values<int32_t>(b, "cells.difficult"), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(t.notes, ElementsAre(HasSubstr("set: 1 box without area left out")));
}

TEST_F(BoxSources, ABatchWithoutElementsStillHasRoomForOne) {
  Table t = open(source("voc", "set", {{"set", "one"}}), {cells()});
  ASSERT_EQ(t.count, 1);
  Batch b = all(t);
  EXPECT_EQ(b.fields.at("cells.where").shape, (std::vector<int64_t>{1, 1, 4}));
  EXPECT_THAT(values<float>(b, "cells.where"), ElementsAre(0, 0, 0, 0));
}

TEST_F(BoxSources, AnArchiveIsAFolder) {
  ASSERT_EQ(std::system(("tar czf " + path("set.tar.gz") + " -C " + dir + " set").c_str()), 0);
  Table t = open(source("voc", "set.tar.gz", {{"set", "both"}}), {photo(), cells()});
  Batch b = all(t);
  EXPECT_EQ(b.pictures.at("photo")[0]->height, 6);
  EXPECT_THAT(values<int32_t>(b, "cells.length"), ElementsAre(2, 0));
  std::ifstream whole(path("set.tar.gz"), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(whole), {}};
  write("cut.tar.gz", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(error(source("voc", "cut.tar.gz"), {cells()}), HasSubstr("cut.tar.gz: cannot be read as an archive (tar or zip)"));
  write("text.tar.gz", "no archive at all");
  EXPECT_THAT(error(source("voc", "text.tar.gz"), {cells()}), HasSubstr("text.tar.gz: cannot be read as an archive"));
  EXPECT_THROW(FileTree(path("set.tar.gz"), 100), Error); // more than it may unpack to
}

TEST_F(BoxSources, VocSaysWhatIsWrong) {
  auto with = [&](const std::string &set) { return error(source("voc", "set", {{"set", set}}), {photo(), cells()}); };
  EXPECT_THAT(with("lost"), HasSubstr("ImageSets/Main/lost.txt: names c, and there is no Annotations/c.xml"));
  EXPECT_THAT(with("none"), HasSubstr("has no ImageSets/Main/none.txt; its sets are both, lost, one"));
  EXPECT_THAT(error(source("voc", "nowhere"), {cells()}), HasSubstr("nowhere: there is no such file or folder"));
  EXPECT_THAT(error(source("voc", "set"), {label("kind", 2)}), HasSubstr("is none of them or one too many"));
  write("set/Annotations/b.xml", "<annotation>" + object("cow", "1 1 2 2") + "</annotation>");
  EXPECT_THAT(with("both"), HasSubstr("holds `cow`, which is no class of `kind`: expected one of cat, dog"));
  write("set/Annotations/b.xml", "<annotation>" + object("cat", "1 x 2 2") + "</annotation>");
  EXPECT_THAT(with("both"), HasSubstr("`ymin` of a box is `x`; expected a number"));
  write("set/Annotations/b.xml", "<annotation");
  EXPECT_THAT(with("both"), HasSubstr("b.xml: is no XML"));
  write("set/Annotations/b.xml", "<annotation></annotation>");
  write("set/JPEGImages/a.png", "no picture");
  EXPECT_THAT(with("both"), HasSubstr("a.png: expected a PNG or JPEG picture"));
}

TEST_F(BoxSources, Coco) {
  write("c.json", R"({"images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}],
    "annotations": [{"image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 2.5]}, {"image_id": 7, "category_id": 3, "bbox": [1, 2, 0, 4]}]})");
  Table t = open(source("coco", "c.json", {{"pictures", "set/JPEGImages"}}), {photo(), cells()});
  Batch b = all(t);
  EXPECT_THAT(values<int32_t>(b, "cells.length"), ElementsAre(1, 0));
  EXPECT_THAT(values<float>(b, "cells.where"), ElementsAre(1, 2, 4, 4.5, 0, 0, 0, 0));
  EXPECT_EQ(t.notes.size(), 1u);
  EXPECT_THAT(error(source("coco", "c.json"), {photo(), cells({tensor("size", Elem::I32)})}), HasSubstr("has no `size`"));
  write("c.json", R"({"images": [], "annotations": [], "categories": )" + std::string(300000, '[') + std::string(300000, ']') + "}");
  EXPECT_THAT(error(source("coco", "c.json"), {cells()}), HasSubstr("stand in each other more than 256 deep"));
  write("c.json", "[]");
  EXPECT_THAT(error(source("coco", "c.json"), {cells()}), HasSubstr("is no COCO file"));
}

TEST_F(BoxSources, ListsInJson) {
  write("a.jsonl", R"({"photo": "set/JPEGImages/a.png", "cells": [{"where": [1, 2, 3, 4], "kind": "dog"}]})" "\n" R"({"photo": "set/JPEGImages/b.png", "cells": []})" "\n");
  Batch b = all(open(source("jsonl", "a.jsonl"), {photo(), cells()}));
  EXPECT_THAT(values<float>(b, "cells.where"), ElementsAre(1, 2, 3, 4, 0, 0, 0, 0));
  EXPECT_THAT(values<int32_t>(b, "cells.length"), ElementsAre(1, 0));
  write("a.jsonl", R"({"cells": [{"where": [1, 2, 3], "kind": "dog"}]})");
  EXPECT_THAT(error(source("jsonl", "a.jsonl"), {cells()}), HasSubstr("member `cells`[0].where has 3 numbers"));
  write("a.jsonl", R"({"cells": [{"kind": "dog"}]})");
  EXPECT_THAT(error(source("jsonl", "a.jsonl"), {cells()}), HasSubstr("member `cells`[0] has no member `where`"));
  write("a.jsonl", R"({"cells": 3})");
  EXPECT_THAT(error(source("jsonl", "a.jsonl"), {cells()}), HasSubstr("is the number 3; expected a list for the field `cells` of type list<{ where: box"));
  Field unnamed = cells();
  unnamed.parts[1].labels.clear();
  write("a.jsonl", R"({"cells": [{"where": [1, 2, 3, 4], "kind": "dog"}]})");
  EXPECT_THAT(open(source("jsonl", "a.jsonl"), {unnamed}).fields[0].parts[1].labels, ElementsAre("dog")); // named by the data
  Field named = cells();
  named.parts.push_back({.name = "said", .kind = "text", .elem = Elem::U8, .shape = {}, .classes = 0, .labels = {}});
  write("a.jsonl", R"({"cells": [{"where": [1, 2, 3, 4], "kind": "dog", "said": "a b"}, {"where": [1, 2, 3, 4], "kind": "dog", "said": ""}]})");
  EXPECT_THAT(all(open(source("jsonl", "a.jsonl"), {named})).texts.at("cells.said"), ElementsAre("a b", ""));
}

TEST_F(BoxSources, OtherSourcesHaveNoLists) {
  write("a.csv", "photo,cells\nx,y\n");
  EXPECT_THAT(error(source("csv", "a.csv"), {cells()}), HasSubstr("the field `cells` is a list, which `csv` does not read; it is read by coco, conll, json, jsonl, voc"));
}

TEST_F(BoxSources, PicturesOfAnySize) {
  write("a.csv", "photo\nset/JPEGImages/a.png\nset/JPEGImages/b.png\n");
  Batch b = all(open(source("csv", "a.csv"), {photo()}));
  EXPECT_EQ(b.pictures.at("photo")[1]->height, 5);
  Field fixed = tensor("photo", Elem::U8, {3, 6, 8});
  fixed.kind = "image";
  EXPECT_THAT(error(source("csv", "a.csv"), {fixed}), HasSubstr("a field of the type `image` takes any size"));
}
