#include "Files.h"

using namespace bigm::data;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
const SourceSpec kCsv{"csv", {"d.csv"}, {}};
Field text(const std::string &name) { return {.name = name, .kind = "text", .elem = Elem::U8, .shape = {}, .classes = 0, .labels = {}}; }
const Field kPicture = tensor("picture", Elem::U8, {3, 2, 2});
} // namespace

using Csv = InFolder;

TEST_F(Csv, numbersNamesQuotesAndLineEnds) {
  write("d.csv", "\xef\xbb\xbf" "kind,size,\"a, b\"\r\ncat,1.5,3\r\n\r\n\"dog\",-2e3, 4 \r\n");
  Table t = open({"csv", {"d.csv"}, {{"count", "a, b"}}},
                 {label("kind", 2, {"dog", "cat"}), tensor("size", Elem::F32), tensor("count", Elem::U8)});
  EXPECT_THAT(values<int32_t>(all(t), "kind"), ElementsAre(1, 0));
  EXPECT_THAT(values<float>(all(t), "size"), ElementsAre(1.5f, -2000));
  EXPECT_THAT(values<uint8_t>(all(t), "count"), ElementsAre(3, 4));
}

TEST_F(Csv, severalColumnsMakeAVector) {
  write("d.csv", "x_0,x_1,y\n1,2,0\n3,4,1\n");
  Table t = open(kCsv, {tensor("x", Elem::F32, {2}), label("y", 2)});
  EXPECT_THAT(values<float>(all(t), "x"), ElementsAre(1, 2, 3, 4));
}

TEST_F(Csv, separatorAndGzip) {
  write("d.csv", gzip("a;b\n1;2\n"));
  Table t = open({"csv", {"d.csv"}, {{"separator", ";"}}}, {tensor("b", Elem::I64)});
  EXPECT_THAT(values<int64_t>(all(t), "b"), ElementsAre(2));
}

TEST_F(Csv, columnsWithoutAHeaderAndComments) {
  write("d.csv", "# a table\nbass  B AE1 S # a fish\r\n\n#\nbass-2 B EY1 S\n");
  SourceSpec spec{"tsv", {"d.csv"}, {{"separator", " "}, {"columns", "word, phones"}, {"comment", "#"}}};
  Batch b = all(open(spec, {text("word"), text("phones")}));
  EXPECT_THAT(b.texts.at("word"), ElementsAre("bass", "bass-2"));
  EXPECT_THAT(b.texts.at("phones"), ElementsAre("B AE1 S", "B EY1 S"));
  write("d.csv", "a,b # names\n1,2# no comment\n");
  spec = {"csv", {"d.csv"}, {{"comment", "#"}}};
  EXPECT_THAT(all(open(spec, {text("b")})).texts.at("b"), ElementsAre("2# no comment"));
  write("d.csv", "1,2,# last\n3,4\n");
  spec = {"csv", {"d.csv"}, {{"columns", "a,b,c"}, {"comment", "#"}}};
  EXPECT_THAT(error(spec, {tensor("a", Elem::F32)}), HasSubstr("d.csv:1: the row has 2 cells, and `columns` names 3"));
  spec.options["columns"] = "a,,c";
  EXPECT_THAT(error(spec, {tensor("a", Elem::F32)}), HasSubstr("has an empty name"));
  spec.options["separator"] = ", ";
  EXPECT_THAT(error(spec, {tensor("a", Elem::F32)}), HasSubstr("takes one character as `separator`, and here is `, `"));
}

TEST_F(Csv, whatStandsWhereThereIsNothing) {
  write("d.csv", "a,k,x_0,x_1,t\n1,on,1,NA,a\nnan,,,4,\n");
  auto missing = [](Field f, const char *value) {
    f.missing = value;
    return f;
  };
  Table t = open(kCsv, {missing(tensor("a", Elem::I32), "-1"), missing(label("k", 2, {"off", "on"}), "off"),
                        missing(tensor("x", Elem::F32, {2}), "0.5"), missing(text("t"), "none")});
  EXPECT_THAT(values<int32_t>(all(t), "a"), ElementsAre(1, -1));
  EXPECT_THAT(values<int32_t>(all(t), "k"), ElementsAre(1, 0));
  EXPECT_THAT(values<float>(all(t), "x"), ElementsAre(1, 0.5f, 0.5f, 4));
  EXPECT_THAT(all(t).texts.at("t"), ElementsAre("a", "none"));
  write("d.csv", "a\n1e39\n");
  EXPECT_THAT(error(kCsv, {tensor("a", Elem::F32)}), HasSubstr("d.csv:2: column `a` holds `1e39`, which is beyond the largest number of the field `a`"));
  write("d.csv", std::string("a\n1\0\n", 6));
  EXPECT_THAT(error(kCsv, {tensor("a", Elem::F32)}), HasSubstr("holds `1\\x00`; expected a number"));
}

TEST_F(Csv, picturesRelativeToTheFile) {
  write("sub/d.csv", "file,c\np/a.png,0\np/b.png,1\n");
  writePicture("sub/p/a.png", 3, 2, 2, 10);
  writePicture("sub/p/b.png", 1, 2, 2, 20); // grey becomes colour
  for (unsigned threads : {1u, 4u}) {
    Table t = open({"csv", {"sub/d.csv"}, {}}, {kPicture, label("c", 2)}, threads);
    auto pixels = values<uint8_t>(all(t), "picture");
    EXPECT_EQ(pixels, std::vector<uint8_t>([] { std::vector<uint8_t> v(12, 10); v.resize(24, 20); return v; }()));
  }
}

TEST_F(Csv, fail_picturesNameRowAndFile) {
  write("d.csv", "file\na.png\nb.png\n");
  writePicture("a.png", 3, 2, 2);
  EXPECT_THAT(error(kCsv, {kPicture}, 3), HasSubstr("d.csv:3: " + dir + "/b.png: there is no such file"));
  writePicture("b.png", 3, 2, 5);
  EXPECT_THAT(error(kCsv, {kPicture}), HasSubstr("b.png: the picture is 5 wide and 2 high, and the field `picture` is u8[3, 2, 2]"));
  write("b.png", "no picture");
  EXPECT_THAT(error(kCsv, {kPicture}), HasSubstr("d.csv:3: " + dir + "/b.png: expected a PNG or JPEG"));
  write("d.csv", "file,x\n,1\n");
  EXPECT_THAT(error(kCsv, {kPicture}), HasSubstr("d.csv:2: column `file` is empty"));
}

TEST_F(Csv, fail_badCells) {
  std::vector<Field> fields{tensor("a", Elem::F32), label("c", 3), label("n", 2, {"on", "off"}), tensor("u", Elem::U8)};
  struct Case {
    std::string row, message;
  };
  for (const Case &c : {Case{"1,2,on", "d.csv:3: the row has 3 cells, and the header names 4"},
                        Case{"x,2,on,1", "d.csv:3: column `a` holds `x`; expected a number"},
                        Case{",2,on,1", "column `a` holds ``; expected a number"},
                        Case{"nan,2,on,1", "expected a number"},
                        Case{"1,3,on,1", "column `c` holds `3`; expected a whole number from 0 to 2"},
                        Case{"1,-1,on,1", "expected a whole number from 0 to 2"},
                        Case{"1,1.5,on,1", "expected a whole number from 0 to 2"},
                        Case{"1,1,On,1", "column `n` holds `On`, which is no class of `n`: expected one of on, off"},
                        Case{"1,1,on,256", "expected a whole number from 0 to 255"},
                        Case{"\"1,1,on,1", "d.csv:3: a quote is opened here and never closed"},
                        Case{"\"1\"1,1,on,1", "text follows the closing quote"}}) {
    write("d.csv", "a,c,n,u\n1,1,on,1\n" + c.row + "\n");
    EXPECT_THAT(error(kCsv, fields), HasSubstr(c.message)) << c.row;
  }
}

TEST_F(Csv, fail_headerAndEmptiness) {
  write("d.csv", "");
  EXPECT_THAT(error(kCsv, {tensor("a", Elem::F32)}), HasSubstr("is empty; expected a header"));
  write("d.csv", "a,b\n");
  EXPECT_THAT(error(kCsv, {tensor("a", Elem::F32)}), HasSubstr("has a header and no row"));
  EXPECT_THAT(error(kCsv, {tensor("c", Elem::F32)}), HasSubstr("has no column `c` for the field `c`; its columns are `a`, `b`"));
  write("d.csv", "a,b,a\n1,2,3\n");
  EXPECT_THAT(error(kCsv, {tensor("a", Elem::F32)}), HasSubstr("d.csv: more than one column is called `a`, and the field `a` reads one"));
  EXPECT_THAT(error(kCsv, {tensor("a", Elem::F32, {2, 2})}), HasSubstr("a CSV holds numbers"));
  Field text;
  text.name = "t";
  text.kind = "text";
  EXPECT_THAT(error(kCsv, {text}), HasSubstr("has no column `t` for the field `t`"));
}
