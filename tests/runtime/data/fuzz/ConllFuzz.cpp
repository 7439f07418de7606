// Any bytes as a file of CoNLL columns: every sentence of it has as many elements in one part as in the others, and no text is
// empty or holds a break. The first byte says what the field takes and which columns it reads.
#include "runtime/data/Error.h"
#include "runtime/data/Table.h"
#include "tests/fuzz/ScratchFolder.h"

namespace d = bigm::data;

namespace {
d::Field part(const char *name, const char *kind, d::Elem elem, int64_t classes = 0) {
  return {.name = name, .kind = kind, .elem = elem, .shape = {}, .classes = classes, .labels = {}};
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  static const bigm::fuzz::ScratchFolder folder;
  const uint8_t how = data[0];
  folder.write("a.conll", {reinterpret_cast<const char *>(data + 1), size - 1});
  d::Field field{.name = "post", .kind = "list", .elem = d::Elem::U8, .shape = {}, .classes = 0, .labels = {}};
  field.parts = {part("word", "text", d::Elem::U8)};
  if (how & 1)
    field.parts.push_back(part("tag", "label", d::Elem::I32, 3));
  if (how & 2)
    field.parts.push_back(part("score", "tensor", how & 4 ? d::Elem::I32 : d::Elem::F32));
  d::SourceSpec source{"conll", {"a.conll"}, {}};
  if (how & 8)
    source.options["word"] = double(how >> 4) - 8;
  d::Table table;
  try {
    table = d::openTable("d", source, {field}, folder.path, 1);
  } catch (const d::Error &) {
    return 0;
  }
  for (int64_t record = 0; record < table.count; ++record) {
    const d::Column &column = *table.columns[0];
    const int64_t length = column.elements(record);
    if (length < 1 || column.partTexts(record, 0).size() != size_t(length))
      std::abort();
    for (const std::string &word : column.partTexts(record, 0))
      if (word.empty() || word.find('\n') != word.npos)
        std::abort();
    for (size_t p = 1; p < field.parts.size(); ++p)
      if (column.part(record, p).size() != size_t(length) * 4)
        std::abort();
  }
  return 0;
}
