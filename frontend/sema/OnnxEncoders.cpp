// Encoders of the domain `ai.onnx.ml`: what a number stands for. Texts have no form; where a text would come out there is its
// number in the file's list.
#include "OnnxClassical.h"

namespace bigm::sema::onnx_import {
namespace {

/// The elements of a list that a node has as integers, as floats or as a tensor; texts are numbered.
Val listed(NodeCall &c, const std::string &name) {
  Tensors &t = c.t;
  if (auto *a = c.attribute(name + "_tensor"); a && a->tensor) {
    Val v = t.fromFile(a->tensor, true);
    return t.reshape(v, {product(v.shape)});
  }
  if (c.attribute(name + "_int64s")) {
    std::vector<Dim> all;
    for (int64_t n : c.integers(name + "_int64s", {}))
      all.push_back(n);
    return t.wholes(all);
  }
  if (c.attribute(name + "_floats"))
    return vector(c, c.reals(name + "_floats"));
  refuse("no numbers in `" + name + "`");
}

Vals labelEncoder(NodeCall &c) {
  Tensors &t = c.t;
  Val x = c.x(), keys = listed(c, "keys"), values, other;
  if (auto *texts = c.attribute("values_strings")) {
    std::vector<Dim> all;
    int64_t none = -1;
    for (size_t i = 0; i < texts->texts.size(); ++i) {
      size_t first = 0;
      while (texts->texts[first] != texts->texts[i])
        ++first;
      all.push_back(sizeOf(first));
      if (texts->texts[i] == c.text("default_string", "_Unused"))
        none = int64_t(first);
    }
    values = t.wholes(all);
    other = t.scalar(double(none), Type::I64);
  } else {
    values = listed(c, "values");
    auto *tensor = c.attribute("default_tensor");
    other = tensor && tensor->tensor ? t.cast(t.reshape(t.fromFile(tensor->tensor, true), {}), values.type)
                                     : t.scalar(isFloat(values.type) ? c.real("default_float", -0.0) : double(c.integer("default_int64", -1)),
                                                values.type);
  }
  if (keys.shape[0] != values.shape[0] || keys.shape[0] == Dim(0))
    refuse("keys and values of different lengths");
  Val seen = t.unsqueeze(t.cast(x, keys.type), {-1}), same = t.pointwise(Op::Eq, {seen, keys});
  if (isFloat(keys.type) && c.version >= 4) { // what is no number is one as well
    Val none = t.pointwise(Op::And, {t.pointwise(Op::Ne, {seen, seen}), t.pointwise(Op::Ne, {keys, keys})});
    same = t.pointwise(Op::Or, {same, none});
  }
  same = t.cast(same, Type::I32);
  Val found = t.compare(Op::Gt, t.reduce(Op::ReduceMax, same, {int64_t(x.rank())}, false), 0);
  return {t.select(found, t.gather(values, t.argument(Op::ArgMax, same, x.rank())), other)};
}

/// What is none of the categories is all zeros, also where `zeros` asks for an error.
Vals oneHot(NodeCall &c) {
  Tensors &t = c.t;
  std::vector<int64_t> given = c.integers("cats_int64s", {});
  if (given.empty())
    refuse("categories that are texts");
  std::vector<Dim> categories(given.begin(), given.end());
  return {t.cast(t.pointwise(Op::Eq, {t.unsqueeze(t.cast(c.x(), Type::I64), {-1}), t.wholes(categories)}), Type::F32)};
}

} // namespace

void addEncoders(Table &t) {
  t.emplace(std::string(kClassical) + ".LabelEncoder", labelEncoder);
  t.emplace(std::string(kClassical) + ".OneHotEncoder", oneHot);
}

} // namespace bigm::sema::onnx_import
