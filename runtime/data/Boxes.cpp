// Pictures with boxes, in the two forms that data sets come in.
//
// voc("folder or archive", set: "train"): Pascal VOC. A picture for each name in ImageSets/Main/SET.txt (or for each
// annotation, without `set`), JPEGImages/NAME.jpg beside Annotations/NAME.xml. Its corners count pixels from 1 and are
// inclusive: a box here goes from xmin - 1 to xmax.
// coco("annotations.json", pictures: "folder or archive"): COCO. Boxes there are left, top, width and height.
// A box without area bounds nothing and is left out, which the table's notes say.
#include "Archive.h"
#include "JsonText.h"
#include "Lists.h"
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fmt/ranges.h>
#include <pugixml.hpp>
#include <set>

namespace bigm::data {
namespace {

/// The fields of a record of annotated boxes: a picture, perhaps a list, perhaps the picture's name.
class BoxRecords {
public:
  BoxRecords(const SourceContext &context, Table &table) : context(context), table(table), fields(table.fields) {
    const std::string &source = context.spec.name;
    if (context.spec.strings.size() != 1)
      fail("`{}` takes one file or folder, and {} are named", source, context.spec.strings.size());
    for (size_t i = 0; i < fields.size(); ++i) {
      const Field &f = fields[i];
      int &which = f.isList() ? list : f.isText() ? text : picture;
      if (which >= 0 || (&which == &picture && !f.isFromPictures()))
        fail("`{}` gives a picture, the list of its boxes and its name; the field `{}` ({}) is none of them or one too many", source, f.name,
             f.typeText());
      which = int(i);
    }
    if (list >= 0) {
      parts = boxParts(fields[size_t(list)], source);
      boxes.emplace(fields[size_t(list)]);
    }
  }
  std::string path() const { return under(context.dataDir, context.spec.strings[0]); }
  std::string option(const char *name) const {
    return context.spec.text(name).value_or("");
  }

  void addPicture(const FileTree &tree, const std::string &name, const std::string &place) {
    names.add(name);
    if (picture >= 0)
      files.push_back({tree.onDisk(name).empty() ? tree.title(name) : tree.onDisk(name), place,
                       tree.onDisk(name).empty() ? tree.read(name) : nullptr});
    elements = 0;
    ++table.count;
  }
  /// `number` gives a whole number by its name, nothing where there is none.
  template <class Number> void addBox(const std::array<double, 4> &box, const std::string &label, const std::string &place, const Number &number) {
    if (list < 0)
      return;
    if (!soundBox(box)) {
      ++empty;
      return;
    }
    for (double side : box)
      boxes->put(size_t(parts.box), fmt::format("{}", side), place);
    if (parts.label >= 0)
      boxes->put(size_t(parts.label), label, place + "the class");
    for (int other : parts.others) {
      const std::string &name = fields[size_t(list)].parts[size_t(other)].name;
      std::string value = number(name);
      if (value.empty())
        fail("{}has no `{}`", place, name);
      boxes->put(size_t(other), value, fmt::format("{}`{}`", place, name));
    }
    ++elements;
  }
  void endPicture() {
    if (boxes)
      boxes->endRecord(elements);
  }
  void finish() {
    if (table.count == 0)
      fail("{}: holds no picture", path());
    if (empty)
      table.notes.push_back(fmt::format("{}: {} box{} without area left out", path(), empty, empty == 1 ? "" : "es"));
    if (boxes)
      table.columns[size_t(list)] = boxes->finish(table.fields[size_t(list)]);
    if (text >= 0)
      table.columns[size_t(text)] = std::make_unique<Texts>(std::move(names));
    if (picture >= 0)
      table.columns[size_t(picture)] = pictureColumn(fields[size_t(picture)], std::move(files), context.threads);
  }

private:
  const SourceContext &context;
  Table &table;
  std::vector<Field> fields; // as declared
  int picture = -1, list = -1, text = -1;
  BoxParts parts;
  std::optional<Lists> boxes;
  std::vector<PictureFile> files;
  Texts names;
  int64_t elements = 0, empty = 0;
};

double numberIn(const pugi::xml_node &node, const char *child, const std::string &place) {
  std::string_view text = node.child(child).text().get();
  double v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    fail("{}`{}` of a box is `{}`; expected a number", place, child, text.substr(0, 40));
  return v;
}

/// The picture of an annotation: by the name that it says, else by its own.
std::string pictureOf(const FileTree &tree, const std::string &stem, const std::string &said) {
  for (auto &name : {"JPEGImages/" + stem + ".jpg", "JPEGImages/" + stem + ".png", "JPEGImages/" + said, said, stem + ".jpg", stem + ".jpeg", stem + ".png"})
    if (std::string found = name.empty() || name.ends_with('/') ? "" : tree.find(name); !found.empty())
      return found;
  return "";
}

} // namespace

void openVoc(const SourceContext &context, Table &table) {
  BoxRecords records(context, table);
  FileTree tree(records.path());
  std::vector<std::string> annotations; // paths in the tree
  if (std::string set = records.option("set"); !set.empty()) {
    std::string list = tree.find("ImageSets/Main/" + set + ".txt");
    if (list.empty()) {
      std::vector<std::string> known;
      for (auto &name : tree.names())
        if (name.find("ImageSets/Main/") != name.npos && name.ends_with(".txt"))
          known.push_back(std::filesystem::path(name).stem().string());
      fail("{}: has no ImageSets/Main/{}.txt{}", records.path(), set, known.empty() ? "" : fmt::format("; its sets are {}", fmt::join(known, ", ")));
    }
    auto bytes = tree.read(list);
    std::string text(bytes->begin(), bytes->end());
    for (size_t at = 0; at < text.size();) {
      size_t end = std::min(text.find('\n', at), text.size());
      std::string stem = text.substr(at, end - at);
      at = end + 1;
      stem.erase(0, stem.find_first_not_of(" \t\r"));
      stem.erase(std::min(stem.find_first_of(" \t\r"), stem.size()));
      if (stem.empty())
        continue;
      std::string found = tree.find("Annotations/" + stem + ".xml");
      if (found.empty())
        fail("{}: names {}, and there is no Annotations/{}.xml", tree.title(list), stem, stem);
      annotations.push_back(found);
    }
  } else {
    for (auto &name : tree.names())
      if (name.ends_with(".xml"))
        annotations.push_back(name);
  }
  for (auto &name : annotations) {
    auto bytes = tree.read(name);
    std::string place = tree.title(name) + ": ", stem = std::filesystem::path(name).stem().string();
    pugi::xml_document document;
    if (auto parsed = document.load_buffer(bytes->data(), bytes->size()); !parsed)
      fail("{}is no XML: {}", place, parsed.description());
    pugi::xml_node root = document.child("annotation");
    if (!root)
      fail("{}has no element `annotation`", place);
    std::string picture = pictureOf(tree, stem, root.child("filename").text().get());
    if (picture.empty())
      fail("{}there is no picture {}.jpg or {}.png in JPEGImages", place, stem, stem);
    records.addPicture(tree, picture, place);
    for (auto object : root.children("object")) {
      auto b = object.child("bndbox");
      if (!b)
        continue; // a part or a person layout; VOC's things have boxes
      // The corners as written have no area: not even the pixel that counting from 1 would give it.
      double left = numberIn(b, "xmin", place), top = numberIn(b, "ymin", place), right = numberIn(b, "xmax", place), bottom = numberIn(b, "ymax", place);
      bool area = right > left && bottom > top;
      records.addBox({left - 1, top - 1, area ? right : left - 1, area ? bottom : top - 1}, object.child("name").text().get(), place,
                     [&](const std::string &part) { return std::string(object.child(part.c_str()).text().get()); });
    }
    records.endPicture();
  }
  records.finish();
}

void openCoco(const SourceContext &context, Table &table) {
  using Json = nlohmann::json;
  BoxRecords records(context, table);
  std::string path = records.path(), pictures = records.option("pictures");
  FileTree tree(pictures.empty() ? std::filesystem::path(path).parent_path().string() : under(context.dataDir, pictures));
  Json file = parseJson(readText(path), path);
  if (!file.is_object() || !file.contains("images") || !file.contains("annotations") || !file["images"].is_array() || !file["annotations"].is_array())
    fail("{}: is no COCO file; expected an object with the lists `images`, `annotations` and `categories`", path);
  std::map<int64_t, std::string> categories;
  std::map<int64_t, std::vector<const Json *>> things; // by picture
  try {
    for (auto &c : file.value("categories", Json::array()))
      categories[c.at("id").get<int64_t>()] = c.at("name").get<std::string>();
    for (auto &a : file["annotations"])
      things[a.at("image_id").get<int64_t>()].push_back(&a);
    for (auto &image : file["images"]) {
      int64_t id = image.at("id").get<int64_t>();
      std::string named = image.at("file_name").get<std::string>(), found = tree.find(named);
      std::string place = fmt::format("{}: picture {}: ", path, named);
      if (found.empty())
        fail("{}there is no such file in {}", place, pictures.empty() ? "the folder beside" : pictures);
      records.addPicture(tree, found, place);
      for (const Json *a : things[id]) {
        auto box = a->at("bbox").get<std::vector<double>>();
        if (box.size() != 4)
          fail("{}a `bbox` has {} numbers; expected left, top, width and height", place, box.size());
        auto category = categories.find(a->at("category_id").get<int64_t>());
        if (category == categories.end())
          fail("{}an annotation has the category {}, which `categories` does not name", place, a->at("category_id").dump());
        records.addBox({box[0], box[1], box[0] + box[2], box[1] + box[3]}, category->second, place, [&](const std::string &part) {
          auto value = a->find(part);
          return value == a->end() ? "" : value->is_boolean() ? std::string(value->get<bool>() ? "1" : "0") : value->dump();
        });
      }
      records.endPicture();
    }
  } catch (const Json::exception &e) {
    fail("{}: is no COCO file: {}", path, e.what());
  }
  records.finish();
}

} // namespace bigm::data
