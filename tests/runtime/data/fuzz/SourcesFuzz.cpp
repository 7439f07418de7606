// Any bytes as the file behind each source of records but pictures alone and CoNLL, which have targets of their own. The first
// byte says which source and what its fields are. What opens has records, and all of them can be made into batches: numbers of
// classes inside, parts of lists of one length, pictures whole.
#include "runtime/data/Error.h"
#include "runtime/data/Picture.h"
#include "runtime/data/Table.h"
#include "tests/fuzz/ScratchFolder.h"
#include <cstring>

namespace d = bigm::data;

namespace {
d::Field field(const char *name, const char *kind, d::Elem elem = d::Elem::F32, std::vector<int64_t> shape = {}, int64_t classes = 0,
               std::optional<std::string> missing = {}) {
  d::Field f;
  f.name = name;
  f.kind = kind;
  f.elem = elem;
  f.shape = std::move(shape);
  f.classes = classes;
  f.missing = std::move(missing);
  return f;
}
d::Field number(const char *name, d::Elem elem = d::Elem::F32, std::vector<int64_t> shape = {}) { return field(name, "tensor", elem, std::move(shape)); }
d::Field label(const char *name, int64_t classes) { return field(name, "label", d::Elem::I32, {}, classes); }
d::Field text(const char *name) { return field(name, "text", d::Elem::U8); }
d::Field photo(const char *name) { return field(name, "photo", d::Elem::U8); }
d::Field boxes(bool more) {
  d::Field f = field("things", "list");
  f.parts = {number("box", d::Elem::F32, {4}), label("kind", 3)};
  f.parts[0].meaning = "box";
  if (more)
    f.parts.push_back(number("difficult", d::Elem::I32));
  return f;
}
d::Field spans() {
  d::Field f = field("spans", "list");
  f.parts = {text("word"), label("kind", 2), number("at", d::Elem::F32, {2})};
  f.missing = "";
  return f;
}
using Options = std::map<std::string, std::variant<double, std::string>>;

/// A source, the file that the bytes become, what the program says beside.
struct Case {
  const char *source, *file, *named; // `named`: what the program names, where it is not the file
  std::vector<d::Field> fields;
  Options options = {};
};
const std::vector<Case> &cases() {
  using E = d::Elem;
  static const std::vector<Case> all = {
      {"idx", "a.idx", nullptr, {number("x", E::U8, {2, 3})}},
      {"idx", "a.idx", nullptr, {label("y", 3)}},
      {"npy", "a.npy", nullptr, {number("x", E::F32, {3})}},
      {"npy", "a.npy", nullptr, {number("x", E::I64)}},
      {"npy", "a.npy", nullptr, {label("y", 3)}},
      {"npy", "a.npy", nullptr, {number("x", E::Bool, {2})}},
      {"csv", "a.csv", nullptr, {number("x", E::F32, {2}), label("kind", 0), text("said")}},
      {"csv", "a.csv", nullptr, {number("n", E::I32), field("p", "tensor", E::U8, {2, 2}), field("z", "tensor", E::F64, {}, 0, "-1")}, {{"n", "m"}}},
      {"csv", "a.csv", nullptr, {text("said"), number("n", E::I8)}, {{"separator", ";"}, {"columns", "n, said"}, {"comment", "##"}}},
      {"tsv", "a.tsv", nullptr, {text("said"), label("kind", 2), photo("picture")}},
      {"json", "a.json", nullptr, {text("said"), label("kind", 2)}, {{"at", "train, more.test"}, {"said", 0.0}, {"kind", "1"}}},
      {"json", "a.json", nullptr, {spans(), number("x", E::F32, {2, 2}), number("b", E::Bool)}},
      {"jsonl", "a.jsonl", nullptr, {text("said"), spans(), field("n", "tensor", E::I64, {}, 0, "0"), photo("picture")}, {{"said", "text.body"}}},
      {"text", "a.txt", nullptr, {text("t")}, {{"window", 5.0}, {"stride", 2.0}}},
      {"text", "a.txt", nullptr, {text("t")}},
      {"lines", "a.txt", nullptr, {text("t")}},
      {"voc", "v/Annotations/a.xml", "v", {photo("picture"), boxes(true), text("name")}},
      {"voc", "v/ImageSets/Main/train.txt", "v", {photo("picture"), boxes(false)}, {{"set", "train"}}},
      {"voc", "a.tar", nullptr, {photo("picture"), boxes(true)}},
      {"coco", "a.json", nullptr, {photo("picture"), boxes(false), text("name")}},
      {"coco", "a.json", nullptr, {field("picture", "image", E::U8, {3, 4, 4}), boxes(true)}, {{"pictures", "v/JPEGImages"}}},
      {"coco", "a.zip", "coco.json", {photo("picture"), boxes(false)}, {{"pictures", "a.zip"}}},
  };
  return all;
}

/// What the files of others stand beside: two pictures, an annotation, a COCO file that names a picture.
void furnish(const bigm::fuzz::ScratchFolder &folder) {
  d::Picture picture{3, 4, 5, {}};
  picture.pixels.assign(60, 77);
  std::vector<uint8_t> png = d::encodePng(picture, 1);
  std::string_view bytes(reinterpret_cast<const char *>(png.data()), png.size());
  folder.write("p.png", bytes);
  folder.write("v/JPEGImages/a.png", bytes);
  folder.write("v/Annotations/b.xml", "<annotation><filename>a.png</filename></annotation>");
  folder.write("coco.json", R"({"images":[{"id":1,"file_name":"a.png"}],"annotations":[]})");
}

void require(bool holds) {
  if (!holds)
    std::abort();
}
void inside(const d::Field &f, const uint8_t *values, size_t count) {
  for (size_t i = 0; f.isLabel() && i < count; ++i) {
    int32_t v;
    std::memcpy(&v, values + 4 * i, sizeof v);
    require(v >= 0 && v < std::max<int64_t>(f.classes, int64_t(f.labels.size())));
  }
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  static const bigm::fuzz::ScratchFolder folder;
  static const bool furnished = (furnish(folder), true);
  (void)furnished;
  const Case &c = cases()[data[0] % cases().size()];
  folder.write(c.file, {reinterpret_cast<const char *>(data + 1), size - 1});
  d::Table table;
  bool opens = true;
  try {
    table = d::openTable("d", {c.source, {c.named ? c.named : c.file}, c.options}, c.fields, folder.path, 1);
  } catch (const d::Error &) {
    opens = false;
  }
  std::filesystem::remove(std::filesystem::path(folder.path) / c.file); // others' cases list the folder
  if (!opens)
    return 0;
  require(table.count > 0);
  // One record at a time and a few together, which pads lists.
  for (int64_t n : {int64_t(1), std::min<int64_t>(table.count, 7)}) {
    std::vector<int64_t> records;
    for (int64_t r = std::max<int64_t>(0, table.count - n); r < table.count; ++r)
      records.push_back(r);
    try {
      d::Batch batch = table.batch(records.data(), int64_t(records.size()));
      require(batch.size == int64_t(records.size()));
      for (const d::Field &f : table.fields)
        if (auto t = batch.fields.find(f.name); t != batch.fields.end())
          inside(f, t->second.bytes.data(), size_t(t->second.count()));
    } catch (const d::Error &) { // a picture that is decoded only now
    }
  }
  for (int64_t record = 0; record < std::min<int64_t>(table.count, 64); ++record)
    for (size_t i = 0; i < table.fields.size(); ++i)
      for (size_t p = 0; p < table.fields[i].parts.size(); ++p) {
        const d::Field &part = table.fields[i].parts[p];
        size_t length = size_t(table.columns[i]->elements(record));
        if (part.isText()) {
          require(table.columns[i]->partTexts(record, p).size() == length);
        } else {
          auto bytes = table.columns[i]->part(record, p);
          require(bytes.size() == length * size_t(d::product(part.shape)) * d::sizeOf(part.elem));
          inside(part, bytes.data(), length);
        }
      }
  return 0;
}
