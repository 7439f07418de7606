#include "Lists.h"
#include <algorithm>

namespace bigm::data {
namespace {

class ListColumn : public Column {
public:
  ListColumn(std::vector<int64_t> ends, std::vector<std::unique_ptr<Column>> parts, const std::vector<Field> &fields)
      : ends(std::move(ends)) {
    int64_t count = this->ends.empty() ? 0 : this->ends.back();
    for (size_t p = 0; p < parts.size(); ++p) {
      texts.push_back(fields[p].isText() ? std::move(parts[p]) : nullptr);
      if (texts.back()) {
        each.push_back(0);
        bytes.emplace_back();
        continue;
      }
      size_t one = size_t(product(fields[p].shape)) * sizeOf(fields[p].elem);
      each.push_back(one);
      std::vector<uint8_t> all(one * size_t(count));
      for (int64_t i = 0; i < count; ++i)
        parts[p]->copy(i, all.data() + size_t(i) * one);
      bytes.push_back(std::move(all));
    }
  }
  void copy(int64_t, uint8_t *) const override {}
  int64_t elements(int64_t record) const override { return ends[size_t(record)] - begin(record); }
  std::span<const uint8_t> part(int64_t record, size_t p) const override {
    return {bytes[p].data() + size_t(begin(record)) * each[p], size_t(elements(record)) * each[p]};
  }
  std::vector<std::string> partTexts(int64_t record, size_t p) const override {
    std::vector<std::string> out;
    for (int64_t i = begin(record); i < ends[size_t(record)]; ++i)
      out.push_back(texts[p]->text(i));
    return out;
  }

private:
  int64_t begin(int64_t record) const { return record > 0 ? ends[size_t(record) - 1] : 0; }
  std::vector<int64_t> ends;
  std::vector<size_t> each;
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<std::unique_ptr<Column>> texts; // of the parts that are text; null for others
};

} // namespace

Lists::Lists(const Field &field) : field(field) {
  for (const Field &part : field.parts)
    cells.emplace_back(part, "");
}

std::unique_ptr<Column> Lists::finish(Field &own) {
  std::vector<std::unique_ptr<Column>> parts;
  for (size_t p = 0; p < cells.size(); ++p)
    parts.push_back(cells[p].finish(own.parts[p], 1));
  return std::make_unique<ListColumn>(std::move(ends), std::move(parts), field.parts);
}

BoxParts boxParts(const Field &field, const std::string &source) {
  BoxParts out;
  for (size_t p = 0; p < field.parts.size(); ++p) {
    const Field &part = field.parts[p];
    bool box = part.meaning == "box" || part.shape == std::vector<int64_t>{4};
    if (box && out.box < 0)
      out.box = int(p);
    else if (part.isLabel() && out.label < 0)
      out.label = int(p);
    else if (part.shape.empty() && !part.isLabel() && part.elem != Elem::F32 && part.elem != Elem::F64)
      out.others.push_back(int(p));
    else
      fail("`{}` gives a box, a class and whole numbers for each thing in a picture; the part `{}` ({}) of `{}` is none of them or one too many", source,
           part.name, part.typeText(), field.name);
  }
  if (out.box < 0)
    fail("`{}` gives a box for each thing in a picture, and `{}` is {}: expected a part of the type box", source, field.name, field.typeText());
  return out;
}

} // namespace bigm::data
