// json("data.json", at: "train, more.train", said: "0", intent: "1"): records are the elements of the lists that `at` names
// (of the file itself without it), one list after the other; a field is the member of its name, or what its option says:
// a path of names and of numbers in lists. jsonl("data.jsonl", said: "text.body") has a record a line.
#include "JsonText.h"
#include "Lists.h"
#include <filesystem>

namespace bigm::data {
namespace {
using Json = nlohmann::json;

/// What `path` leads to; null when there is none.
const Json *follow(const Json &from, const std::string &path) {
  const Json *at = &from;
  for (size_t begin = 0; begin <= path.size() && !path.empty();) {
    size_t end = std::min(path.find('.', begin), path.size());
    std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (at->is_object() && at->contains(part)) {
      at = &(*at)[part];
    } else if (at->is_array() && !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == part.npos &&
               std::stoul(part) < at->size()) {
      at = &(*at)[std::stoul(part)];
    } else {
      return nullptr;
    }
  }
  return at;
}

std::string optionOf(const SourceContext &context, const std::string &name, const std::string &otherwise) {
  if (!context.spec.has(name))
    return otherwise;
  bool number = std::holds_alternative<double>(context.spec.options.at(name)); // `said: 0`, a place in a list
  return number ? fmt::format("{}", *context.spec.number(name)) : *context.spec.text(name);
}

class Records {
public:
  Records(const SourceContext &context, Table &table) : context(context), table(table), fields(table.fields) {
    if (context.spec.strings.size() != 1)
      fail("`{}` takes one file, and {} are named", context.spec.name, context.spec.strings.size());
    path = under(context.dataDir, context.spec.strings[0]);
    for (auto &f : fields) {
      columns.emplace_back(f, std::filesystem::path(path).parent_path().string());
      lists.emplace_back(f);
      paths.push_back(optionOf(context, f.name, f.name));
    }
  }
  void add(const Json &record, const std::string &place) {
    for (size_t i = 0; i < fields.size(); ++i) {
      const Json *value = follow(record, paths[i]);
      std::string at = fmt::format("{}: member `{}`", place, paths[i]);
      if (fields[i].missing && (!value || value->is_null())) {
        putMissing(i, at);
        continue;
      }
      if (!value)
        fail("{}: has no member `{}` for the field `{}`{}", place, paths[i], fields[i].name,
             record.is_array() && context.spec.name == "jsonl" ? "; it is a list, and `json(...)` reads a file that is one list of records" : "");
      put(*value, i, at);
    }
    ++table.count;
  }
  void finish() {
    if (table.count == 0)
      fail("{}: holds no record", path);
    for (size_t i = 0; i < fields.size(); ++i)
      table.columns[i] = fields[i].isList() ? lists[i].finish(table.fields[i]) : columns[i].finish(table.fields[i], context.threads);
  }
  std::string path;

private:
  void putMissing(size_t i, const std::string &place) {
    if (fields[i].isList())
      return lists[i].endRecord(0);
    fill(fields[i], [&](std::string cell) { columns[i].put(std::move(cell), place); });
  }
  /// What stands for a value that is missing, as many times as the field has numbers.
  template <class Put> static void fill(const Field &f, const Put &take) {
    for (int64_t n = f.isText() || f.isLabel() ? 1 : std::max<int64_t>(1, product(f.shape)); n > 0; --n)
      take(*f.missing);
  }
  void put(const Json &value, size_t i, const std::string &place) {
    if (!fields[i].isList())
      return put(value, fields[i], place, [&](std::string cell) { columns[i].put(std::move(cell), place); });
    if (!value.is_array())
      fail("{} is {}; expected a list for the field `{}` of type {}", place, kind(value), fields[i].name, fields[i].typeText());
    for (size_t n = 0; n < value.size(); ++n)
      for (size_t p = 0; p < fields[i].parts.size(); ++p) {
        const Field &part = fields[i].parts[p];
        std::string at = fmt::format("{}[{}]", place, n);
        auto take = [&](std::string cell) { lists[i].put(p, std::move(cell), at); };
        const bool there = value[n].is_object() && value[n].contains(part.name);
        if (!there && !(value[n].is_object() && part.missing))
          fail("{} has no member `{}`", at, part.name);
        at += fmt::format(".{}", part.name);
        if (!there || (part.missing && value[n][part.name].is_null()))
          fill(part, take);
        else
          put(value[n][part.name], part, at, take);
      }
    lists[i].endRecord(int64_t(value.size()));
  }
  template <class Put> void put(const Json &value, const Field &f, const std::string &place, const Put &take) {
    auto one = [&](const Json &v) {
      if (v.is_string())
        take(v.get<std::string>());
      else if (v.is_boolean() && !f.isText())
        take(v.get<bool>() ? "1" : "0");
      else if (v.is_number() && !f.isText())
        take(v.dump());
      else if (v.is_null() && f.missing)
        take(*f.missing);
      else
        fail("{} is {}; expected {}", place, kind(v), f.isText() ? "a string" : fmt::format("a value for the field `{}` of type {}", f.name, f.typeText()));
    };
    if (f.isText() || f.isLabel() || f.isFromPictures() || f.shape.empty())
      return one(value);
    int64_t seen = 0;
    auto walk = [&](auto &&self, const Json &v) -> void { // lists in lists, row by row
      if (!v.is_array())
        return ++seen, one(v);
      for (auto &item : v)
        self(self, item);
    };
    walk(walk, value);
    if (seen != product(f.shape))
      fail("{} has {} numbers, and the field `{}` is {}", place, seen, f.name, f.typeText());
  }
  static std::string kind(const Json &v) {
    return v.is_object() ? "an object" : v.is_array() ? fmt::format("a list of {}", v.size()) : v.is_null() ? "null" : v.is_string() ? "a string" : "the number " + v.dump();
  }
  const SourceContext &context;
  Table &table;
  std::vector<Field> fields; // as declared, while those of the table get names of classes
  std::vector<Cells> columns;
  std::vector<Lists> lists; // of the fields that are lists; empty ones beside
  std::vector<std::string> paths;
};

} // namespace

void openJson(const SourceContext &context, Table &table) {
  Records records(context, table);
  Json file = parseJson(readText(records.path), records.path);
  std::string at = optionOf(context, "at", "");
  for (size_t begin = 0; begin <= at.size();) {
    size_t end = std::min(at.find(',', begin), at.size());
    std::string path = at.substr(begin, end - begin);
    begin = end + 1;
    path.erase(0, path.find_first_not_of(' '));
    if (size_t last = path.find_last_not_of(' '); last != path.npos)
      path.erase(last + 1);
    const Json *list = follow(file, path);
    std::string place = path.empty() ? records.path : fmt::format("{}: {}", records.path, path);
    if (!list || !list->is_array()) {
      std::string names;
      if (file.is_object())
        for (auto &[name, value] : file.items())
          if (value.is_array() && names.size() < 200)
            names += (names.empty() ? "" : ", ") + name;
      fail("{}: is no list of records{}", place, names.empty() ? "" : fmt::format("; say `at:` one of {}", names));
    }
    for (size_t i = 0; i < list->size(); ++i)
      records.add((*list)[i], fmt::format("{}[{}]", place, i));
  }
  records.finish();
}

void openJsonLines(const SourceContext &context, Table &table) {
  Records records(context, table);
  std::string content = readText(records.path);
  int64_t line = 0;
  for (std::string_view text : linesOf(content)) {
    ++line;
    if (text.find_first_not_of(" \t\r") == text.npos)
      continue;
    std::string place = fmt::format("{}:{}", records.path, line);
    records.add(parseJson(text, place), place);
  }
  records.finish();
}

} // namespace bigm::data
