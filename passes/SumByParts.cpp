// Sums of sums that are known already.
//
// The backward part of a normalisation sums large tensors such as a * g + b * (x - mean), where a and b do not vary along
// the summed dimensions and the sums of g and x stand in the program: the sum then is a * sum(g) + b * (sum(x) - n * mean),
// on small tensors, and a pass over memory is saved. (Batch normalisation needs one reduction backward instead of three,
// counting the bias before it.) A sum is taken apart only when every part is at hand, so nothing new is ever summed.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_SUMBYPARTS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
constexpr unsigned kDepth = 12; // of the expression that is taken apart

/// One sum that is taken apart.
class Parts {
public:
  using Known = DenseMap<std::pair<Value, Attribute>, Value>;
  Parts(ReduceSumOp op, const Known &known)
      : op(op), known(known), dims(op.getDims()), kept(op.getType()),
        type(cast<RankedTensorType>(op.getX().getType())), builder(op), loc(op.getLoc()) {}

  /// The sum of the operand from sums at hand, or nothing.
  Value build() { return available(op.getX(), kDepth) ? sum(op.getX()) : Value(); }

private:
  bool isFloat(Value value) {
    return isa<FloatType>(cast<RankedTensorType>(value.getType()).getElementType());
  }
  template <class... Ops> static bool is(Operation *op) { return op && isa<Ops...>(op); }

  /// Does not vary along the summed dimensions, and is cheap to state without them.
  bool even(Value value, unsigned depth) {
    Operation *def = value.getDefiningOp();
    if (!def || !depth)
      return false;
    if (isa<ConstantOp>(def))
      return true;
    if (auto view = dyn_cast<ViewOp>(def)) {
      std::optional<SmallVector<Linear>> indices = linear(view.getMap());
      return indices && llvm::all_of(*indices, [&](const Linear &index) {
               return llvm::all_of(dims, [&](int64_t dim) { return index.coefficients[dim] == 0; });
             });
    }
    return is<NegOp, AddOp, SubOp, MulOp, DivOp>(def) &&
           llvm::all_of(def->getOperands(), [&](Value v) { return even(v, depth - 1); });
  }
  /// An even value on the dimensions that stay.
  Value flat(Value value) {
    Operation *def = value.getDefiningOp();
    if (auto number = dyn_cast<ConstantOp>(def))
      return constant(builder, loc, kept, number.getDouble());
    if (auto view = dyn_cast<ViewOp>(def)) {
      SmallVector<Linear> indices = *linear(view.getMap());
      SmallVector<AffineExpr> exprs;
      for (Linear &index : indices) {
        Linear rest{{}, index.offset};
        for (auto [dim, coefficient] : llvm::enumerate(index.coefficients))
          if (!llvm::is_contained(dims, int64_t(dim)))
            rest.coefficients.push_back(coefficient);
        exprs.push_back(rest.expr(builder.getContext()));
      }
      return ViewOp::create(builder, loc, kept, view.getX(),
                            AffineMap::get(kept.getRank(), 0, exprs, builder.getContext()));
    }
    return combine(def, llvm::map_to_vector(def->getOperands(), [&](Value v) { return flat(v); }));
  }
  Value combine(Operation *like, ArrayRef<Value> operands) {
    Operation *made = builder.create(loc, like->getName().getIdentifier(), operands, TypeRange(kept));
    return made->getResult(0);
  }

  bool available(Value value, unsigned depth) {
    if (!depth || !isFloat(value))
      return false;
    if (known.contains({value, op.getDimsAttr()}) || even(value, depth))
      return true;
    Operation *def = value.getDefiningOp();
    if (is<NegOp, AddOp, SubOp>(def))
      return llvm::all_of(def->getOperands(), [&](Value v) { return available(v, depth - 1); });
    if (is<MulOp>(def))
      return (even(def->getOperand(0), depth) && available(def->getOperand(1), depth - 1)) ||
             (even(def->getOperand(1), depth) && available(def->getOperand(0), depth - 1));
    return is<DivOp>(def) && even(def->getOperand(1), depth) && available(def->getOperand(0), depth - 1);
  }
  Value sum(Value value) {
    if (Value there = known.lookup({value, op.getDimsAttr()}))
      return there;
    if (even(value, kDepth))
      return MulOp::create(builder, loc, flat(value), count());
    Operation *def = value.getDefiningOp();
    if (is<NegOp, AddOp, SubOp>(def))
      return combine(def, llvm::map_to_vector(def->getOperands(), [&](Value v) { return sum(v); }));
    bool first = is<MulOp>(def) && even(def->getOperand(0), kDepth);
    Value parts[2] = {def->getOperand(0), def->getOperand(1)};
    parts[0] = first ? flat(parts[0]) : sum(parts[0]);
    parts[1] = first ? sum(parts[1]) : flat(parts[1]);
    return combine(def, parts);
  }
  /// How many elements one element of the result sums.
  Value count() {
    AffineExpr number = builder.getAffineConstantExpr(1);
    SmallVector<AffineExpr> sizes = sizesOf(type);
    for (int64_t dim : dims)
      number = number * sizes[dim];
    number = canonical(number);
    if (auto fixed = dyn_cast<AffineConstantExpr>(number))
      return constant(builder, loc, kept, double(fixed.getValue()));
    auto scalar = RankedTensorType::get({}, kept.getElementType());
    Value size = SizeOp::create(builder, loc, scalar, AffineMap::get(0, symbolCount(type), number));
    SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, kept.getRank()));
    return buildBroadcast(builder, loc, size, all, kept);
  }

  ReduceSumOp op;
  const Known &known;
  ArrayRef<int64_t> dims;
  RankedTensorType kept, type;
  OpBuilder builder;
  Location loc;
};

struct SumByParts : bigm::impl::SumByPartsBase<SumByParts> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      Parts::Known known;
      for (Operation &op : llvm::make_early_inc_range(block)) {
        auto reduce = dyn_cast<ReduceSumOp>(op);
        if (!reduce || reduce.getDims().empty())
          continue;
        Value value = Parts(reduce, known).build();
        known[{reduce.getX(), reduce.getDimsAttr()}] = value ? value : reduce.getResult();
        if (!value)
          continue;
        reduce.replaceAllUsesWith(value);
        reduce.erase();
      }
    }
  }
};
} // namespace
