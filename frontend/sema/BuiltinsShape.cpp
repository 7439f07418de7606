// Builtins that change shapes, make tensors, look up, and warp pictures.
#include "Checker.h"

namespace bigm::sema {

static Dim product(const std::vector<Dim> &dims) {
  Dim p = 1;
  for (const Dim &d : dims)
    p = p * d;
  return p;
}

/// Classes in another arrangement are classes still.
static Val keepClasses(Val v, const TensorType &from) {
  v.type.classes = from.classes;
  return v;
}

Val Checker::builtinReshape(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "reshape"))
    return {};
  auto shape = dimsOf(c.args[1]->value, c.args[1]->where, "reshape");
  if (!shape)
    return {};
  Dim total = product(typeOf(c.args[0]).shape);
  for (size_t i = 0; i < shape->size(); ++i)
    if ((*shape)[i] == Dim(-1)) {
      Dim rest = 1;
      for (size_t j = 0; j < shape->size(); ++j)
        if (j != i)
          rest = rest * (*shape)[j];
      if (auto q = divideExactly(total, rest))
        (*shape)[i] = *q;
    }
  if (product(*shape) != total)
    return fail(Diag::ReshapeSize, c.where, {typeOf(c.args[0]).str(), total.str(), product(*shape).str()});
  return keepClasses(tensorVal(rec->reshape(c.args[0]->value.tensor, *shape)), typeOf(c.args[0]));
}

Val Checker::builtinMerge(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "merge"))
    return {};
  const std::vector<Dim> &in = typeOf(c.args[0]).shape;
  auto first = axesOf(c.args[1], in.size(), "merge"), last = axesOf(c.args[2], in.size(), "merge");
  if (!first || !last)
    return {};
  std::vector<Dim> shape;
  for (size_t i = 0; i < in.size(); ++i) {
    if (int64_t(i) > (*first)[0] && int64_t(i) <= (*last)[0])
      shape.back() = shape.back() * in[i];
    else
      shape.push_back(in[i]);
  }
  return keepClasses(tensorVal(rec->reshape(c.args[0]->value.tensor, shape)), typeOf(c.args[0]));
}

Val Checker::builtinTranspose(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "transpose"))
    return {};
  const std::vector<Dim> in = typeOf(c.args[0]).shape;
  auto order = axesOf(c.args[1], in.size(), "transpose");
  if (!order)
    return {};
  if (order->size() != in.size())
    return fail(Diag::TransposeOrder, c.args[1]->where, {std::to_string(in.size())});
  AffineIndices map(in.size());
  std::vector<Dim> shape;
  for (size_t i = 0; i < in.size(); ++i) {
    shape.push_back(in[(*order)[i]]);
    map[(*order)[i]] = index(i);
  }
  return tensorVal(rec->view(c.args[0]->value.tensor, shape, map));
}

Val Checker::builtinFlip(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "flip"))
    return {};
  const std::vector<Dim> in = typeOf(c.args[0]).shape;
  auto axes = axesOf(c.args[1], in.size(), "flip");
  if (!axes)
    return {};
  AffineIndices map = identityMap(in.size());
  Value x = c.args[0]->value.tensor;
  for (int64_t a : *axes) {
    if (auto n = in[a].constant())
      map[a] = index(a, -1, *n - 1);
    else
      x = rec->lookUp(x, size_t(a), in[a] - Dim(1), in[a], -1);
  }
  return tensorVal(rec->view(x, in, map));
}

static Val join(Checker &k, const BuiltinCall &c, bool stack) {
  Val list = c.args[0]->value;
  const char *what = c.builtin->name;
  if (!list.is(Val::Kind::List) || list.items.empty())
    return k.fail(Diag::NeedsList, c.args[0]->where, {what, k.describe(list)}, "write `[a, b] |> " + std::string(what) + "`");
  if (stack) { // numbers among tensors are as these are; numbers alone are f32
    TensorType type{Elem::F32, {}, 0};
    for (const Val &v : list.items)
      if (v.is(Val::Kind::Tensor)) {
        type = v.type;
        break;
      }
    for (Val &v : list.items)
      if (v.asNumber()) {
        auto t = k.toTensor(v, type.elem, c.args[0]->where);
        if (!t)
          return {};
        v = k.tensorVal(k.rec->broadcast(*t, type.shape));
      }
  }
  std::vector<Value> values;
  for (const Val &v : list.items) {
    if (v.is(Val::Kind::Unknown)) // in a model that is checked alone
      return v;
    if (!v.is(Val::Kind::Tensor))
      return k.fail(Diag::CannotApply, c.args[0]->where, {what, k.describe(v)});
    values.push_back(v.tensor);
  }
  const TensorType first = list.items[0].type;
  size_t rank = first.shape.size() + stack;
  int64_t axis = stack ? 0 : 1;
  if (c.args[1]) {
    auto axes = k.axesOf(c.args[1], rank, what);
    if (!axes)
      return {};
    axis = (*axes)[0];
  } else if (axis >= int64_t(rank)) {
    axis = int64_t(rank) - 1;
  }
  if (axis < 0)
    return k.fail(Diag::AxisOutOfRange, c.where, {what, "0", "0"});
  std::vector<Dim> shape = first.shape;
  Dim size = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const TensorType &t = list.items[i].type;
    bool same = t.elem == first.elem && t.shape.size() == first.shape.size();
    for (size_t d = 0; same && d < t.shape.size(); ++d)
      same = (!stack && int64_t(d) == axis) || t.shape[d] == first.shape[d];
    if (!same)
      return k.fail(Diag::JoinShapes, c.args[0]->where, {what, first.str(), t.str(), std::to_string(axis)},
                    t.elem == first.elem ? "" : std::string("write `") + name(first.elem) + "(...)` to convert one of them");
    if (stack) {
      std::vector<Dim> one = t.shape;
      one.insert(one.begin() + axis, Dim(1));
      values[i] = k.rec->reshape(values[i], one);
      size = size + Dim(1);
    } else {
      size = size + t.shape[axis];
    }
  }
  if (stack)
    shape.insert(shape.begin() + axis, size);
  else
    shape[axis] = size;
  if (values.size() == 1)
    return k.tensorVal(values[0]);
  return k.tensorVal(k.rec->add(Op::Concat, values, {first.elem, shape, 0}, {{"dim", axis}}));
}
Val Checker::builtinConcat(const BuiltinCall &c) { return join(*this, c, false); }
Val Checker::builtinStack(const BuiltinCall &c) { return join(*this, c, true); }

Val Checker::builtinPad(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "pad"))
    return {};
  const TensorType in = typeOf(c.args[0]);
  size_t rank = in.shape.size();
  // A list shorter than the rank is about the last dimensions.
  auto amounts = [&](const Given *g, int64_t missing) -> std::optional<std::vector<int64_t>> {
    std::vector<int64_t> out(rank, missing);
    if (!g)
      return out;
    const std::vector<Val> list = g->value.is(Val::Kind::List) ? g->value.items : std::vector<Val>{g->value};
    if (list.size() > rank) {
      fail(Diag::PadRank, g->where, {std::to_string(list.size()), in.str()});
      return std::nullopt;
    }
    for (size_t i = 0; i < list.size(); ++i) {
      auto n = wholeNumber(list[i], g->where, "the amount of padding");
      if (!n)
        return std::nullopt;
      out[rank - list.size() + i] = *n;
    }
    return out;
  };
  auto low = amounts(c.args[1], 0), high = amounts(c.args[2] ? c.args[2] : c.args[1], 0), inner = amounts(c.args[3], 0);
  if (!low || !high || !inner)
    return {};
  std::optional<Value> value = rec->constant(0, {in.elem, {}, 0});
  if (c.args[4])
    value = toTensor(c.args[4]->value, in.elem, c.args[4]->where);
  if (!value)
    return {};
  TensorType t = in;
  t.classes = 0;
  bool nothing = true;
  for (size_t i = 0; i < rank; ++i) {
    nothing &= !(*low)[i] && !(*high)[i] && !(*inner)[i];
    t.shape[i] = in.shape[i] + Dim((*low)[i] + (*high)[i]) + (in.shape[i] - Dim(1)) * Dim((*inner)[i]);
    if (auto n = t.shape[i].constant(); n && *n < 1)
      return fail(Diag::PadToNothing, c.where, {in.str(), std::to_string(*n)});
  }
  if (nothing)
    return tensorVal(c.args[0]->value.tensor);
  return tensorVal(rec->add(Op::Pad, {c.args[0]->value.tensor, *value}, t,
                            {{"low", *low}, {"high", *high}, {"interior", *inner}}));
}

Val Checker::builtinBroadcast(const BuiltinCall &c) {
  auto shape = dimsOf(c.args[1]->value, c.args[1]->where, "broadcast");
  if (!shape)
    return {};
  if (c.args[0]->value.numeric()) {
    auto t = toTensor(c.args[0]->value, Elem::F32, c.args[0]->where);
    return t ? tensorVal(rec->broadcast(*t, *shape)) : Val{};
  }
  if (!needTensor(c.args[0], "broadcast"))
    return {};
  const TensorType in = typeOf(c.args[0]);
  bool fits = in.shape.size() <= shape->size();
  for (size_t i = 0; fits && i < in.shape.size(); ++i) {
    const Dim &d = in.shape[i];
    fits = d == Dim(1) || d == (*shape)[shape->size() - in.shape.size() + i];
  }
  if (!fits) {
    TensorType to = in;
    to.shape = *shape;
    return fail(Diag::CannotBroadcast, c.where, {in.str(), to.str()});
  }
  return tensorVal(rec->broadcast(c.args[0]->value.tensor, *shape));
}

static Val listOf(const std::vector<Dim> &dims, size_t count) {
  Val out;
  out.kind = Val::Kind::List;
  for (size_t i = 0; i < count; ++i)
    out.items.push_back(Val::of(dims[i]));
  return out;
}

Val Checker::builtinShape(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "shape"))
    return {};
  return listOf(typeOf(c.args[0]).shape, typeOf(c.args[0]).shape.size());
}

Val Checker::builtinLead(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "lead"))
    return {};
  const std::vector<Dim> &shape = typeOf(c.args[0]).shape;
  return listOf(shape, shape.empty() ? 0 : shape.size() - 1);
}

// A vector, repeated so that it runs along one axis of another tensor's shape.
Val Checker::builtinAlong(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "along") || !needTensor(c.args[1], "along"))
    return {};
  const TensorType v = typeOf(c.args[0]), like = typeOf(c.args[1]);
  auto axis = axesOf(c.args[2], like.shape.size(), "along");
  if (!axis)
    return {};
  if (axis->size() != 1 || v.shape.size() != 1 || v.shape[0] != like.shape[(*axis)[0]])
    return fail(Diag::CannotBroadcast, c.where, {v.str(), like.str()});
  return tensorVal(rec->view(c.args[0]->value.tensor, like.shape, {index((*axis)[0])}));
}

// All windows over the last dimensions: [..., H, W] -> [..., P, Q, h, w], as a view.
Val Checker::builtinWindows(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "windows"))
    return {};
  const TensorType in = typeOf(c.args[0]);
  size_t count = c.args[1]->value.is(Val::Kind::List) ? c.args[1]->value.items.size() : 2, rank = in.shape.size();
  auto numbers = [&](const Given *g, const char *what) -> std::optional<std::vector<int64_t>> {
    std::vector<int64_t> out;
    for (size_t i = 0; i < count; ++i) {
      int64_t value = 1;
      if (g) {
        const Val &v = g->value;
        if (v.is(Val::Kind::List) && v.items.size() != count)
          return fail(Diag::NeedsSizes, g->where, {"windows", "a list of another length"}), std::nullopt;
        auto n = wholeNumber(v.is(Val::Kind::List) ? v.items[i] : v, g->where, what);
        if (!n)
          return std::nullopt;
        value = *n;
      }
      if (value < 1)
        return fail(Diag::WindowSize, g->where, {what, std::to_string(value)}), std::nullopt;
      out.push_back(value);
    }
    return out;
  };
  if (count > rank)
    return fail(Diag::PadRank, c.args[1]->where, {std::to_string(count), in.str()});
  auto sizes = numbers(c.args[1], "the size of a window"), strides = numbers(c.args[2], "the stride of windows"),
       dilations = numbers(c.args[3], "the dilation of windows");
  if (!sizes || !strides || !dilations)
    return generic ? Val::unknown() : Val{};
  std::vector<Dim> shape = in.shape;
  AffineIndices map = identityMap(rank);
  for (size_t i = 0; i < count; ++i) {
    size_t d = rank - count + i;
    Dim room = in.shape[d] - Dim(1 + ((*sizes)[i] - 1) * (*dilations)[i]);
    if (auto n = room.constant(); n && *n < 0)
      return fail(Diag::WindowTooLarge, c.where, {std::to_string((*sizes)[i]), in.shape[d].str()});
    shape[d] = room.floorDiv((*strides)[i]) + Dim(1);
    shape.push_back((*sizes)[i]);
    map[d].terms = {{uint32_t(d), (*strides)[i]}, {uint32_t(rank + i), (*dilations)[i]}};
  }
  return tensorVal(rec->view(c.args[0]->value.tensor, shape, map));
}

Val Checker::builtinFull(const BuiltinCall &c) {
  auto shape = dimsOf(c.args[0]->value, c.args[0]->where, "full");
  if (!shape)
    return {};
  Elem elem = c.args[1]->value.is(Val::Kind::Tensor) ? c.args[1]->value.type.elem : Elem::F32;
  auto t = toTensor(c.args[1]->value, elem, c.args[1]->where);
  if (!t)
    return {};
  if (!rec->type(*t).shape.empty())
    return fail(Diag::CannotApply, c.args[1]->where, {"full", describe(c.args[1]->value)});
  return tensorVal(rec->broadcast(*t, *shape));
}

Val Checker::builtinLike(const BuiltinCall &c) {
  if (!needTensor(c.args[0], c.builtin->name))
    return {};
  return tensorVal(rec->constant(c.builtin->name[0] == 'o', typeOf(c.args[0])));
}

Val Checker::builtinIota(const BuiltinCall &c) {
  auto shape = dimsOf(c.args[0]->value, c.args[0]->where, "iota");
  if (!shape)
    return {};
  if (shape->size() != 1)
    return fail(Diag::NeedsSizes, c.args[0]->where, {"iota", "a list"});
  return tensorVal(rec->add(Op::Iota, {}, {Elem::I32, *shape, 0}, {{"dim", int64_t(0)}}));
}

Val Checker::builtinRandom(const BuiltinCall &c) {
  auto shape = dimsOf(c.args[0]->value, c.args[0]->where, "random");
  return shape ? tensorVal(rec->random(*shape)) : Val{};
}

Val Checker::builtinRandomLike(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "random_like"))
    return {};
  return tensorVal(rec->random(typeOf(c.args[0]).shape));
}

Val Checker::builtinGather(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "gather") || !needTensor(c.args[1], "gather"))
    return {};
  const TensorType table = typeOf(c.args[0]), ids = typeOf(c.args[1]);
  if ((ids.elem != Elem::I32 && ids.elem != Elem::I64) || table.shape.empty())
    return fail(Diag::GatherTypes, c.where, {table.str(), ids.str()});
  // Positions, 0, 1, ...: of a size that is known there may be as many as the table has (a run sees to others: Requirements.h).
  if (const Node *made = rec->maker(c.args[1]->value.tensor); made && made->op == Op::Iota && ids.shape.size() == 1)
    if (auto over = (ids.shape[0] - table.shape[0]).constant(); over && *over > 0)
      return fail(Diag::PositionsBeyondTable, c.where, {ids.shape[0].str(), table.shape[0].str()});
  std::vector<Dim> shape = ids.shape;
  shape.insert(shape.end(), table.shape.begin() + 1, table.shape.end());
  return tensorVal(rec->add(Op::Gather, {c.args[0]->value.tensor, c.args[1]->value.tensor}, {table.elem, shape, 0}));
}

Val Checker::builtinScatterAdd(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "scatter_add") || !needTensor(c.args[1], "scatter_add"))
    return {};
  const TensorType updates = typeOf(c.args[0]), ids = typeOf(c.args[1]);
  auto size = dimsOf(c.args[2]->value, c.args[2]->where, "scatter_add");
  if (!size)
    return {};
  bool fits = (ids.elem == Elem::I32 || ids.elem == Elem::I64) && size->size() == 1 &&
              updates.shape.size() >= ids.shape.size() &&
              std::equal(ids.shape.begin(), ids.shape.end(), updates.shape.begin());
  if (!fits)
    return fail(Diag::ScatterTypes, c.where, {updates.str(), ids.str()});
  std::vector<Dim> shape = *size;
  shape.insert(shape.end(), updates.shape.begin() + ids.shape.size(), updates.shape.end());
  return tensorVal(
      rec->add(Op::ScatterAdd, {c.args[0]->value.tensor, c.args[1]->value.tensor}, {updates.elem, shape, 0}));
}

// The picture and, where given, the size of the result.
static std::optional<TensorType> pictureType(Checker &k, const BuiltinCall &c, const Given *height, const Given *width) {
  if (!k.needTensor(c.args[0], c.builtin->name))
    return std::nullopt;
  TensorType t = k.typeOf(c.args[0]);
  if (t.elem != Elem::F32 || t.shape.size() != 4) {
    k.fail(Diag::NeedsPictures, c.args[0]->where, {c.builtin->name, t.str()});
    return std::nullopt;
  }
  const Given *sizes[] = {height, width};
  for (int i = 0; i < 2; ++i)
    if (sizes[i]) {
      auto d = k.dimsOf(sizes[i]->value, sizes[i]->where, c.builtin->name);
      if (!d || d->size() != 1)
        return std::nullopt;
      t.shape[2 + i] = (*d)[0];
    }
  return t;
}

Val Checker::builtinWarp(const BuiltinCall &c) {
  if (c.args[0]->value.is(Val::Kind::Image))
    return flowWarp(c);
  auto t = pictureType(*this, c, c.args[2], c.args[3]);
  if (!t || !needTensor(c.args[1], "warp"))
    return {};
  const TensorType m = typeOf(c.args[1]);
  if (m.elem != Elem::F32 || m.shape != std::vector<Dim>{t->shape[0], Dim(2), Dim(3)})
    return fail(Diag::WarpMatrix, c.args[1]->where, {t->shape[0].str(), m.str()});
  double fill = 0;
  if (c.args[4]) {
    auto n = plainNumber(c.args[4]->value, c.args[4]->where, "`fill`");
    if (!n)
      return {};
    fill = *n;
  }
  return tensorVal(rec->add(Op::Warp, {c.args[0]->value.tensor, c.args[1]->value.tensor}, *t, {{"fill", fill}}));
}

Val Checker::builtinResize(const BuiltinCall &c) {
  auto t = pictureType(*this, c, c.args[1], c.args[2]);
  if (!t)
    return {};
  std::string mode = "bilinear";
  if (c.args[3]) {
    const Val &m = c.args[3]->value;
    mode = m.text;
    if (!m.is(Val::Kind::Word) && !m.is(Val::Kind::String))
      return fail(Diag::ResizeMode, c.args[3]->where, {describe(m)});
    if (mode != "nearest" && mode != "bilinear" && mode != "bicubic" && mode != "area")
      return fail(Diag::ResizeMode, c.args[3]->where, {"`" + mode + "`"});
  }
  int64_t antialias = c.args[4] && c.args[4]->value.is(Val::Kind::Bool) && c.args[4]->value.boolean;
  return tensorVal(rec->add(Op::Resize, {c.args[0]->value.tensor}, *t, {{"mode", mode}, {"antialias", antialias}}));
}

} // namespace bigm::sema
