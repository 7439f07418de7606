#include "Operations.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>
#include <span>

namespace bigm::flow {
namespace {

data::Tensor numbersOf(const std::vector<int32_t> &values) {
  data::Tensor t(data::Elem::I32, {int64_t(values.size())});
  std::copy(values.begin(), values.end(), t.as<int32_t>());
  return t;
}
std::span<const int32_t> numbers(const Slots &slots, const std::string &slot) {
  const data::Tensor &t = slots.tensors.at(slot);
  return {t.as<int32_t>(), size_t(t.count())};
}

} // namespace

void takeRows(const Step &s, Slots &slots, const Surroundings &) {
  auto take = [&](auto &all) {
    auto &from = all.at(s.inputs[1]);
    std::decay_t<decltype(from)> to;
    for (int32_t i : numbers(slots, s.inputs[0]))
      to.push_back(from.at(size_t(i)));
    all[s.outputs[0]] = std::move(to);
  };
  if (s.name == "texts")
    take(slots.texts);
  else
    take(slots.images);
}

void mergeRows(const Step &s, Slots &slots, const Surroundings &) {
  auto first = numbers(slots, s.inputs[0]), second = numbers(slots, s.inputs[2]);
  size_t rows = first.size() + second.size();
  auto merge = [&](auto &all) {
    auto &a = all.at(s.inputs[1]);
    auto &b = all.at(s.inputs[3]);
    std::decay_t<decltype(a)> to(rows);
    for (size_t i = 0; i < first.size(); ++i)
      to.at(size_t(first[i])) = a[i];
    for (size_t i = 0; i < second.size(); ++i)
      to.at(size_t(second[i])) = b[i];
    all[s.outputs[0]] = std::move(to);
  };
  if (s.name == "texts")
    return merge(slots.texts);
  if (s.name == "images")
    return merge(slots.images);
  const data::Tensor &a = slots.tensors.at(s.inputs[1]), &b = slots.tensors.at(s.inputs[3]);
  std::vector<int64_t> shape = first.empty() ? b.shape : a.shape; // a side without rows need not know its other sizes
  shape[0] = int64_t(rows);
  data::Tensor to(a.elem, shape);
  size_t row = rows ? to.bytes.size() / rows : 0;
  auto put = [&](std::span<const int32_t> places, const data::Tensor &from) {
    for (size_t i = 0; i < places.size(); ++i)
      std::memcpy(to.bytes.data() + size_t(places[i]) * row, from.bytes.data() + i * row, row);
  };
  put(first, a);
  put(second, b);
  slots.tensors[s.outputs[0]] = std::move(to);
}

void rowsWhere(const Step &s, Slots &slots, const Surroundings &) {
  const data::Tensor &t = slots.tensors.at(s.inputs[0]);
  bool holds = s.number("holds", 1) != 0;
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < t.count(); ++i)
    if ((t.as<uint8_t>()[i] != 0) == holds)
      rows.push_back(int32_t(i));
  slots.tensors[s.outputs[0]] = numbersOf(rows);
}

void choose(const Step &s, Slots &slots, const Surroundings &) {
  auto of = numbers(slots, s.inputs[0]);
  const float *key = slots.tensors.at(s.inputs[1]).as<float>();
  size_t most = size_t(s.number("at_most", 0));
  std::vector<int32_t> rows, positions;
  for (size_t begin = 0; begin < of.size();) {
    size_t end = begin;
    while (end < of.size() && of[end] == of[begin])
      ++end;
    std::vector<int32_t> order(end - begin);
    std::iota(order.begin(), order.end(), int32_t(begin));
    // What is no number comes last; equals keep their order.
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return key[a] > key[b] || (key[b] != key[b] && key[a] == key[a]); });
    if (most && order.size() > most)
      order.resize(most);
    rows.insert(rows.end(), order.size(), of[begin]);
    positions.insert(positions.end(), order.begin(), order.end());
    begin = end;
  }
  slots.tensors[s.outputs[0]] = numbersOf(rows);
  slots.tensors[s.outputs[1]] = numbersOf(positions);
}

void flat(const Step &s, Slots &slots, const Surroundings &) {
  auto outer = numbers(slots, s.inputs[0]), inner = numbers(slots, s.inputs[1]);
  std::vector<int32_t> rows, positions(inner.size());
  for (int32_t i : inner)
    rows.push_back(outer[size_t(i)]);
  std::iota(positions.begin(), positions.end(), 0);
  slots.tensors[s.outputs[0]] = numbersOf(rows);
  slots.tensors[s.outputs[1]] = numbersOf(positions);
}

void unite(const Step &s, Slots &slots, const Surroundings &) {
  auto a = numbers(slots, s.inputs[0]), b = numbers(slots, s.inputs[1]);
  std::vector<int32_t> all;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  slots.tensors[s.outputs[0]] = numbersOf(all);
}

void places(const Step &s, Slots &slots, const Surroundings &) {
  auto a = numbers(slots, s.inputs[0]), b = numbers(slots, s.inputs[1]);
  bool second = s.number("second", 0) != 0;
  std::vector<int32_t> out;
  // An element of A comes behind the A before it and every B of earlier rows; one of B behind the A of its row as well.
  auto &own = second ? b : a, &other = second ? a : b;
  for (size_t i = 0; i < own.size(); ++i) {
    auto before = second ? std::upper_bound(other.begin(), other.end(), own[i]) : std::lower_bound(other.begin(), other.end(), own[i]);
    out.push_back(int32_t(i + size_t(before - other.begin())));
  }
  slots.tensors[s.outputs[0]] = numbersOf(out);
}

void spread(const Step &s, Slots &slots, const Surroundings &) {
  auto rows = numbers(slots, s.inputs[0]), list = numbers(slots, s.inputs[1]);
  std::vector<int32_t> out, positions;
  for (size_t r = 0; r < rows.size(); ++r) {
    auto [first, last] = std::equal_range(list.begin(), list.end(), rows[r]);
    if (out.size() + size_t(last - first) > size_t(INT32_MAX))
      data::fail("a list taken into another has more than {} elements together", INT32_MAX);
    out.insert(out.end(), size_t(last - first), int32_t(r));
    for (auto i = first; i != last; ++i)
      positions.push_back(int32_t(i - list.begin()));
  }
  slots.tensors[s.outputs[0]] = numbersOf(out);
  slots.tensors[s.outputs[1]] = numbersOf(positions);
}

std::vector<int32_t> countsOf(const Step &s, const Slots &slots, const std::string &slot) {
  auto rows = s.options.find("rows"); // the numbers of the space outside; the records where there are none
  int64_t outside = rows == s.options.end() ? slots.records : slots.tensors.at(std::get<std::string>(rows->second)).count();
  std::vector<int32_t> counts(static_cast<size_t>(outside));
  for (int32_t i : numbers(slots, slot))
    ++counts.at(size_t(i));
  return counts;
}

void countRows(const Step &s, Slots &slots, const Surroundings &) { slots.tensors[s.outputs[0]] = numbersOf(countsOf(s, slots, s.inputs[0])); }

void reduceRows(const Step &s, Slots &slots, const Surroundings &) {
  auto of = numbers(slots, s.inputs[0]);
  const data::Tensor &x = slots.tensors.at(s.inputs[1]);
  std::vector<int32_t> counts = countsOf(s, slots, s.inputs[0]);
  std::vector<int64_t> shape(x.shape.begin() + 1, x.shape.end());
  size_t each = size_t(data::product(shape));
  shape.insert(shape.begin(), int64_t(counts.size()));
  data::Tensor out(data::Elem::F32, shape);
  float *to = out.as<float>();
  bool most = s.name == "max", least = s.name == "min";
  std::fill_n(to, counts.size() * each, s.name == "prod" ? 1.0f : 0.0f);
  for (size_t i = 0; i < of.size(); ++i) {
    const float *from = x.as<float>() + i * each;
    float *row = to + size_t(of[i]) * each;
    bool first = i == 0 || of[i] != of[i - 1];
    for (size_t k = 0; k < each; ++k)
      if (most || least) // what is no number stays, as in a tensor
        row[k] = first || from[k] != from[k] || (most ? from[k] > row[k] : from[k] < row[k]) ? from[k] : row[k];
      else
        row[k] = s.name == "prod" ? row[k] * from[k] : row[k] + from[k];
  }
  if (s.name == "mean")
    for (size_t r = 0; r < counts.size(); ++r)
      for (size_t k = 0; k < each && counts[r] > 0; ++k)
        to[r * each + k] /= float(counts[r]);
  slots.tensors[s.outputs[0]] = std::move(out);
}

void elements(const Step &s, Slots &slots, const Surroundings &) {
  auto of = numbers(slots, s.inputs[0]);
  const data::Tensor &x = slots.tensors.at(s.inputs[1]);
  std::vector<int64_t> shape(x.shape.begin() + 2, x.shape.end());
  size_t each = size_t(data::product(shape)) * data::sizeOf(x.elem);
  shape.insert(shape.begin(), int64_t(of.size()));
  data::Tensor out(x.elem, shape);
  int64_t place = 0;
  for (size_t i = 0; i < of.size(); ++i) {
    place = i > 0 && of[i] == of[i - 1] ? place + 1 : 0;
    if (place >= x.shape[1])
      data::fail("`beside` has {} rows for a list of more elements", x.shape[1]);
    std::memcpy(out.bytes.data() + i * each, x.bytes.data() + size_t(of[i] * x.shape[1] + place) * each, each);
  }
  slots.tensors[s.outputs[0]] = std::move(out);
}

} // namespace bigm::flow
