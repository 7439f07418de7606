// Records on their way into the slots of a flow.
#include "Flow.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <charconv>
#include <cstring>

namespace bigm::flow {
using data::fail;

void expectSizes(const std::string &name, const RichType &type, const std::vector<int64_t> &sizes) {
  bool fits = sizes.size() == type.shape.size();
  for (size_t d = 0; fits && d < sizes.size(); ++d) {
    int64_t fixed = 0;
    const std::string &size = type.shape[d];
    auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), fixed);
    if (error == std::errc() && end == size.data() + size.size())
      fits = fixed == sizes[d];
    else
      fits = sizes[d] > 0;
  }
  if (fits)
    return;
  std::string wanted;
  for (auto &size : type.shape)
    wanted += (wanted.empty() ? "" : ", ") + size;
  fail("`{}` is {}[{}], and here it has the sizes {}", name, data::name(type.elem), wanted, data::shapeText(sizes));
}

void append(const Flow &flow, std::map<std::string, std::string> texts, std::map<std::string, std::shared_ptr<const data::Picture>> images,
            std::map<std::string, data::Tensor> tensors, Slots &slots) {
  // All are looked at before any is kept, so that a bad record leaves no half of it.
  std::vector<std::pair<std::string, data::Tensor>> grown;
  for (auto &[name, type] : flow.inputs) {
    if (type.kind != RichType::Kind::Tensor)
      continue;
    const data::Tensor &one = tensors.at(name);
    auto known = slots.tensors.find(type.slot);
    if (slots.records > 0 && !std::equal(one.shape.begin(), one.shape.end(), known->second.shape.begin() + 1, known->second.shape.end()))
      fail("`{}` has the sizes {}, and the record before {}", name, data::shapeText(one.shape),
           data::shapeText({known->second.shape.begin() + 1, known->second.shape.end()}));
    std::vector<int64_t> shape = one.shape;
    shape.insert(shape.begin(), slots.records + 1);
    data::Tensor all(type.elem, shape);
    size_t before = slots.records > 0 ? known->second.bytes.size() : 0;
    if (before)
      std::memcpy(all.bytes.data(), known->second.bytes.data(), before);
    std::memcpy(all.bytes.data() + before, one.bytes.data(), one.bytes.size());
    grown.emplace_back(type.slot, std::move(all));
  }
  for (auto &[slot, tensor] : grown)
    slots.tensors[slot] = std::move(tensor);
  for (auto &[name, type] : flow.inputs) {
    if (type.kind == RichType::Kind::Text)
      slots.texts[type.slot].push_back(std::move(texts.at(name)));
    if (type.kind == RichType::Kind::Image)
      slots.images[type.slot].push_back(std::move(images.at(name)));
  }
  ++slots.records;
}

std::pair<int64_t, int64_t> rowsBelow(const Slots &slots, const std::string &numbers, int64_t i) {
  const data::Tensor &t = slots.tensors.at(numbers);
  const int32_t *begin = t.as<int32_t>(), *end = begin + t.count();
  auto [first, last] = std::equal_range(begin, end, int32_t(i));
  return {first - begin, last - begin};
}

} // namespace bigm::flow
