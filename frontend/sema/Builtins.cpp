// The operations that a program can call. Everything else (layers, losses, metrics, ...) is written in the language.
#include "Flow.h"
#include <sstream>

namespace bigm::sema {

static const std::vector<Builtin> &builtins() {
  using C = Checker;
  auto unary = [](const char *name, Op op) { return Builtin{name, "x", &C::builtinPointwise, int(op)}; };
  static const std::vector<Builtin> table = {
      unary("abs", Op::Abs), unary("sign", Op::Sign), unary("exp", Op::Exp), unary("log", Op::Log),
      unary("log1p", Op::Log1p), unary("expm1", Op::Expm1), unary("sqrt", Op::Sqrt), unary("rsqrt", Op::Rsqrt),
      unary("sin", Op::Sin), unary("cos", Op::Cos), unary("atan", Op::Atan),
      unary("tanh", Op::Tanh), unary("erf", Op::Erf),
      unary("sigmoid", Op::Sigmoid), unary("floor", Op::Floor), unary("ceil", Op::Ceil), unary("round", Op::Round),
      {"pow", "x y", &C::builtinPointwise, int(Op::Pow)},
      {"mod", "x y", &C::builtinPointwise, int(Op::Mod)},
      {"maximum", "x y", &C::builtinPointwise, int(Op::Max)},
      {"minimum", "x y", &C::builtinPointwise, int(Op::Min)},
      {"select", "condition a b", &C::builtinSelect, kElementwise},
      {"f32", "x", &C::builtinCast, kElementwise},
      {"f64", "x", &C::builtinCast, kElementwise},
      {"bf16", "x", &C::builtinCast, kElementwise},
      {"f16", "x", &C::builtinCast, kElementwise},
      {"i64", "x", &C::builtinCast, kElementwise},
      {"i32", "x", &C::builtinCast, kElementwise},
      {"u8", "x", &C::builtinCast, kElementwise},
      {"i8", "x", &C::builtinCast, kElementwise},
      {"sum", "x axis? keep? except?", &C::builtinSum},
      {"mean", "x axis? keep? except?", &C::builtinMean},
      {"prod", "x axis? keep? except?", &C::builtinProd},
      {"max", "x y? axis? keep? except?", &C::builtinMax, kElementwise},
      {"min", "x y? axis? keep? except?", &C::builtinMin, kElementwise},
      {"argmax", "x axis", &C::builtinArgMax},
      {"argmin", "x axis", &C::builtinArgMin},
      {"reshape", "x shape", &C::builtinReshape},
      {"merge", "x first last", &C::builtinMerge},
      {"transpose", "x order", &C::builtinTranspose},
      {"flip", "x axis", &C::builtinFlip},
      {"concat", "list axis?", &C::builtinConcat},
      {"stack", "list axis?", &C::builtinStack},
      {"pad", "x low high? interior? value?", &C::builtinPad},
      {"broadcast", "x shape", &C::builtinBroadcast},
      {"full", "shape value", &C::builtinFull},
      {"zeros_like", "x", &C::builtinLike},
      {"ones_like", "x", &C::builtinLike},
      {"iota", "size", &C::builtinIota},
      {"random", "shape", &C::builtinRandom},
      {"random_like", "x", &C::builtinRandomLike},
      {"gather", "table ids", &C::builtinGather},
      {"scatter_add", "updates ids size", &C::builtinScatterAdd},
      {"warp", "x matrix height? width? fill?", &C::builtinWarp},
      {"resample", "x height width mode? antialias?", &C::builtinResize},
      {"attend", "q k v mask? causal? bias? scale? window?", &C::builtinAttend},
      {"tokenizer", "file at_most?", &C::builtinTokenizer},
      {"tokens", "text by at_most? length? special? around?", &C::builtinTokens},
      {"pieces", "list by at_most? length? special?", &C::builtinPieces},
      {"starts", "ids", &C::builtinStarts},
      {"generate", "ids model at_most? temperature? top_p? top_k? repetition? beams? seed? stop? end?", &C::flowGenerate},
      {"lengths", "ids", &C::builtinLengths},
      {"present", "ids", &C::builtinPresent},
      {"best", "x", &C::builtinBest},
      {"pixels", "image height width mode? channels?", &C::flowPixels},
      {"fit_into", "image height width value?", &C::flowFitInto},
      {"cut", "image box", &C::flowCut},
      {"blur", "image sigma", &C::flowBlur},
      {"nms", "boxes scores score? iou? at_most? soft?", &C::flowNms},
      {"count", "list", &C::flowCount},
      {"sort", "list by?", &C::flowChoose},
      {"at_most", "list count by?", &C::flowChoose},
      {"best_or_none", "list by?", &C::flowChoose},
      {"union", "a b", &C::flowUnion},
      {"flat", "list", &C::flowFlat},
      {"beside", "list rows", &C::flowBeside},
      {"gradient", "y of", &C::builtinGradient},
      {"stop_gradient", "x", &C::builtinStopGradient},
      {"size", "x axis?", &C::builtinSize},
      {"rank", "x", &C::builtinRank},
      {"shape", "x", &C::builtinShape},
      {"lead", "x", &C::builtinLead},
      {"windows", "x size stride? dilation?", &C::builtinWindows},
      {"along", "x like axis", &C::builtinAlong},
  };
  return table;
}

const Builtin *Checker::findBuiltin(const std::string &name) const {
  static const std::map<std::string, const Builtin *> byName = [] {
    std::map<std::string, const Builtin *> m;
    for (const Builtin &b : builtins())
      m[b.name] = &b;
    return m;
  }();
  auto found = byName.find(name);
  return found == byName.end() ? nullptr : found->second;
}

std::vector<std::string> Checker::builtinNames() const {
  std::vector<std::string> names;
  for (const Builtin &b : builtins())
    names.push_back(b.name);
  return names;
}

Val Checker::callBuiltin(const Builtin &b, const Args &args, SourceRange where) {
  std::vector<std::string> names;
  std::vector<bool> optional;
  std::istringstream in(b.parameters);
  for (std::string word; in >> word;) {
    optional.push_back(word.back() == '?');
    if (optional.back())
      word.pop_back();
    names.push_back(word);
  }
  BuiltinCall call{&b, std::vector<const Given *>(names.size()), where};
  size_t next = 0;
  for (auto &a : args) {
    size_t slot = names.size();
    if (a.name.empty()) {
      slot = next++;
    } else {
      slot = std::find(names.begin(), names.end(), a.name) - names.begin();
      if (slot == names.size()) {
        std::string near = didYouMean(a.name, names);
        return fail(Diag::UnknownSetting, a.told(), {b.name, a.name},
                    near.empty() ? "its parameters are " + std::string(b.parameters) : "did you mean `" + near + "`?");
      }
    }
    if (slot >= names.size())
      return fail(Diag::TooManyArguments, a.where, {b.name, counted(names.size(), "argument")});
    if (call.args[slot])
      return fail(Diag::SettingTwice, a.told(), {b.name, names[slot]});
    call.args[slot] = &a;
  }
  for (size_t i = 0; i < names.size(); ++i)
    if (!call.args[i] && !optional[i])
      return fail(Diag::MissingArgument, where, {b.name, names[i]});
  for (auto *a : call.args)
    if (a && a->value.poison())
      return {};
  for (auto *a : call.args)
    if (a && a->value.is(Val::Kind::Unknown))
      return Val::unknown();
  return (this->*b.run)(call);
}

bool Checker::readNumbers(const BuiltinCall &call, size_t first, std::span<const NumberSetting> numbers, Spec &settings) {
  for (const NumberSetting &number : numbers) {
    const Given *given = call.args[first++];
    if (!given)
      continue;
    if (flow && given->value.is(Val::Kind::Tensor) && !number.whole)
      if (auto fitted = flow->fitted.find(given->value.tensor); fitted != flow->fitted.end()) {
        settings.options[number.name] = "=" + fitted->second;
        continue;
      }
    auto n = plainNumber(given->value, given->where, "`" + std::string(number.name) + "`");
    if (!n)
      return false;
    if (!(*n >= number.least && *n <= number.most) || (number.whole && *n != double(int64_t(*n)))) {
      fail(Diag::ArgumentKind, given->where, {call.builtin->name, number.name, number.range, source(given->where)});
      return false;
    }
    settings.options[number.name] = *n;
  }
  return true;
}

bool Checker::needTensor(const Given *arg, const std::string &what) {
  if (arg->value.is(Val::Kind::Tensor))
    return true;
  if (!arg->value.poison())
    fail(Diag::CannotApply, arg->where, {what, describe(arg->value)});
  return false;
}

std::optional<std::vector<Dim>> Checker::dimsOf(const Val &v, SourceRange where, const std::string &what) {
  std::vector<Dim> dims;
  auto one = [&](const Val &item) {
    if (item.is(Val::Kind::Int)) {
      dims.push_back(item.integer);
      return true;
    }
    if (!item.poison() && !item.is(Val::Kind::Unknown))
      fail(Diag::NeedsSizes, where, {what, describe(item)}, "write a list such as `[N, 3 * H]`");
    return false;
  };
  if (!v.is(Val::Kind::List))
    return one(v) ? std::optional(dims) : std::nullopt;
  for (const Val &item : v.items) { // `[lead(x), 4]`: lists in the list are joined
    if (!item.is(Val::Kind::List)) {
      if (!one(item))
        return std::nullopt;
      continue;
    }
    for (const Val &inner : item.items)
      if (!one(inner))
        return std::nullopt;
  }
  return dims;
}

std::optional<std::vector<int64_t>> Checker::axesOf(const Given *arg, size_t rank, const std::string &what) {
  std::vector<int64_t> axes;
  if (!arg) {
    for (size_t i = 0; i < rank; ++i)
      axes.push_back(i);
    return axes;
  }
  const std::vector<Val> list = arg->value.is(Val::Kind::List) ? arg->value.items : std::vector<Val>{arg->value};
  for (const Val &item : list) {
    auto n = wholeNumber(item, arg->where, "an axis");
    if (!n)
      return std::nullopt;
    int64_t axis = *n < 0 ? *n + int64_t(rank) : *n;
    if (axis < 0 || axis >= int64_t(rank)) {
      fail(Diag::AxisOutOfRange, arg->where, {what, std::to_string(*n), std::to_string(rank)});
      return std::nullopt;
    }
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) {
      fail(Diag::AxisTwice, arg->where, {what, std::to_string(*n)});
      return std::nullopt;
    }
    axes.push_back(axis);
  }
  return axes;
}

Val Checker::builtinPointwise(const BuiltinCall &c) {
  std::vector<Val> operands;
  for (auto *a : c.args)
    operands.push_back(a->value);
  return pointwise(Op(c.builtin->op), operands, c.where, c.builtin->name);
}

Val Checker::builtinSelect(const BuiltinCall &c) {
  return select(c.args[0]->value, c.args[1]->value, c.args[2]->value, c.where);
}

Val Checker::builtinCast(const BuiltinCall &c) {
  static const std::map<std::string, Elem> elems = {{"f32", Elem::F32},   {"f64", Elem::F64}, {"bf16", Elem::BF16},
                                                    {"f16", Elem::F16},   {"i64", Elem::I64}, {"i32", Elem::I32},
                                                    {"u8", Elem::U8},     {"i8", Elem::I8}};
  return castTo(elems.at(c.builtin->name), c.args[0]->value, c.where);
}

// `options` is where axis, keep and except stand among the arguments.
/// mean([a, b, c]), and the other reductions: element by element over tensors of one type.
Val Checker::reduceList(Op op, const BuiltinCall &c, bool mean) {
  static const std::map<Op, Op> pairwise = {{Op::ReduceSum, Op::Add}, {Op::ReduceMax, Op::Max}, {Op::ReduceMin, Op::Min}, {Op::ReduceProd, Op::Mul}};
  const std::vector<Val> &items = c.args[0]->value.items;
  const TensorType type = items[0].type;
  Value all = items[0].tensor;
  for (size_t i = 1; i < items.size(); ++i) {
    if (items[i].type.shape != type.shape || items[i].type.elem != type.elem)
      return fail(Diag::CannotCombine, c.args[0]->where, {c.builtin->name, type.str(), items[i].type.str()});
    all = rec->add(pairwise.at(op), {all, items[i].tensor}, type);
  }
  if (!mean)
    return tensorVal(all);
  if (type.elem != Elem::F32 && type.elem != Elem::F64)
    return fail(Diag::NeedsFloat, c.where, {"mean", type.str()}, "convert it with `f32(...)`");
  return tensorVal(rec->add(Op::Div, {all, rec->constant(double(items.size()), type)}, type));
}

Val Checker::reduction(Op op, const BuiltinCall &c, size_t options, bool mean) {
  const Given *axis = c.args[options], *keep = c.args[options + 1], *except = c.args[options + 2];
  const Val &x = c.args[0]->value;
  if (x.numeric())
    return x;
  if (x.is(Val::Kind::List) && !axis && !keep && !except && !x.items.empty() &&
      std::all_of(x.items.begin(), x.items.end(), [](const Val &v) { return v.is(Val::Kind::Tensor); }))
    return reduceList(op, c, mean);
  if (x.is(Val::Kind::Elements) && !axis && !keep && !except)
    return reduceElements(c);
  if (!needTensor(c.args[0], c.builtin->name))
    return {};
  if (x.type.elem == Elem::Bool)
    return fail(Diag::CannotApply, c.where, {c.builtin->name, x.type.str()}, "write `f32(...)` to count `true` as 1");
  auto axes = axesOf(axis, x.type.shape.size(), c.builtin->name);
  if (axes && except) {
    auto kept = axesOf(except, x.type.shape.size(), c.builtin->name);
    if (!kept)
      return {};
    axes->erase(std::remove_if(axes->begin(), axes->end(),
                               [&](int64_t a) { return std::find(kept->begin(), kept->end(), a) != kept->end(); }),
                axes->end());
  }
  if (!axes)
    return {};
  bool keepDims = keep && keep->value.is(Val::Kind::Bool) && keep->value.boolean;
  Value v = rec->reduce(op, x.tensor, *axes);
  if (mean) {
    if (x.type.elem != Elem::F32 && x.type.elem != Elem::F64)
      return fail(Diag::NeedsFloat, c.where, {"mean", x.type.str()}, "convert it with `f32(...)`");
    Dim count = 1;
    for (int64_t a : *axes)
      count = count * x.type.shape[a];
    TensorType t = rec->type(v);
    v = rec->add(Op::Div, {v, rec->broadcast(rec->dimension(count, t.elem), t.shape)}, t);
  }
  if (keepDims) {
    std::vector<Dim> shape = x.type.shape;
    for (int64_t a : *axes)
      shape[a] = 1;
    v = rec->reshape(v, shape);
  }
  return tensorVal(v);
}

Val Checker::builtinSum(const BuiltinCall &c) { return reduction(Op::ReduceSum, c, 1); }
Val Checker::builtinMean(const BuiltinCall &c) { return reduction(Op::ReduceSum, c, 1, true); }
Val Checker::builtinProd(const BuiltinCall &c) { return reduction(Op::ReduceProd, c, 1); }
Val Checker::builtinMax(const BuiltinCall &c) {
  if (c.args[1])
    return pointwise(Op::Max, {c.args[0]->value, c.args[1]->value}, c.where, "max");
  return reduction(Op::ReduceMax, c, 2);
}
Val Checker::builtinMin(const BuiltinCall &c) {
  if (c.args[1])
    return pointwise(Op::Min, {c.args[0]->value, c.args[1]->value}, c.where, "min");
  return reduction(Op::ReduceMin, c, 2);
}

static Val argReduce(Checker &k, Op op, const BuiltinCall &c) {
  if (!k.needTensor(c.args[0], c.builtin->name))
    return {};
  const TensorType &t = k.typeOf(c.args[0]);
  auto axes = k.axesOf(c.args[1], t.shape.size(), c.builtin->name);
  if (!axes)
    return {};
  if (axes->size() != 1)
    return k.fail(Diag::NeedsOneAxis, c.args[1]->where, {c.builtin->name});
  std::vector<Dim> shape = t.shape;
  shape.erase(shape.begin() + (*axes)[0]);
  return k.tensorVal(k.rec->add(op, {c.args[0]->value.tensor}, {Elem::I32, shape, 0}, {{"dim", (*axes)[0]}}));
}
Val Checker::builtinArgMax(const BuiltinCall &c) { return argReduce(*this, Op::ArgMax, c); }
Val Checker::builtinArgMin(const BuiltinCall &c) { return argReduce(*this, Op::ArgMin, c); }

Val Checker::builtinSize(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "size"))
    return {};
  const TensorType &t = typeOf(c.args[0]);
  auto axes = axesOf(c.args[1], t.shape.size(), "size");
  if (!axes)
    return {};
  Dim product = 1;
  for (int64_t a : *axes)
    product = product * t.shape[a];
  return Val::of(product);
}

Val Checker::builtinRank(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "rank"))
    return {};
  return Val::of(Dim(int64_t(typeOf(c.args[0]).shape.size())));
}

Val Checker::builtinGradient(const BuiltinCall &c) {
  if (!needTensor(c.args[0], "gradient"))
    return {};
  if (!typeOf(c.args[0]).shape.empty() || typeOf(c.args[0]).elem != Elem::F32)
    return fail(Diag::GradientOfScalar, c.args[0]->where, {typeOf(c.args[0]).str()});
  const Val &of = c.args[1]->value;
  std::vector<Value> by;
  for (const Val &v : of.is(Val::Kind::List) ? of.items : std::vector<Val>{of}) {
    if (!v.is(Val::Kind::Tensor))
      return fail(Diag::CannotApply, c.args[1]->where, {"gradient", describe(v)});
    by.push_back(v.tensor);
  }
  if (!differentiable(c.args[0]->value.tensor, by, "the first argument of `gradient`"))
    return {};
  std::vector<Value> results = rec->gradient(c.args[0]->value.tensor, by);
  if (!of.is(Val::Kind::List))
    return tensorVal(results[0]);
  Val out;
  out.kind = Val::Kind::List;
  for (Value v : results)
    out.items.push_back(tensorVal(v));
  return out;
}

Val Checker::builtinStopGradient(const BuiltinCall &c) {
  if (c.args[0]->value.numeric())
    return c.args[0]->value;
  if (!needTensor(c.args[0], "stop_gradient"))
    return {};
  return tensorVal(rec->add(Op::StopGradient, {c.args[0]->value.tensor}, typeOf(c.args[0])));
}

} // namespace bigm::sema
