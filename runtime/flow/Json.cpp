// Values of flows as JSON, both ways.
#include "Flow.h"
#include "runtime/core/Floats.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace bigm::flow {
using data::fail;
using json = nlohmann::ordered_json;

namespace {

constexpr size_t kDeepest = 16; // nested lists

/// JSON has no numbers that are not finite.
json number(float value) { return std::isfinite(value) ? json(rt::plain(value)) : json(nullptr); }

json element(const data::Tensor &t, int64_t i) {
  switch (t.elem) {
  case data::Elem::F32: return number(t.as<float>()[i]);
  case data::Elem::F64: return std::isfinite(t.as<double>()[i]) ? json(t.as<double>()[i]) : json(nullptr);
  case data::Elem::BF16: return number(rt::fromBrain(t.as<uint16_t>()[i]));
  case data::Elem::F16: return double(rt::fromHalf(t.as<uint16_t>()[i]));
  case data::Elem::I64: return t.as<int64_t>()[i];
  case data::Elem::I32: return t.as<int32_t>()[i];
  case data::Elem::U8: return t.as<uint8_t>()[i];
  case data::Elem::I8: return t.as<int8_t>()[i];
  case data::Elem::Bool: return t.as<uint8_t>()[i] != 0;
  }
  return nullptr;
}

json nested(const std::vector<std::string> &labels, const data::Tensor &t, size_t dim, int64_t &at) {
  if (dim == t.shape.size()) {
    json value = element(t, at++);
    int64_t which = value.is_number_integer() ? value.get<int64_t>() : -1;
    return which >= 0 && size_t(which) < labels.size() ? json(labels[size_t(which)]) : value;
  }
  json list = json::array();
  for (int64_t i = 0; i < t.shape[dim]; ++i)
    list.push_back(nested(labels, t, dim + 1, at));
  return list;
}

json valueOf(const RichType &type, const Slots &slots, int64_t i) {
  switch (type.kind) {
  case RichType::Kind::List: {
    json list = json::array();
    auto [first, last] = rowsBelow(slots, type.slot, i);
    for (int64_t k = first; k < last; ++k)
      list.push_back(valueOf(type.fields[0], slots, k));
    return list;
  }
  case RichType::Kind::Optional: {
    auto [first, last] = rowsBelow(slots, type.slot, i);
    return first < last ? valueOf(type.fields[0], slots, first) : json(nullptr);
  }
  case RichType::Kind::Image: {
    const data::Picture &p = *slots.images.at(type.slot).at(size_t(i));
    return {{"width", p.width}, {"height", p.height}, {"channels", p.channels}};
  }
  case RichType::Kind::Text: return slots.texts.at(type.slot).at(size_t(i));
  case RichType::Kind::Record: {
    json record = json::object();
    for (size_t f = 0; f < type.names.size(); ++f)
      record[type.names[f]] = valueOf(type.fields[f], slots, i);
    return record;
  }
  case RichType::Kind::Tensor: break;
  }
  const data::Tensor &t = slots.tensors.at(type.slot);
  int64_t at = i * (t.shape.at(0) ? t.count() / t.shape[0] : 0);
  static const std::vector<std::string> none;
  return nested(type.label ? type.labels : none, t, 1, at);
}

/// The sizes of nested lists; the first element of each decides, and `fill` checks the others.
std::vector<int64_t> sizesOf(const json &value) {
  std::vector<int64_t> sizes;
  for (const json *at = &value; at->is_array() && sizes.size() < kDeepest; at = &at->front()) {
    sizes.push_back(int64_t(at->size()));
    if (at->empty())
      break;
  }
  return sizes;
}

template <class T> void put(uint8_t *&to, T value) {
  std::memcpy(to, &value, sizeof value);
  to += sizeof value;
}

class Filler {
public:
  Filler(const std::string &name, const RichType &type, const std::vector<int64_t> &shape) : name(name), type(type), shape(shape) {}

  void fill(const json &value, size_t dim, uint8_t *&to) {
    if (dim < shape.size()) {
      if (!value.is_array() || int64_t(value.size()) != shape[dim])
        fail("`{}`: its lists do not all have the same length", name);
      for (auto &item : value)
        fill(item, dim + 1, to);
      return;
    }
    if (type.elem == data::Elem::Bool) {
      if (!value.is_boolean())
        fail("`{}`: {} is neither true nor false", name, value.dump());
      return put<uint8_t>(to, value.get<bool>());
    }
    if (type.elem == data::Elem::F32 || type.elem == data::Elem::F64) {
      if (!value.is_number())
        fail("`{}`: {} is no number", name, value.dump());
      if (type.elem == data::Elem::F32 && !std::isfinite(value.get<float>()))
        fail("`{}`: {} is beyond the largest f32", name, value.dump());
      return type.elem == data::Elem::F32 ? put(to, value.get<float>()) : put(to, value.get<double>());
    }
    if (value.is_string() && !type.labels.empty()) {
      auto found = std::find(type.labels.begin(), type.labels.end(), value.get<std::string>());
      if (found == type.labels.end())
        fail("`{}`: {} is no class; they are {}", name, value.dump(-1, ' ', false, json::error_handler_t::replace), fmt::join(type.labels, ", "));
      return put(to, int32_t(found - type.labels.begin()));
    }
    if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX)))
      fail("`{}`: {} is no whole number", name, value.dump());
    int64_t whole = value.get<int64_t>();
    auto within = [&](int64_t least, int64_t most) {
      if (whole < least || whole > most)
        fail("`{}`: {} is outside {} to {}", name, whole, least, most);
    };
    if (type.classes)
      within(0, type.classes - 1);
    switch (type.elem) {
    case data::Elem::I64: return put(to, whole);
    case data::Elem::I32: within(INT32_MIN, INT32_MAX); return put(to, int32_t(whole));
    case data::Elem::U8: within(0, 255); return put(to, uint8_t(whole));
    case data::Elem::I8: within(-128, 127); return put(to, int8_t(whole));
    default: fail("`{}`: {} cannot be given as JSON", name, data::name(type.elem));
    }
  }

private:
  const std::string &name;
  const RichType &type;
  const std::vector<int64_t> &shape;
};

data::Tensor tensorOf(const std::string &name, const RichType &type, const json &value) {
  if (value.is_object()) // the habit of flows with several inputs
    fail("`{}` is given as a number or lists of them, and here is an object{}", name,
         value.contains(name) ? ": of a flow with one input the value stands alone" : "");
  std::vector<int64_t> sizes = sizesOf(value);
  expectSizes(name, type, sizes);
  data::Tensor t(type.elem, sizes);
  uint8_t *to = t.bytes.data();
  Filler(name, type, sizes).fill(value, 0, to);
  return t;
}

/// A value from JSON; `name` says where it stands.
Item itemOf(const std::string &name, const RichType &type, const json &value, const Surroundings &around) {
  auto seen = [&] { return value.dump(-1, ' ', false, json::error_handler_t::replace); };
  Item item;
  switch (type.kind) {
  case RichType::Kind::Text:
    if (!value.is_string())
      fail("`{}` is a text, and here is {}", name, seen());
    item.text = value.get<std::string>();
    break;
  case RichType::Kind::Image:
    if (!value.is_string())
      fail("`{}` is an image, given by the path of its file, and here is {}", name, seen());
    item.image = around.picture(value.get<std::string>());
    break;
  case RichType::Kind::Tensor: item.tensor = tensorOf(name, type, value); break;
  case RichType::Kind::Record:
    if (!value.is_object())
      fail("`{}` is a record, and here is {}", name, seen());
    for (auto &[key, one] : value.items())
      if (std::find(type.names.begin(), type.names.end(), key) == type.names.end())
        fail("`{}` has no `{}`", name, key);
    for (size_t f = 0; f < type.names.size(); ++f) {
      auto found = value.find(type.names[f]);
      if (found == value.end() && type.fields[f].kind != RichType::Kind::Optional)
        fail("`{}` lacks `{}`", name, type.names[f]);
      item.items.push_back(itemOf(name + "." + type.names[f], type.fields[f], found == value.end() ? json() : *found, around));
    }
    break;
  case RichType::Kind::List:
    if (!value.is_array())
      fail("`{}` is a list, and here is {}", name, seen());
    for (size_t i = 0; i < value.size(); ++i)
      item.items.push_back(itemOf(fmt::format("{}[{}]", name, i), type.fields[0], value[i], around));
    break;
  case RichType::Kind::Optional:
    if (!value.is_null())
      item.items.push_back(itemOf(name, type.fields[0], value, around));
  }
  return item;
}

} // namespace

json asJson(const data::Tensor &numbers, const std::vector<std::string> &labels) {
  int64_t at = 0;
  return nested(labels, numbers, 0, at);
}

void append(const Flow &flow, const json &record, Slots &slots, const Surroundings &around) {
  if (flow.inputs.size() != 1) {
    if (!record.is_object())
      fail("`{}` takes {} inputs, so each record is a JSON object with them", flow.name, flow.inputs.size());
    for (auto &[key, value] : record.items())
      if (std::none_of(flow.inputs.begin(), flow.inputs.end(), [&, &key = key](auto &in) { return in.first == key; }))
        fail("`{}` has no input `{}`", flow.name, key);
  }
  std::vector<Item> inputs;
  for (auto &[name, type] : flow.inputs) {
    bool there = flow.inputs.size() == 1 || record.contains(name);
    if (!there && type.kind != RichType::Kind::Optional)
      fail("a record of `{}` lacks `{}`", flow.name, name);
    inputs.push_back(itemOf(name, type, !there ? json() : flow.inputs.size() == 1 ? record : record.at(name), around));
  }
  append(flow, std::move(inputs), slots);
}

json result(const Flow &flow, const Slots &slots, int64_t i) { return valueOf(flow.result, slots, i); }

} // namespace bigm::flow
