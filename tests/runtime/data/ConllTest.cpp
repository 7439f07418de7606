// Columns as CoNLL has them: sentences, comments, marks between documents, and lines that are not as the others.
#include "Files.h"
#include "runtime/data/Order.h"

using namespace bigm::data;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
Field part(std::string name, std::string kind, int64_t classes = 0) {
  return {.name = std::move(name), .kind = std::move(kind), .elem = Elem::I32, .shape = {}, .classes = classes, .labels = {}};
}
Field sentence(std::vector<Field> parts = {part("word", "text"), part("tag", "label", 3)}) {
  Field f{.name = "post", .kind = "list", .elem = Elem::U8, .shape = {}, .classes = 0, .labels = {}};
  f.parts = std::move(parts);
  return f;
}
SourceSpec conll(std::string file, std::map<std::string, std::variant<double, std::string>> columns = {}) { return {"conll", {std::move(file)}, std::move(columns)}; }
std::vector<int32_t> tags(const Batch &b) {
  const Tensor &t = b.fields.at("post.tag");
  return {t.as<int32_t>(), t.as<int32_t>() + t.count()};
}
Batch whole(const Table &t) {
  std::vector<int64_t> records(size_t(t.count));
  for (size_t i = 0; i < records.size(); ++i)
    records[i] = int64_t(i);
  return t.batch(records.data(), t.count);
}
} // namespace

using Conll = InFolder;

TEST_F(Conll, SentencesEndAtEmptyLinesAndAreAsLongAsTheyAre) {
  write("a.conll", "\xef\xbb\xbf" "EU\tB\r\nrejects\tO\r\n\t\r\n\n\nPeter\tB\nvan\tI\nDam\tI");
  Table t = open(conll("a.conll"), {sentence()});
  EXPECT_EQ(t.count, 2);
  EXPECT_THAT(t.fields[0].parts[1].labels, ElementsAre("B", "I", "O")); // named by the data
  Batch b = whole(t);
  EXPECT_THAT(b.texts.at("post.word"), ElementsAre("EU", "rejects", "Peter", "van", "Dam"));
  EXPECT_THAT(tags(b), ElementsAre(0, 2, 0, 0, 1, 1));
  EXPECT_EQ(b.fields.at("post.length").as<int32_t>()[0], 2);
}

TEST_F(Conll, CommentsAndDocumentsAreLeftOutAndATokenMayBeginWithAHash) {
  write("a.conll", "# newdoc\n-DOCSTART- -X- O\n\n# text = one two\n#\n#one NN O\ntwo NN B\n-DOCSTART- O\n# id\n# NN O\n");
  Table t = open(conll("a.conll", {{"tag", -1.0}}), {sentence()});
  Batch b = whole(t);
  EXPECT_THAT(b.texts.at("post.word"), ElementsAre("#one", "two", "#"));
  EXPECT_EQ(t.count, 2);
}

TEST_F(Conll, PartsReadColumnsByNumber) {
  write("a.conll", "1  EU  NNP  0.5  B\n2  is  VB  -1  O\n");
  Field score = part("score", "tensor");
  score.elem = Elem::F32;
  Table t = open(conll("a.conll", {{"word", 1.0}, {"score", 3.0}, {"tag", -1.0}}), {sentence({part("word", "text"), score, part("tag", "label", 2)})});
  Batch b = whole(t);
  EXPECT_THAT(b.texts.at("post.word"), ElementsAre("EU", "is"));
  EXPECT_EQ(b.fields.at("post.score").as<float>()[1], -1);
  EXPECT_THAT(error(conll("a.conll"), {sentence()}), HasSubstr("a.conll: has 5 columns, and `post` has 2 parts; say which column one reads: `conll(\"...\", tag: 4)`"));
  EXPECT_THAT(error(conll("a.conll", {{"tag", 5.0}}), {sentence()}), HasSubstr("has 5 columns, and `post.tag` reads number 5"));
  EXPECT_THAT(error(conll("a.conll", {{"tag", -6.0}}), {sentence()}), HasSubstr("`post.tag` reads number -6"));
  EXPECT_THAT(error(conll("a.conll", {{"tag", 0.5}}), {sentence()}), HasSubstr("`tag` of `conll` is 0.5; expected the number of a column"));
  EXPECT_THAT(error(conll("a.conll", {{"tag", "last"}}), {sentence()}), HasSubstr("`conll` takes a number for `tag`, and here is `last`"));
}

TEST_F(Conll, RaggedLinesAndWrongValuesHaveAPlace) {
  write("a.conll", "EU\tB\nrejects\n");
  EXPECT_THAT(error(conll("a.conll"), {sentence()}), HasSubstr("a.conll:2: the line has 1 column, and line 1 has 2"));
  write("b.conll", "# x\n\nEU\tB\n\nis\tO\tO\n");
  EXPECT_THAT(error(conll("b.conll"), {sentence()}), HasSubstr("b.conll:5: the line has 3 columns, and line 3 has 2"));
  write("c.conll", "EU\tB\n\tO\n");
  EXPECT_THAT(error(conll("c.conll"), {sentence()}), HasSubstr("c.conll:2: column 0 is empty"));
  write("d.conll", "a\tA\nb\tB\nc\tC\nd\tD\n");
  EXPECT_THAT(error(conll("d.conll"), {sentence()}), HasSubstr("has 4 different classes"));
  Field known = sentence();
  known.parts[1].labels = {"A", "B"};
  EXPECT_THAT(error(conll("d.conll"), {known}), HasSubstr("d.conll:3: column 1 holds `C`, which is no class of `tag`: expected one of A, B"));
  write("e.conll", "\n# nothing\n");
  EXPECT_THAT(error(conll("e.conll"), {sentence()}), HasSubstr("e.conll: holds no sentence"));
  EXPECT_THAT(error(conll("e.conll"), {part("tag", "label", 3)}), HasSubstr("expected one field such as `sentence: list<{ word: text, tag: label[9] }>`"));
}
