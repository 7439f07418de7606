// folder("dir"): one sub-folder a class, pictures inside. The record has one picture and one label. Classes are the
// sub-folders in alphabetical order, or, where the program names the labels, those names.
#include "Sources.h"
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fmt/ranges.h>

namespace bigm::data {
namespace fs = std::filesystem;

void openFolder(const SourceContext &context, Table &table) {
  if (context.spec.strings.size() != 1)
    fail("`folder` takes one folder, and {} are named", context.spec.strings.size());
  std::string root = under(context.dataDir, context.spec.strings[0]);
  int picture = -1, label = -1;
  for (size_t i = 0; i < table.fields.size(); ++i) {
    int &which = table.fields[i].isLabel() ? label : picture;
    if (which >= 0 || (&which == &picture && !table.fields[i].isFromPictures()))
      fail("`folder` gives one picture and one label a record; the field `{}` ({}) is neither or one too many",
           table.fields[i].name, table.fields[i].typeText());
    which = int(i);
  }
  if (picture < 0)
    fail("`folder` gives one picture and one label a record, and no field is a picture");

  std::error_code error;
  if (!fs::is_directory(root, error))
    fail("{}: {}", root, fs::exists(root, error) ? "is no folder" : "there is no such folder");
  auto sorted = [&](const std::string &dir) {
    std::vector<fs::path> entries;
    fs::directory_iterator list(dir, error);
    if (error)
      fail("{}: cannot be listed: {}", dir, error.message());
    for (auto &entry : list)
      if (entry.path().filename().string()[0] != '.')
        entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    return entries;
  };
  std::vector<std::string> classes;
  for (auto &entry : sorted(root))
    if (fs::is_directory(entry))
      classes.push_back(entry.filename().string());
  const Field *labels = label < 0 ? nullptr : &table.fields[label];
  if (labels && !labels->labels.empty()) {
    for (auto &c : classes)
      if (std::find(labels->labels.begin(), labels->labels.end(), c) == labels->labels.end())
        fail("{}/{}: is no class of `{}`: expected sub-folders named {}", root, c, labels->name,
             fmt::join(labels->labels, ", "));
    for (auto &c : labels->labels)
      if (std::find(classes.begin(), classes.end(), c) == classes.end())
        fail("{}: has no sub-folder for the class `{}` of `{}`", root, c, labels->name);
    classes = labels->labels;
  } else if (labels && int64_t(classes.size()) != labels->classes) {
    fail("{}: has {} sub-folders, and `{}` is {}: expected one sub-folder for each class", root, classes.size(),
         labels->name, labels->typeText());
  }
  if (classes.empty())
    fail("{}: has no sub-folder; expected one for each class, with pictures inside", root);

  std::vector<PictureFile> files;
  std::vector<uint8_t> values;
  for (size_t c = 0; c < classes.size(); ++c) {
    size_t before = files.size();
    for (auto &entry : sorted((fs::path(root) / classes[c]).string())) {
      std::string ending = entry.extension().string();
      std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char ch) { return char(std::tolower(ch)); });
      if (ending != ".png" && ending != ".jpg" && ending != ".jpeg")
        continue;
      files.push_back({entry.string(), "", nullptr});
      int32_t value = int32_t(c);
      values.resize(values.size() + 4);
      std::memcpy(values.data() + values.size() - 4, &value, 4);
    }
    if (files.size() == before)
      fail("{}/{}: holds no PNG or JPEG file", root, classes[c]);
  }
  table.count = int64_t(files.size());
  table.columns[picture] = pictureColumn(table.fields[picture], std::move(files), context.threads);
  if (labels) {
    if (labels->elem != Elem::I32)
      fail("the label `{}` must be i32, and it is {}", labels->name, name(labels->elem));
    table.columns[label] = std::make_unique<Resident>(std::move(values), 4);
  }
}

} // namespace bigm::data
