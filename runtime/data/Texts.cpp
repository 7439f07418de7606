// text("input.txt"): the whole file as one record, or, with `window: 65`, each run of 65 characters of it. The windows that
// training sees begin at any character; those of other splits, every `stride` characters (as many as the window has,
// unless said), so that a text is not judged again and again. With `by: words` both count that tokenizer's tokens.
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
  auto n = context.spec.number(name);
  if (!n)
    return 0;
  if (*n < 1 || *n != double(int64_t(*n)) || *n > 1e9)
    fail("`{}` of `{}` is {}; expected a whole number of at least 1", name, context.spec.name, *n);
  return int64_t(*n);
}

/// Where each character stands.
CutText characters(const std::string &text) {
  CutText cut;
  for (size_t i = 0; i < text.size(); ++i)
    if ((uint8_t(text[i]) & 0xC0) != 0x80)
      cut.spans.emplace_back(uint32_t(i), uint32_t(text.size()));
  for (size_t i = 1; i < cut.spans.size(); ++i)
    cut.spans[i - 1].second = cut.spans[i].first;
  return cut;
}

/// Windows of one text, of so many characters or tokens.
class Windows : public Column {
public:
  Windows(std::string content, CutText cut, int64_t window) : content(std::move(content)), cut(std::move(cut)), window(window) {}
  int64_t units() const { return int64_t(cut.spans.size()); }
  int64_t count() const { return units() - window + 1; }
  void copy(int64_t, uint8_t *) const override {}
  std::string text(int64_t record) const override {
    size_t begin = cut.spans[size_t(record)].first, end = cut.spans[size_t(record + window - 1)].second;
    return content.substr(begin, end - begin);
  }
  std::span<const int32_t> ids(int64_t record) const override {
    return cut.ids.empty() ? std::span<const int32_t>() : std::span(cut.ids).subspan(size_t(record), size_t(window));
  }

private:
  std::string content;
  CutText cut;
  int64_t window;
};

} // namespace

void openText(const SourceContext &context, Table &table) {
  onlyField(context, table);
  std::string path = under(context.dataDir, context.spec.strings[0]);
  std::string content = readText(path);
  if (content.empty())
    fail("{}: is empty; expected text", path);
  int64_t window = whole(context, "window"), stride = whole(context, "stride");
  auto by = context.spec.text("by");
  if (window == 0 && stride > 0)
    fail("`stride` says how far windows stand apart, and `window: 65` says how long they are");
  if (window == 0 && by)
    fail("`by` says in what windows are counted, and `window: 65` says how long they are");
  if (window == 0) {
    auto texts = std::make_unique<Texts>();
    texts->add(content);
    table.count = 1;
    table.columns[0] = std::move(texts);
    return;
  }
  if (content.size() >= uint64_t(1) << 32)
    fail("{}: is larger than 4 GiB", path);
  CutText cut;
  if (!by) {
    cut = characters(content);
  } else {
    const std::string &tokenizer = *by;
    cut = context.cut(tokenizer, content);
    table.unit = "tokens";
    table.idsBy = cut.ids.empty() ? "" : tokenizer;
  }
  auto windows = std::make_unique<Windows>(std::move(content), std::move(cut), window);
  if (windows->count() < 1)
    fail("{}: has {} {}, and a window has {}", path, windows->units(), table.unit, window);
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
  for (std::string_view line : linesOf(content)) {
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
