// text("input.txt"): the whole file as one record, or, with `window: 65`, each run of 65 characters of it. The windows that
// training sees begin at any character; those of other splits, every `stride` characters (as many as the window has,
// unless said), so that a text is not judged again and again.
// lines("a.txt"): a record a line; lines with nothing but spaces are left out.
#include "Cells.h"
#include <algorithm>

namespace bigm::data {
namespace {

const Field &onlyField(const SourceContext &context, const Table &table) {
  if (context.spec.strings.size() != 1)
    fail("`{}` takes one file, and {} are named", context.spec.name, context.spec.strings.size());
  if (table.fields.size() != 1 || !table.fields[0].isText())
    fail("`{}` gives one text a record, and the record has {}; expected one field of type text", context.spec.name,
         table.fields.size() == 1 ? fmt::format("the field `{}` of type {}", table.fields[0].name, table.fields[0].typeText())
                                  : fmt::format("{} fields", table.fields.size()));
  return table.fields[0];
}

int64_t whole(const SourceContext &context, const char *name) {
  auto option = context.spec.options.find(name);
  if (option == context.spec.options.end())
    return 0;
  auto *n = std::get_if<double>(&option->second);
  if (!n || *n < 1 || *n != double(int64_t(*n)) || *n > 1e9)
    fail("`{}` of `{}` is {}; expected a whole number of at least 1", name, context.spec.name, n ? fmt::format("{}", *n) : "text");
  return int64_t(*n);
}

/// Windows of one text, found by where its characters begin.
class Windows : public Column {
public:
  Windows(std::string content, int64_t window) : content(std::move(content)), window(window) {
    for (size_t i = 0; i < this->content.size(); ++i)
      if ((uint8_t(this->content[i]) & 0xC0) != 0x80)
        starts.push_back(uint32_t(i));
    starts.push_back(uint32_t(this->content.size()));
  }
  int64_t count() const { return int64_t(starts.size()) - window; }
  int64_t characters() const { return int64_t(starts.size()) - 1; }
  void copy(int64_t, uint8_t *) const override {}
  std::string text(int64_t record) const override {
    size_t begin = starts[size_t(record)], end = starts[size_t(record + window)];
    return content.substr(begin, end - begin);
  }

private:
  std::string content;
  int64_t window;
  std::vector<uint32_t> starts;
};

} // namespace

void openText(const SourceContext &context, Table &table) {
  onlyField(context, table);
  std::string path = under(context.dataDir, context.spec.strings[0]);
  std::string content = readText(path);
  if (content.empty())
    fail("{}: is empty; expected text", path);
  int64_t window = whole(context, "window"), stride = whole(context, "stride");
  if (window == 0 && stride > 0)
    fail("`stride` says how far windows stand apart, and `window: 65` says how long they are");
  if (window == 0) {
    auto texts = std::make_unique<Texts>();
    texts->add(content);
    table.count = 1;
    table.columns[0] = std::move(texts);
    return;
  }
  if (content.size() >= uint64_t(1) << 32)
    fail("{}: is larger than 4 GiB", path);
  auto windows = std::make_unique<Windows>(std::move(content), window);
  if (windows->count() < 1)
    fail("{}: has {} characters, and a window has {}", path, windows->characters(), window);
  table.count = windows->count();
  table.window = window;
  table.stride = stride > 0 ? stride : window;
  table.columns[0] = std::move(windows);
}

void openLines(const SourceContext &context, Table &table) {
  onlyField(context, table);
  std::string path = under(context.dataDir, context.spec.strings[0]);
  std::string content = readText(path);
  auto texts = std::make_unique<Texts>();
  for (size_t at = 0; at < content.size();) {
    size_t end = std::min(content.find('\n', at), content.size());
    std::string_view line = std::string_view(content).substr(at, end - at);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    at = end + 1;
    if (line.find_first_not_of(" \t") == line.npos)
      continue;
    texts->add(line);
    ++table.count;
  }
  if (table.count == 0)
    fail("{}: has no line with text", path);
  table.columns[0] = std::move(texts);
}

} // namespace bigm::data
