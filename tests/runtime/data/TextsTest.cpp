// Sources of text: a whole file, its windows, lines, JSON and TSV; classes that the data names.
#include "Files.h"
#include "runtime/data/Order.h"

using namespace bigm::data;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
const Field kText{.name = "said", .kind = "text", .elem = Elem::U8, .shape = {}, .classes = 0, .labels = {}};
Field label(int64_t classes) { return {.name = "kind", .kind = "label", .elem = Elem::I32, .shape = {}, .classes = classes, .labels = {}}; }
SourceSpec source(std::string name, std::string file, std::map<std::string, std::variant<double, std::string>> options = {}) { return {std::move(name), {std::move(file)}, std::move(options)}; }

std::vector<std::string> texts(const Table &t, const std::string &field = "said") {
  std::vector<std::string> out;
  for (int64_t r = 0; r < t.count; ++r)
    out.push_back(t.batch(&r, 1).texts.at(field)[0]);
  return out;
}
int32_t classOf(const Table &t, int64_t r) { return t.batch(&r, 1).fields.at("kind").as<int32_t>()[0]; }
} // namespace

using TextSources = InFolder;

TEST_F(TextSources, AWholeFileIsOneRecord) {
  write("a.txt", "one\ntwo\n");
  EXPECT_THAT(texts(open(source("text", "a.txt"), {kText})), ElementsAre("one\ntwo\n"));
  write("empty.txt", "");
  EXPECT_THAT(error(source("text", "empty.txt"), {kText}), HasSubstr("empty.txt: is empty; expected text"));
  EXPECT_THAT(error(source("text", "a.txt"), {label(2)}), HasSubstr("expected one field of type text"));
}

TEST_F(TextSources, WindowsCountCharactersAndNotBytes) {
  write("a.txt", "aéb漢c");
  Table t = open(source("text", "a.txt", {{"window", 3.0}}), {kText});
  EXPECT_THAT(texts(t), ElementsAre("aéb", "éb漢", "b漢c"));
  EXPECT_EQ(t.window, 3);
  EXPECT_EQ(t.stride, 3);
  EXPECT_THAT(error(source("text", "a.txt", {{"window", 6.0}}), {kText}), HasSubstr("has 5 characters, and a window has 6"));
  EXPECT_THAT(error(source("text", "a.txt", {{"stride", 6.0}}), {kText}), HasSubstr("`stride` says how far windows stand apart"));
  EXPECT_THAT(error(source("text", "a.txt", {{"window", 0.5}}), {kText}), HasSubstr("expected a whole number of at least 1"));
}

TEST_F(TextSources, LinesWithoutTextAreLeftOut) {
  write("a.txt", "one\r\n\n  \ntwo");
  EXPECT_THAT(texts(open(source("lines", "a.txt"), {kText})), ElementsAre("one", "two"));
  write("b.txt", "\n \n");
  EXPECT_THAT(error(source("lines", "b.txt"), {kText}), HasSubstr("has no line with text"));
}

// What programs of Windows write first.
TEST_F(TextSources, AMarkOfUtf8IsNoTextAndUtf16IsAnError) {
  write("a.txt", "\xEF\xBB\xBFone\r\ntwo\r\n");
  EXPECT_THAT(texts(open(source("lines", "a.txt"), {kText})), ElementsAre("one", "two"));
  write("b.csv", std::string("\xFF\xFEs\0a\0", 6));
  EXPECT_THAT(error(source("csv", "b.csv"), {kText}), HasSubstr("b.csv: is UTF-16, and text is read as UTF-8"));
}

TEST_F(TextSources, JsonByPaths) {
  write("a.json", R"({"train": [["set an alarm", "alarm"], ["hi", "greet"]], "more": {"val": [["bye", "greet"]]}})");
  Table t = open(source("json", "a.json", {{"at", "train, more.val"}, {"said", 0.0}, {"kind", "1"}}), {kText, label(2)});
  EXPECT_THAT(texts(t), ElementsAre("set an alarm", "hi", "bye"));
  EXPECT_THAT(t.fields[1].labels, ElementsAre("alarm", "greet")); // named by the data, in the order of the words
  EXPECT_EQ(classOf(t, 0), 0);
  EXPECT_EQ(classOf(t, 2), 1);
  write("deep.json", R"([{"x": )" + std::string(300000, '[') + std::string(300000, ']') + "}]");
  EXPECT_THAT(error(source("json", "deep.json"), {tensor("x", Elem::F32, {2})}), HasSubstr("stand in each other more than 256 deep"));
  EXPECT_THAT(error(source("json", "a.json", {{"at", "test"}, {"said", "0"}, {"kind", "1"}}), {kText, label(2)}), HasSubstr("a.json: test: is no list of records; say `at:` one of train"));
  EXPECT_THAT(error(source("json", "a.json", {{"at", "train"}, {"said", "2"}}), {kText}), HasSubstr("a.json: train[0]: has no member `2` for the field `said`"));
  EXPECT_THAT(error(source("json", "a.json", {{"at", "train"}, {"said", "0"}, {"kind", "1"}}), {kText, label(1)}), HasSubstr("has 2 different classes"));
}

TEST_F(TextSources, JsonLinesWithNumbersAndLists) {
  write("a.jsonl", "{\"said\": \"x\", \"m\": {\"v\": [[1, 2.5], [3, 4]]}}\n\n{\"said\": \"y\", \"m\": {\"v\": [[5, 6], [7, 8]]}}\n");
  Field values{.name = "v", .kind = "tensor", .elem = Elem::F32, .shape = {2, 2}, .classes = 0, .labels = {}};
  Table t = open(source("jsonl", "a.jsonl", {{"v", "m.v"}}), {kText, values});
  int64_t second = 1;
  Batch b = t.batch(&second, 1);
  EXPECT_EQ(b.fields.at("v").as<float>()[3], 8);
  write("b.jsonl", "{\"said\": 3}\n");
  EXPECT_THAT(error(source("jsonl", "b.jsonl"), {kText}), HasSubstr("b.jsonl:1: member `said` is the number 3; expected a string"));
  write("c.jsonl", "{\"said\": \"a\"}\n{\n");
  EXPECT_THAT(error(source("jsonl", "c.jsonl"), {kText}), HasSubstr("c.jsonl:2: is no JSON"));
  write("one.jsonl", "[{\"said\": \"a\"}]\n");
  EXPECT_THAT(error(source("jsonl", "one.jsonl"), {kText}), HasSubstr("has no member `said` for the field `said`; it is a list, and `json(...)` reads"));
  write("d.jsonl", "{\"said\": \"a\", \"v\": [1, 2]}\n");
  EXPECT_THAT(error(source("jsonl", "d.jsonl"), {kText, values}), HasSubstr("has 2 numbers, and the field `v` is f32[2, 2]"));
}

TEST_F(TextSources, TablesWithTextAndNamedClasses) {
  write("a.csv", "said,kind\n\"two, \"\"quoted\"\"\nlines\",b\nplain,a\n");
  Table t = open(source("csv", "a.csv"), {kText, label(3)});
  EXPECT_THAT(texts(t), ElementsAre("two, \"quoted\"\nlines", "plain"));
  EXPECT_THAT(t.fields[1].labels, ElementsAre("a", "b"));
  write("a.tsv", "said\tkind\n\"not quoted\t1\nx\t0\n");
  Table tabs = open(source("tsv", "a.tsv"), {kText, label(2)});
  EXPECT_THAT(texts(tabs), ElementsAre("\"not quoted", "x"));
  EXPECT_TRUE(tabs.fields[1].labels.empty()); // numbers stay numbers
  Field known = label(2);
  known.labels = {"a", "b"};
  write("c.csv", "said,kind\nx,c\n");
  EXPECT_THAT(error(source("csv", "c.csv"), {kText, known}), HasSubstr("holds `c`, which is no class of `kind`: expected one of a, b"));
  EXPECT_THAT(error(source("idx", "c.csv"), {kText}), HasSubstr("is text, which `idx` does not read"));
}

TEST_F(TextSources, SplitsInOrder) {
  std::vector<std::pair<std::string, double>> split = {{"train", 0.9}, {"valid", 0.1}};
  EXPECT_THAT(splitRecords("d", "s", 10, split, 3, "valid", true), ElementsAre(9));
  EXPECT_EQ(splitRecords("d", "s", 10, split, 3, "train", true).back(), 8);
}
