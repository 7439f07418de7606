// Records on their way into the slots of a flow.
#include "Flow.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <charconv>

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

namespace {

/// Every slot of an input, with no rows yet.
void open(const RichType &type, Slots &slots) {
  switch (type.kind) {
  case RichType::Kind::Text: slots.texts[type.slot]; break;
  case RichType::Kind::Image: slots.images[type.slot]; break;
  case RichType::Kind::Tensor: {
    std::vector<int64_t> shape = {0};
    for (auto &size : type.shape) {
      int64_t fixed = 1; // an open size, which the first record decides
      std::from_chars(size.data(), size.data() + size.size(), fixed);
      shape.push_back(fixed);
    }
    slots.tensors[type.slot] = data::Tensor(type.elem, shape);
    break;
  }
  case RichType::Kind::List:
  case RichType::Kind::Optional: slots.tensors[type.slot] = data::Tensor(data::Elem::I32, {0}); [[fallthrough]];
  case RichType::Kind::Record:
    for (auto &field : type.fields)
      open(field, slots);
  }
}

void expectAsBefore(const std::string &name, const RichType &type, const Item &item, const Slots &slots) {
  if (type.kind == RichType::Kind::Record)
    for (size_t f = 0; f < type.fields.size(); ++f)
      expectAsBefore(name + "." + type.names[f], type.fields[f], item.items.at(f), slots);
  if (type.kind != RichType::Kind::Tensor || slots.records == 0)
    return;
  const data::Tensor &known = slots.tensors.at(type.slot);
  std::vector<int64_t> before(known.shape.begin() + 1, known.shape.end());
  if (known.shape[0] > 0 && item.tensor.shape != before)
    fail("`{}` has the sizes {}, and the record before {}", name, data::shapeText(item.tensor.shape), data::shapeText(before));
}

/// One row more. Memory grows as a vector's does: what comes in is copied a few times at most, however many rows come.
void push(data::Tensor &column, const data::Tensor &row) {
  if (column.shape[0] == 0)
    std::copy(row.shape.begin(), row.shape.end(), column.shape.begin() + 1);
  column.bytes.insert(column.bytes.end(), row.bytes.begin(), row.bytes.end());
  ++column.shape[0];
}

void put(const RichType &type, Item &item, int64_t row, Slots &slots) {
  switch (type.kind) {
  case RichType::Kind::Text: slots.texts[type.slot].push_back(std::move(item.text)); break;
  case RichType::Kind::Image: slots.images[type.slot].push_back(std::move(item.image)); break;
  case RichType::Kind::Tensor: push(slots.tensors[type.slot], item.tensor); break;
  case RichType::Kind::Record:
    for (size_t f = 0; f < type.fields.size(); ++f)
      put(type.fields[f], item.items[f], row, slots);
    break;
  case RichType::Kind::List:
  case RichType::Kind::Optional: {
    data::Tensor number(data::Elem::I32, {});
    *number.as<int32_t>() = int32_t(row);
    data::Tensor &numbers = slots.tensors[type.slot]; // a map's elements stay where they are
    for (Item &element : item.items) {
      push(numbers, number);
      put(type.fields[0], element, numbers.shape[0] - 1, slots);
    }
  }
  }
}

} // namespace

void append(const Flow &flow, std::vector<Item> inputs, Slots &slots) {
  for (size_t i = 0; i < flow.inputs.size(); ++i)
    expectAsBefore(flow.inputs[i].first, flow.inputs[i].second, inputs.at(i), slots);
  for (size_t i = 0; i < flow.inputs.size(); ++i) {
    if (slots.records == 0)
      open(flow.inputs[i].second, slots);
    put(flow.inputs[i].second, inputs[i], slots.records, slots);
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
