#include "backends/onnx/Sheet.h"
#include <algorithm>

namespace mlir::bigm::to_onnx {

int32_t codeOf(Type element) {
  using P = ::onnx::TensorProto;
  if (element.isF32())
    return P::FLOAT;
  if (element.isF64())
    return P::DOUBLE;
  if (element.isF16())
    return P::FLOAT16;
  if (element.isBF16())
    return P::BFLOAT16;
  if (element.isUnsignedInteger(8))
    return P::UINT8;
  switch (element.getIntOrFloatBitWidth()) {
  case 1: return P::BOOL;
  case 8: return P::INT8;
  case 32: return P::INT32;
  default: return P::INT64;
  }
}

Name Sheet::fresh(const std::string &wish) {
  Name name = wish;
  for (int &n = counts[wish]; !taken.insert(name).second;)
    name = wish + "_" + std::to_string(n = std::max(n + 1, 2));
  return name;
}

::onnx::NodeProto &Sheet::node(::onnx::GraphProto &in, const std::string &op) {
  ::onnx::NodeProto &node = *in.add_node();
  // As exporters write them: the scopes parted by slashes, then the operator.
  std::string path = scope.empty() ? "" : "/" + scope;
  std::replace(path.begin(), path.end(), '.', '/');
  node.set_name(fresh(path + "/" + op));
  node.set_op_type(op);
  return node;
}

size_t Sheet::depthOf(const Name &x) const {
  auto known = depths.find(x);
  return known == depths.end() ? 0 : known->second;
}

Name Sheet::add(const std::string &op, const std::vector<Name> &in, const Attributes &attributes) {
  size_t depth = 0;
  for (const Name &name : in)
    depth = std::max(depth, depthOf(name));
  ::onnx::NodeProto &node = this->node(*graphs[depth], op);
  for (const Name &name : in)
    node.add_input(name);
  for (const NodeAttribute &a : attributes) {
    auto &proto = *node.add_attribute();
    proto.set_name(a.name);
    if (auto *number = std::get_if<int64_t>(&a.value)) {
      proto.set_type(::onnx::AttributeProto::INT);
      proto.set_i(*number);
    } else if (auto *real = std::get_if<float>(&a.value)) {
      proto.set_type(::onnx::AttributeProto::FLOAT);
      proto.set_f(*real);
    } else if (auto *text = std::get_if<std::string>(&a.value)) {
      proto.set_type(::onnx::AttributeProto::STRING);
      proto.set_s(*text);
    } else {
      proto.set_type(::onnx::AttributeProto::INTS);
      for (int64_t i : std::get<std::vector<int64_t>>(a.value))
        proto.add_ints(i);
    }
  }
  Name out = fresh(node.name() + "_output");
  node.add_output(out);
  if (depth)
    depths[out] = depth;
  return out;
}

void Sheet::declare(::onnx::ValueInfoProto &info, const Name &name, Type type) {
  info.set_name(name);
  auto &tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(codeOf(cast<RankedTensorType>(type).getElementType()));
  auto &shape = *tensor.mutable_shape();
  for (AffineExpr size : sizesOf(type)) {
    auto &dim = *shape.add_dim();
    if (auto number = dyn_cast<AffineConstantExpr>(size))
      dim.set_dim_value(number.getValue());
    else if (auto symbol = dyn_cast<AffineSymbolExpr>(size))
      dim.set_dim_param(symbols[symbol.getPosition()]);
  }
}

// ---------------------------------------------------------------- graphs in nodes

Name Sheet::inside(const std::string &wish) {
  Name name = fresh(wish);
  depths[name] = graphs.size() - 1;
  return name;
}

void Sheet::identity(const Name &x, const Name &as) {
  ::onnx::NodeProto &same = node(*graphs.back(), "Identity");
  same.add_input(x);
  same.add_output(as);
}

std::vector<Name> Sheet::scan(const std::vector<Name> &in, int64_t rows, size_t results, bool reverse, ::onnx::GraphProto &&body) {
  ::onnx::NodeProto &scan = node(*graphs.back(), "Scan");
  body.set_name(scan.name());
  const int states = int(in.size()) - int(rows);
  auto attribute = [&](const char *name, auto type) -> ::onnx::AttributeProto & {
    auto &made = *scan.add_attribute();
    made.set_name(name);
    made.set_type(type);
    return made;
  };
  attribute("num_scan_inputs", ::onnx::AttributeProto::INT).set_i(rows);
  if (reverse) {
    auto &back = attribute("scan_input_directions", ::onnx::AttributeProto::INTS);
    for (int64_t i = 0; i < rows; ++i)
      back.add_ints(1);
    if (int stacked = int(results) - states; stacked > 0) {
      auto &front = attribute("scan_output_directions", ::onnx::AttributeProto::INTS);
      for (int i = 0; i < stacked; ++i)
        front.add_ints(1);
    }
  }
  attribute("body", ::onnx::AttributeProto::GRAPH).mutable_g()->Swap(&body);
  for (const Name &name : in)
    scan.add_input(name);
  std::vector<Name> out;
  for (size_t i = 0; i < results; ++i) {
    out.push_back(inside(scan.name() + "_output"));
    scan.add_output(out.back());
  }
  return out;
}

Name Sheet::once(const std::string &op, const std::vector<Name> &in, const Attributes &attributes) {
  std::string key = op;
  for (const Name &name : in)
    key += "\n" + name;
  for (const NodeAttribute &a : attributes)
    key += "\n" + std::string(a.name) + (std::holds_alternative<int64_t>(a.value) ? std::to_string(std::get<int64_t>(a.value)) : "");
  auto found = known.find(key);
  return found != known.end() ? found->second : known[key] = add(op, in, attributes);
}

// ---------------------------------------------------------------- constants

Name Sheet::initializer(const std::string &wish, int32_t type, ArrayRef<int64_t> shape, std::string bytes) {
  std::string key = std::to_string(type);
  for (int64_t size : shape)
    key += "," + std::to_string(size);
  key += ":" + bytes;
  auto found = constants.find(key);
  if (found != constants.end())
    return found->second;
  auto &proto = *graph.add_initializer();
  proto.set_name(fresh(wish));
  proto.set_data_type(type);
  for (int64_t size : shape)
    proto.add_dims(size);
  proto.set_raw_data(std::move(bytes));
  return constants[key] = proto.name();
}

Name Sheet::numbers(Type element, ArrayRef<double> numbers, ArrayRef<int64_t> shape) {
  std::string bytes;
  auto put = [&](auto value, size_t size) { bytes.append(reinterpret_cast<const char *>(&value), size); };
  for (double number : numbers) {
    if (auto real = dyn_cast<FloatType>(element)) {
      APFloat rounded(number);
      bool loses;
      rounded.convert(real.getFloatSemantics(), APFloat::rmNearestTiesToEven, &loses);
      put(rounded.bitcastToAPInt().getZExtValue(), real.getWidth() / 8);
    } else {
      // Infinities are the extremes, as the identities of reductions over integers.
      int64_t whole = number >= 0x1p63 ? INT64_MAX : number <= -0x1p63 ? INT64_MIN : int64_t(number);
      put(whole, std::max(1u, element.getIntOrFloatBitWidth() / 8));
    }
  }
  return initializer("constant", codeOf(element), shape, std::move(bytes));
}
Name Sheet::scalar(Type element, double number) { return numbers(element, {number}, {}); }

Name Sheet::ints(ArrayRef<int64_t> values, ArrayRef<int64_t> shape) {
  return initializer("constant", ::onnx::TensorProto::INT64, shape,
                     std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(int64_t)));
}

// ---------------------------------------------------------------- sizes

Name Sheet::symbol(unsigned position) {
  for (const Place &place : places) {
    auto read = [&] { return once("Shape", {place.input}, {{"start", place.dim}, {"end", place.dim + 1}}); };
    if (auto s = dyn_cast<AffineSymbolExpr>(place.size); s && s.getPosition() == position)
      return read();
  }
  // An input of 2*N + 1: a multiple of the symbol and a number.
  for (const Place &place : places) {
    SmallVector<AffineExpr> dims(symbols.size(), getAffineConstantExpr(0, place.size.getContext()));
    dims[position] = getAffineDimExpr(0, place.size.getContext());
    auto line = linear(place.size.replaceSymbols(dims), 1);
    bool alone = line && line->coefficients[0] > 0;
    for (unsigned other = 0; other < symbols.size(); ++other)
      alone &= other == position || !place.size.isFunctionOfSymbol(other);
    if (!alone)
      continue;
    Name size = once("Shape", {place.input}, {{"start", place.dim}, {"end", place.dim + 1}});
    return once("Div", {once("Sub", {size, ints({line->offset})}), ints({line->coefficients[0]})});
  }
  throw NoForm{"the size `" + symbols[position] + "` is not the size of an input"};
}

Name Sheet::dim(AffineExpr size) {
  if (auto number = dyn_cast<AffineConstantExpr>(size))
    return ints({number.getValue()});
  if (auto s = dyn_cast<AffineSymbolExpr>(size))
    return symbol(s.getPosition());
  auto both = cast<AffineBinaryOpExpr>(size);
  Name left = dim(both.getLHS()), right = dim(both.getRHS());
  switch (size.getKind()) {
  case AffineExprKind::Add: return once("Add", {left, right});
  case AffineExprKind::Mul: return once("Mul", {left, right});
  case AffineExprKind::FloorDiv: return once("Div", {left, right}); // sizes: no negative numerators
  case AffineExprKind::Mod: return once("Mod", {left, right});
  default: throw NoForm{"a size of the kind a / b rounded up"};
  }
}
Name Sheet::dimScalar(AffineExpr size) {
  if (auto number = dyn_cast<AffineConstantExpr>(size))
    return ints({number.getValue()}, {});
  return once("Squeeze", {dim(size)});
}

Name Sheet::shape(ArrayRef<AffineExpr> sizes) {
  std::vector<Name> parts;
  SmallVector<int64_t> run; // of known sizes
  auto flush = [&] {
    if (!run.empty())
      parts.push_back(ints(run));
    run.clear();
  };
  for (AffineExpr size : sizes) {
    if (auto number = dyn_cast<AffineConstantExpr>(size)) {
      run.push_back(number.getValue());
      continue;
    }
    flush();
    parts.push_back(dim(size));
  }
  flush();
  if (parts.empty())
    return ints({});
  return parts.size() == 1 ? parts[0] : once("Concat", parts, {{"axis", int64_t(0)}});
}

Name Sheet::iota(AffineExpr size, unsigned at, unsigned rank) {
  SmallVector<int64_t> shape(rank, 1);
  auto number = dyn_cast<AffineConstantExpr>(size);
  if (number && number.getValue() <= 65536) {
    SmallVector<int64_t> all;
    for (int64_t i = 0; i < number.getValue(); ++i)
      all.push_back(i);
    shape[at] = number.getValue();
    return ints(all, shape);
  }
  Name range = once("Range", {ints({0}, {}), dimScalar(size), ints({1}, {})});
  if (rank == 1)
    return range;
  shape[at] = -1;
  return once("Reshape", {range, ints(shape)});
}

// ---------------------------------------------------------------- operators

Name Sheet::cast(const Name &x, Type to) { return add("Cast", {x}, {{"to", int64_t(codeOf(to))}}); }
Name Sheet::squeeze(const Name &x, ArrayRef<int64_t> axes) {
  return axes.empty() ? x : add("Squeeze", {x, ints(axes)});
}
Name Sheet::unsqueeze(const Name &x, ArrayRef<int64_t> axes) {
  return axes.empty() ? x : add("Unsqueeze", {x, ints(axes)});
}
Name Sheet::transpose(const Name &x, ArrayRef<int64_t> order) {
  if (llvm::is_sorted(order))
    return x;
  return add("Transpose", {x}, {{"perm", std::vector<int64_t>(order.begin(), order.end())}});
}

Name Sheet::reshape(const Name &x, ArrayRef<AffineExpr> from, ArrayRef<AffineExpr> to) {
  if (from == to)
    return x;
  auto before = reshaped.find(x);
  if (before != reshaped.end()) {
    auto [source, sizes] = before->second;
    return reshape(source, sizes, to);
  }
  // One size that is not known is what is left; others that stand where they stood are kept.
  SmallVector<int64_t> simple;
  unsigned open = llvm::count_if(to, [](AffineExpr size) { return !isa<AffineConstantExpr>(size); });
  for (auto [i, size] : llvm::enumerate(to)) {
    if (auto number = dyn_cast<AffineConstantExpr>(size)) {
      simple.push_back(number.getValue());
    } else if (open > 1 && i < from.size() && from[i] == size) {
      simple.push_back(0);
      --open;
    } else {
      simple.push_back(-1);
    }
  }
  Name y = add("Reshape", {x, llvm::count(simple, -1) <= 1 ? ints(simple) : shape(to)});
  reshaped[y] = {x, SmallVector<AffineExpr>(from)};
  return y;
}

Name Sheet::expand(const Name &x, ArrayRef<AffineExpr> sizes) { return add("Expand", {x, shape(sizes)}); }

Name Sheet::reduce(const std::string &op, const Name &x, ArrayRef<int64_t> axes) {
  if (axes.empty())
    return x;
  if (op == "ReduceSum" || opset >= 18)
    return add(op, {x, ints(axes)}, {{"keepdims", int64_t(0)}});
  return add(op, {x}, {{"axes", std::vector<int64_t>(axes.begin(), axes.end())}, {"keepdims", int64_t(0)}});
}

} // namespace mlir::bigm::to_onnx
