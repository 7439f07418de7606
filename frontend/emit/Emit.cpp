// Each node of a Function becomes one op: operands by number, types by translation, attributes by name. Nothing is
// decided here; what could be simpler is left to the folders of the dialect. An op without attributes needs no code here:
// it is called alike on both sides.
#include "frontend/emit/Emit.h"
#include "frontend/Graph.h"
#include "ir/Bigm.h"
#include "ir/UsualSizes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
namespace dialect = mlir::bigm;

namespace {

/// One function on its way.
class FunctionEmitter {
public:
  /// The body of a scan has the symbols of the function that it stands in.
  FunctionEmitter(const ::bigm::Function &function, const std::string &name, const std::vector<std::string> &symbolNames,
                  const ::bigm::SourceManager &sources, MLIRContext &context)
      : function(function), name(name), symbolNames(symbolNames), sources(sources), builder(&context) {}

  /// A function of the program, or with `isBody` of a scan.
  void emit(ModuleOp into, bool isBody = false) {
    module = into;
    SmallVector<Type> arguments, results;
    for (const ::bigm::Arg &arg : function.args)
      arguments.push_back(type(arg.type));
    for (const ::bigm::Output &output : function.outputs)
      results.push_back(type(function.types[output.value]));
    builder.setInsertionPointToEnd(module.getBody());
    auto op = func::FuncOp::create(builder, builder.getUnknownLoc(), name,
                                   builder.getFunctionType(arguments, results));
    SmallVector<StringRef> symbols(symbolNames.begin(), symbolNames.end());
    op->setAttr(dialect::attrs::symbols, builder.getStrArrayAttr(symbols));

    Block *body = op.addEntryBlock();
    builder.setInsertionPointToStart(body);
    values.resize(function.types.size());
    for (auto [i, arg] : llvm::enumerate(function.args)) {
      static constexpr const char *roles[] = {"input", "tensor", "seed", "step", "steps"};
      if (isBody) {
        values[i] = body->getArgument(i);
        continue;
      }
      op.setArgAttr(i, dialect::attrs::name, builder.getStringAttr(arg.name));
      op.setArgAttr(i, dialect::attrs::role, builder.getStringAttr(roles[unsigned(arg.role)]));
      if (arg.role == ::bigm::Role::Tensor)
        op.setArgAttr(i, dialect::attrs::tensor, builder.getI64IntegerAttr(arg.tensor));
      values[i] = body->getArgument(i);
      values[i].setLoc(location(arg.where, arg.name));
    }
    for (const ::bigm::Node &node : function.nodes)
      emit(node);
    SmallVector<Value> outputs;
    if (isBody)
      op.setPrivate();
    for (auto [i, output] : llvm::enumerate(function.outputs)) {
      if (!isBody)
        op.setResultAttr(i, dialect::attrs::name, builder.getStringAttr(output.name));
      if (output.tensor >= 0)
        op.setResultAttr(i, dialect::attrs::updates, builder.getI64IntegerAttr(output.tensor));
      outputs.push_back(values[output.value]);
    }
    func::ReturnOp::create(builder, builder.getUnknownLoc(), outputs);
  }

private:
  // ---------------------------------------------------------------- types, sizes, places

  Type element(::bigm::Elem elem) {
    switch (elem) {
    case ::bigm::Elem::F32: return builder.getF32Type();
    case ::bigm::Elem::F64: return builder.getF64Type();
    case ::bigm::Elem::BF16: return builder.getBF16Type();
    case ::bigm::Elem::F16: return builder.getF16Type();
    case ::bigm::Elem::I64: return builder.getI64Type();
    case ::bigm::Elem::I32: return builder.getI32Type();
    case ::bigm::Elem::U8: return builder.getIntegerType(8, /*isSigned=*/false);
    case ::bigm::Elem::I8: return builder.getI8Type();
    case ::bigm::Elem::Bool: return builder.getI1Type();
    }
    llvm_unreachable("an element type");
  }

  AffineExpr size(const ::bigm::Dim &dim) {
    AffineExpr sum = builder.getAffineConstantExpr(0);
    for (auto &[atoms, coefficient] : dim.normalForm()) {
      AffineExpr term = builder.getAffineConstantExpr(coefficient);
      for (const ::bigm::Dim::Atom &atom : atoms)
        term = term * (atom.num ? size(*atom.num).floorDiv(atom.den) : symbol(atom.symbol));
      sum = sum + term;
    }
    return sum;
  }
  AffineExpr symbol(const std::string &name) {
    auto it = llvm::find(symbolNames, name);
    assert(it != symbolNames.end() && "every dimension is over the function's symbols");
    return builder.getAffineSymbolExpr(it - symbolNames.begin());
  }
  SmallVector<AffineExpr> sizes(const std::vector<::bigm::Dim> &dims) {
    SmallVector<AffineExpr> result;
    for (const ::bigm::Dim &dim : dims)
      result.push_back(size(dim));
    return result;
  }
  Type type(const ::bigm::TensorType &tensor) {
    return dialect::tensorType(sizes(tensor.shape), symbolNames.size(), element(tensor.elem));
  }

  Location place(::bigm::SourceRange range) {
    if (!range.valid())
      return builder.getUnknownLoc();
    ::bigm::LineColumn at = sources.place(range.file, range.begin);
    return FileLineColLoc::get(builder.getStringAttr(sources.name(range.file)), at.line, at.column);
  }
  /// With a caller: where the op stands, called from what the user wrote.
  Location location(::bigm::SourceRange range, const std::string &scope, ::bigm::SourceRange caller = {}) {
    Location loc = place(range);
    if (caller.valid())
      loc = CallSiteLoc::get(loc, place(caller));
    return scope.empty() ? loc : NameLoc::get(builder.getStringAttr(scope), loc);
  }

  // ---------------------------------------------------------------- attributes

  template <class T> const T &get(const ::bigm::Node &node, const char *attr) { return std::get<T>(node.attrs.at(attr)); }
  double number(const ::bigm::Node &node, const char *attr) {
    const ::bigm::Attr &value = node.attrs.at(attr);
    if (auto *integer = std::get_if<int64_t>(&value))
      return double(*integer);
    return std::get<double>(value);
  }
  /// Behind queries, keys and values stand the mask, where `masked`, and what is added to scores.
  Value attention(const ::bigm::Node &node, Location loc, ArrayRef<Value> x) {
    bool masked = flag(node, "masked");
    std::optional<double> scale;
    if (node.attrs.count("scale"))
      scale = number(node, "scale");
    Value mask = masked ? x[3] : Value(), bias = x.size() > 3 + size_t(masked) ? x.back() : Value();
    return mlir::bigm::AttentionOp::create(builder, loc, x[0], x[1], x[2], mask, bias, flag(node, "causal") != 0,
                                           /*strict=*/false, scale)
        .getY();
  }
  /// An attribute that may be absent: 0 then.
  int64_t flag(const ::bigm::Node &node, const char *attr) {
    auto it = node.attrs.find(attr);
    return it == node.attrs.end() ? 0 : std::get<int64_t>(it->second);
  }
  AffineMap map(const ::bigm::Node &node, const char *attr, unsigned dims) {
    SmallVector<AffineExpr> indices;
    for (const ::bigm::AffineIndex &index : get<::bigm::AffineIndices>(node, attr)) {
      AffineExpr sum = builder.getAffineConstantExpr(0);
      for (auto [dim, coefficient] : index.terms)
        sum = sum + builder.getAffineDimExpr(dim) * coefficient;
      indices.push_back(sum + index.offset);
    }
    return AffineMap::get(dims, 0, indices, builder.getContext());
  }
  /// Reduced sizes: numbers or dimensions.
  AffineMap reduced(const ::bigm::Node &node) {
    const ::bigm::Attr &attr = node.attrs.at("reduced");
    SmallVector<AffineExpr> exprs;
    if (auto *numbers = std::get_if<std::vector<int64_t>>(&attr))
      for (int64_t n : *numbers)
        exprs.push_back(builder.getAffineConstantExpr(n));
    else
      for (AffineExpr expr : sizes(std::get<std::vector<::bigm::Dim>>(attr)))
        exprs.push_back(dialect::canonical(expr));
    bool dynamic = llvm::any_of(exprs, [](AffineExpr expr) { return !isa<AffineConstantExpr>(expr); });
    return AffineMap::get(0, dynamic ? symbolNames.size() : 0, exprs, builder.getContext());
  }

  // ---------------------------------------------------------------- nodes

  template <class Op> Value reduce(const ::bigm::Node &node, Location loc, Value x) {
    return Op::create(builder, loc, x, get<std::vector<int64_t>>(node, "dims"));
  }

  void emit(const ::bigm::Node &node) {
    SmallVector<Value> operands;
    for (::bigm::Value operand : node.operands)
      operands.push_back(values[operand]);
    Location loc = location(node.where, node.scope, node.caller);
    if (node.op == ::bigm::Op::Gradient) {
      SmallVector<Type> types;
      for (unsigned i = 0; i < node.results; ++i)
        types.push_back(type(function.types[node.first + i]));
      auto op = dialect::GradientOp::create(builder, loc, types, operands[0], ArrayRef(operands).drop_front());
      for (unsigned i = 0; i < node.results; ++i)
        values[node.first + i] = op.getResult(i);
      return;
    }
    if (node.op == ::bigm::Op::Scan)
      return emitScan(node, loc, operands);
    values[node.first] = value(node, loc, type(function.types[node.first]), operands);
  }

  void emitScan(const ::bigm::Node &node, Location loc, ArrayRef<Value> operands) {
    std::string body = name + ".scan" + (scans ? "." + std::to_string(scans + 1) : "");
    ++scans;
    FunctionEmitter(*node.body, body, symbolNames, sources, *builder.getContext()).emit(module, true);
    SmallVector<Type> types;
    for (unsigned i = 0; i < node.results; ++i)
      types.push_back(type(function.types[node.first + i]));
    size_t starts = size_t(get<int64_t>(node, "starts")), xs = size_t(get<int64_t>(node, "xs"));
    AffineExpr steps = dialect::canonical(sizes(get<std::vector<::bigm::Dim>>(node, "steps"))[0]);
    auto op = dialect::ScanOp::create(builder, loc, types, body, operands.take_front(starts), operands.slice(starts, xs),
                                      operands.drop_front(starts + xs), AffineMap::get(0, symbolNames.size(), steps),
                                      flag(node, "reverse") != 0);
    for (unsigned i = 0; i < node.results; ++i)
      values[node.first + i] = op.getResult(i);
  }

  Value value(const ::bigm::Node &node, Location loc, Type type, ArrayRef<Value> x) {
    using O = ::bigm::Op;
    using namespace dialect;
    unsigned rank = cast<RankedTensorType>(type).getRank();
    switch (node.op) {
    case O::Constant: return ConstantOp::create(builder, loc, type, number(node, "number"));
    case O::Iota: return IotaOp::create(builder, loc, type, get<int64_t>(node, "dim"));
    case O::Random: return RandomOp::create(builder, loc, type, x[0], get<int64_t>(node, "stream"));
    case O::View:
      return ViewOp::create(builder, loc, type, x[0], map(node, "map", rank));
    case O::Fold:
      return FoldOp::create(builder, loc, type, x[0],
                            map(node, "map", cast<RankedTensorType>(x[0].getType()).getRank()));
    case O::Pad:
      return PadOp::create(builder, loc, type, x[0], x[1], get<std::vector<int64_t>>(node, "low"),
                           get<std::vector<int64_t>>(node, "high"), get<std::vector<int64_t>>(node, "interior"));
    case O::Concat: return ConcatOp::create(builder, loc, type, x, get<int64_t>(node, "dim"));
    case O::ReduceSum: return reduce<ReduceSumOp>(node, loc, x[0]);
    case O::ReduceMax: return reduce<ReduceMaxOp>(node, loc, x[0]);
    case O::ReduceMin: return reduce<ReduceMinOp>(node, loc, x[0]);
    case O::ReduceProd: return reduce<ReduceProdOp>(node, loc, x[0]);
    case O::ArgMax: return ArgMaxOp::create(builder, loc, type, x[0], get<int64_t>(node, "dim"));
    case O::ArgMin: return ArgMinOp::create(builder, loc, type, x[0], get<int64_t>(node, "dim"));
    case O::Contract: {
      AffineMap sizes = reduced(node);
      unsigned dims = rank + sizes.getNumResults();
      return ContractOp::create(builder, loc, type, x[0], x[1], map(node, "lhs_map", dims), map(node, "rhs_map", dims),
                                sizes);
    }
    case O::Attention:
      return attention(node, loc, x);
    case O::Warp: return WarpOp::create(builder, loc, type, x[0], x[1], APFloat(number(node, "fill")));
    case O::Resize:
      return ResizeOp::create(builder, loc, type, x[0], get<std::string>(node, "mode"), flag(node, "antialias") != 0);
    default: return byName(node, loc, type, x);
    }
  }

  /// An op without attributes has its name in the dialect and takes the operands as they are.
  Value byName(const ::bigm::Node &node, Location loc, Type type, ArrayRef<Value> x) {
    std::string name = (dialect::BigmDialect::getDialectNamespace() + "." + ::bigm::name(node.op)).str();
    return builder.create(loc, builder.getStringAttr(name), x, type)->getResult(0);
  }

  const ::bigm::Function &function;
  const std::string name;
  const std::vector<std::string> &symbolNames;
  const ::bigm::SourceManager &sources;
  ModuleOp module;
  unsigned scans = 0;
  OpBuilder builder;
  SmallVector<Value> values; // by number
};

/// Functions that phases call mostly get the phase's batch.
void sayBatches(const ::bigm::Program &program, ModuleOp module) {
  for (const ::bigm::Function &function : program.functions) {
    auto op = module.lookupSymbol<func::FuncOp>(function.name);
    auto batched = llvm::find_if(function.args, [](const ::bigm::Arg &arg) {
      return arg.role == ::bigm::Role::Input && !arg.type.shape.empty() && arg.type.shape.front().asSymbol();
    });
    if (!op || batched == function.args.end())
      continue;
    int64_t batch = 0;
    for (const ::bigm::TrainProgram &train : program.trains)
      for (const ::bigm::PhaseProgram &phase : train.phases)
        if (function.name == phase.step || function.name == phase.estimate || function.name == phase.gather || function.name == phase.frozen)
          batch = std::max(batch, phase.batch);
    if (!batch)
      continue;
    std::vector<int64_t> usual(function.symbols.size());
    usual[llvm::find(function.symbols, *batched->type.shape.front().asSymbol()) - function.symbols.begin()] = batch;
    op->setAttr(dialect::attrs::usual, DenseI64ArrayAttr::get(module.getContext(), usual));
  }
}
} // namespace

namespace bigm {
OwningOpRef<ModuleOp> emitProgram(const Program &program, const SourceManager &sources, MLIRContext &context,
                                  const std::string &only) {
  context.loadDialect<dialect::BigmDialect, func::FuncDialect>();
  auto module = ModuleOp::create(UnknownLoc::get(&context), program.name);
  for (const Function &function : program.functions)
    if (function.name.starts_with(only))
      FunctionEmitter(function, function.name, function.symbols, sources, context).emit(module);
  sayBatches(program, module);
  return module;
}
} // namespace bigm
