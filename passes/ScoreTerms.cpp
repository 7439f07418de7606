#include "passes/ScoreTerms.h"
#include "ir/Attention.h"
#include <map>

using namespace mlir;
using namespace mlir::bigm;

namespace {
/// A hidden score of -inf or near the end of f32 swallows what it is added to, so that adding it and putting it in the place of a
/// score are the same. Files have -1e4 and -1e9 as well: these weigh nothing beside a score that is seen.
constexpr double swallows = -1e30, hides = -9e3;
bool infinite(double number) { return number == -std::numeric_limits<double>::infinity(); }

Placed peeled(Placed p) {
  while (auto view = p.value.getDefiningOp<ViewOp>())
    p = {view.getX(), view.getMap().compose(p.map)};
  return p;
}

bool pointwise(Operation *op) { return isa_and_nonnull<Pointwise>(op) && op->getNumResults() == 1; }

/// Whether a number that hides may be in it: one that it is made of, or one that the caller gives.
bool mayHide(Value value, std::set<Operation *> &met) {
  if (auto number = splatNumber(value))
    return *number <= hides;
  Operation *op = value.getDefiningOp();
  if (!op)
    return true;
  if (!met.insert(op).second)
    return false;
  if (auto view = dyn_cast<ViewOp>(op))
    return mayHide(view.getX(), met);
  return pointwise(op) && llvm::any_of(op->getOperands(), [&](Value x) {
           return isa<FloatType>(cast<RankedTensorType>(x.getType()).getElementType()) && mayHide(x, met);
         });
}
bool mayHide(Value value) {
  std::set<Operation *> met;
  return mayHide(value, met);
}

// ---------------------------------------------------------------- causal conditions

/// A position: a dimension of the space (or none), and a size.
struct Position {
  AffineExpr dim, offset; // dim: 0 for none
};
/// A size or number that is the same everywhere.
std::optional<AffineExpr> sameEverywhere(Placed p) {
  p = peeled(p);
  MLIRContext *context = p.map.getContext();
  if (auto number = splatNumber(p.value)) {
    if (*number == std::floor(*number) && std::abs(*number) < 1e9)
      return getAffineConstantExpr(int64_t(*number), context);
    return std::nullopt;
  }
  if (auto size = p.value.getDefiningOp<SizeOp>())
    return size.getSize().getResult(0);
  if (auto cast = p.value.getDefiningOp<CastOp>())
    return sameEverywhere({cast.getX(), p.map});
  return std::nullopt;
}
std::optional<Position> positionOf(Placed p) {
  p = peeled(p);
  MLIRContext *context = p.map.getContext();
  AffineExpr zero = getAffineConstantExpr(0, context);
  if (auto iota = p.value.getDefiningOp<IotaOp>()) {
    AffineExpr at = p.map.getResult(iota.getDim());
    if (isa<AffineDimExpr>(at))
      return Position{at, zero};
    if (auto sum = dyn_cast<AffineBinaryOpExpr>(at); sum && at.getKind() == AffineExprKind::Add)
      if (isa<AffineDimExpr>(sum.getLHS()) && isa<AffineConstantExpr>(sum.getRHS()))
        return Position{sum.getLHS(), sum.getRHS()};
    return std::nullopt;
  }
  Operation *op = p.value.getDefiningOp();
  if (auto cast = dyn_cast_or_null<CastOp>(op))
    return positionOf({cast.getX(), p.map});
  if (isa_and_nonnull<AddOp, SubOp>(op))
    for (unsigned side : {0u, 1u}) {
      auto offset = sameEverywhere({op->getOperand(1 - side), p.map});
      if (!offset || (isa<SubOp>(op) && side == 1))
        continue;
      if (auto position = positionOf({op->getOperand(side), p.map})) {
        position->offset = canonical(isa<SubOp>(op) ? position->offset - *offset : position->offset + *offset);
        return position;
      }
    }
  return std::nullopt;
}

/// Whether the condition (its opposite unless `holds`) is: the key stands at or before the query, the last at the last.
bool isCausal(Placed p, bool holds, const ScoreSpace &space) {
  p = peeled(p);
  Operation *op = p.value.getDefiningOp();
  if (auto opposite = dyn_cast_or_null<NotOp>(op))
    return isCausal({opposite.getX(), p.map}, !holds, space);
  if (!isa_and_nonnull<LeOp, LtOp, GeOp, GtOp>(op))
    return false;
  auto x = positionOf({op->getOperand(0), p.map}), y = positionOf({op->getOperand(1), p.map});
  if (!x || !y)
    return false;
  // As x <= y, or x < y.
  bool orEqual = isa<LeOp, GeOp>(op);
  if (isa<GeOp, GtOp>(op))
    std::swap(x, y);
  if (!holds) { // not (x <= y) is y < x
    std::swap(x, y);
    orEqual = !orEqual;
  }
  MLIRContext *context = p.map.getContext();
  AffineExpr before = canonical(y->offset - x->offset - (orEqual ? 0 : 1));
  return x->dim == getAffineDimExpr(space.key, context) && y->dim == getAffineDimExpr(space.query, context) &&
         before == canonical(space.size(space.key) - space.size(space.query));
}

/// The conditions all of which hold where `p` does.
void conjuncts(Placed p, SmallVectorImpl<Placed> &out) {
  p = peeled(p);
  if (auto both = p.value.getDefiningOp<AndOp>()) {
    conjuncts({both.getX(), p.map}, out);
    conjuncts({both.getY(), p.map}, out);
  } else if (!splatNumber(p.value) || *splatNumber(p.value) == 0) {
    out.push_back(p);
  }
}

// ---------------------------------------------------------------- as small as it varies

class Shrinker {
public:
  Shrinker(OpBuilder &b, Location loc, const ScoreSpace &space, std::set<unsigned> keep)
      : b(b), loc(loc), space(space), keep(std::move(keep)) {}

  RankedTensorType typeOf(Type element) const {
    SmallVector<AffineExpr> sizes = sizesOf(space.type);
    for (unsigned dim = 0; dim < sizes.size(); ++dim)
      if (!keep.count(dim))
        sizes[dim] = b.getAffineConstantExpr(1);
    return tensorType(sizes, space.symbols, element);
  }
  /// The value over the dimensions that are kept, the others being of size 1.
  Value make(Placed p) {
    p = peeled(p);
    RankedTensorType type = typeOf(cast<RankedTensorType>(p.value.getType()).getElementType());
    if (auto number = splatNumber(p.value))
      return constant(b, loc, type, *number);
    Operation *op = p.value.getDefiningOp();
    unsigned wide = llvm::count_if(sizesOf(p.value.getType()), [&](AffineExpr size) { return size != b.getAffineConstantExpr(1); });
    if (pointwise(op) && wide > keep.size()) {
      if (auto known = made.find({p.value.getAsOpaquePointer(), p.map.getAsOpaquePointer()}); known != made.end())
        return known->second;
      SmallVector<Value> operands;
      for (Value x : op->getOperands())
        operands.push_back(make({x, p.map}));
      Operation *copy = b.clone(*op);
      copy->setOperands(operands);
      copy->getResult(0).setType(type);
      return made[{p.value.getAsOpaquePointer(), p.map.getAsOpaquePointer()}] = copy->getResult(0);
    }
    SmallVector<AffineExpr> dims;
    for (unsigned dim = 0; dim < p.map.getNumDims(); ++dim)
      dims.push_back(keep.count(dim) ? b.getAffineDimExpr(dim) : b.getAffineConstantExpr(0));
    AffineMap at = p.map.replaceDimsAndSymbols(dims, {}, p.map.getNumDims(), 0);
    if (at.isIdentity() && p.value.getType() == type)
      return p.value;
    return ViewOp::create(b, loc, type, p.value, at);
  }

private:
  OpBuilder &b;
  Location loc;
  const ScoreSpace &space;
  std::set<unsigned> keep;
  std::map<std::pair<const void *, const void *>, Value> made;
};

/// Puts the terms together.
class Form {
public:
  Form(OpBuilder &b, Location loc, const ScoreSpace &space)
      : b(b), loc(loc), space(space), identity(AffineMap::getMultiDimIdentityMap(space.type.getRank(), b.getContext())) {}

  std::optional<ScoreForm> of(ArrayRef<ScoreTerm> terms) {
    for (const ScoreTerm &term : terms) {
      if (!term.hides) {
        add(term.value, term.number);
        continue;
      }
      if (term.number > hides || (term.number > swallows && terms.size() > 1))
        return std::nullopt;
      hide({term.value, identity}, term.shown, term.number > swallows ? lowestScore : term.number, !sum);
    }
    if (sum)
      form.bias = arranged(sum);
    return form;
  }

private:
  /// A bias; where it is a number that hides or something else, by a condition, the condition is looked at.
  void add(Value value, double factor) {
    Placed p = peeled({value, identity});
    bool alone = !hidden; // two numbers near the end of f32 add up to -inf
    auto select = p.value.getDefiningOp<SelectOp>();
    for (bool shown : {true, false}) {
      auto number = select ? splatNumber(shown ? select.getZ() : select.getY()) : std::nullopt;
      if (!number || *number * factor > swallows)
        continue;
      Placed other = {shown ? select.getY() : select.getZ(), p.map};
      if (splatNumber(other.value) == 0.0) {
        hide({select.getX(), p.map}, shown, *number * factor, alone);
        return;
      }
      if (mayHide(other.value))
        continue;
      hide({select.getX(), p.map}, shown, *number * factor, alone);
      plus(other, factor);
      return;
    }
    if (mayHide(value))
      form.mayBeInfinite = true;
    plus({value, identity}, factor);
  }

  void plus(Placed p, double factor) {
    Shrinker shrink(b, loc, space, varies(p, space));
    Value more = shrink.make(p);
    if (factor != 1)
      more = MulOp::create(b, loc, more, constant(b, loc, more.getType(), factor));
    addSmall(more);
  }
  /// Both over the space, with sizes of 1.
  void addSmall(Value more) {
    if (!sum) {
      sum = more;
      return;
    }
    SmallVector<AffineExpr> sizes = sizesOf(sum.getType()), others = sizesOf(more.getType());
    for (unsigned dim = 0; dim < sizes.size(); ++dim)
      if (sizes[dim] == b.getAffineConstantExpr(1))
        sizes[dim] = others[dim];
    auto type = tensorType(sizes, space.symbols, space.type.getElementType());
    sum = AddOp::create(b, loc, spread(sum, type), spread(more, type));
  }
  Value spread(Value x, RankedTensorType type) {
    return x.getType() == type ? x : ViewOp::create(b, loc, type, x, broadcastMap(x.getType(), type));
  }

  /// What the condition does not show has `number` for a score. `alone`: whatever is added otherwise hides nothing in its place.
  void hide(Placed condition, bool shown, double number, bool alone) {
    SmallVector<Placed> all;
    if (shown)
      conjuncts(condition, all);
    else
      all.push_back(condition);
    // Causality and masks of keys have forms of their own where what they hide is what bigm.attention hides.
    bool same = infinite(number) || (number == lowestScore && alone);
    SmallVector<Placed> rest;
    for (const Placed &p : all) {
      bool kindFits = same && (!hidden || *hidden == number);
      if (kindFits && isCausal(p, shown, space)) {
        form.causal = true, hidden = number;
        auto more = constantDifference(space.size(space.key), space.size(space.query));
        form.mayBeInfinite |= infinite(number) && (!more || *more < 0);
        continue;
      }
      form.mayBeInfinite |= infinite(number);
      std::set<unsigned> dims = varies(p, space);
      bool ofKeys = dims.count(space.key) && llvm::all_of(dims, [&](unsigned dim) {
                      return dim == space.key || (!space.batch.empty() && dim == space.batch[0]);
                    });
      if (kindFits && ofKeys) {
        hidden = number;
        Value bits = maskOf(p, shown);
        form.mask = form.mask ? AndOp::create(b, loc, form.mask, bits).getResult() : bits;
        continue;
      }
      rest.push_back(p);
    }
    form.strict = hidden && infinite(*hidden);
    if (rest.empty())
      return;
    std::set<unsigned> dims;
    for (const Placed &p : rest)
      for (unsigned dim : varies(p, space))
        dims.insert(dim);
    Shrinker shrink(b, loc, space, dims);
    Value seen;
    for (const Placed &p : rest) {
      Value bits = shrink.make(p);
      seen = seen ? AndOp::create(b, loc, seen, bits).getResult() : bits;
    }
    RankedTensorType type = shrink.typeOf(space.type.getElementType());
    Value zero = constant(b, loc, type, 0), low = constant(b, loc, type, number);
    addSmall(SelectOp::create(b, loc, seen, shown ? zero : low, shown ? low : zero));
  }
  /// bool [N, S].
  Value maskOf(Placed p, bool shown) {
    std::set<unsigned> dims = {space.key};
    if (!space.batch.empty())
      dims.insert(space.batch[0]);
    Value bits = Shrinker(b, loc, space, dims).make(p);
    SmallVector<AffineExpr> at(space.type.getRank(), b.getAffineConstantExpr(0));
    at[space.key] = b.getAffineDimExpr(1);
    AffineExpr n = b.getAffineConstantExpr(1);
    if (!space.batch.empty())
      at[space.batch[0]] = b.getAffineDimExpr(0), n = space.size(space.batch[0]);
    auto type = tensorType({n, space.size(space.key)}, space.symbols, b.getI1Type());
    bits = ViewOp::create(b, loc, type, bits, AffineMap::get(2, 0, at, b.getContext()));
    return shown ? bits : NotOp::create(b, loc, bits).getResult();
  }

  /// [N or 1, H or 1, T or 1, S] of a sum over the space.
  Value arranged(Value x) {
    SmallVector<AffineExpr> sizes = sizesOf(x.getType());
    AffineExpr one = b.getAffineConstantExpr(1);
    sizes[space.key] = space.size(space.key);
    ArrayRef<unsigned> batch = space.batch, heads = space.headDims();
    bool perHead = llvm::any_of(heads, [&](unsigned dim) { return sizes[dim] != one; });
    for (unsigned dim : heads)
      sizes[dim] = perHead ? space.size(dim) : one;
    Type element = space.type.getElementType();
    x = spread(x, tensorType(sizes, space.symbols, element));
    SmallVector<AffineExpr> at(sizes.size()), turned;
    if (batch.empty())
      turned.push_back(one);
    for (unsigned dim : space.order()) {
      at[dim] = b.getAffineDimExpr(turned.size());
      turned.push_back(sizes[dim]);
    }
    x = ViewOp::create(b, loc, tensorType(turned, space.symbols, element), x, AffineMap::get(turned.size(), 0, at, b.getContext()));
    SmallVector<AffineExpr> four = {batch.empty() ? one : sizes[batch[0]], perHead ? space.heads() : one, sizes[space.query],
                                    sizes[space.key]};
    auto type = tensorType(four, space.symbols, element);
    return x.getType() == type ? x : ReshapeOp::create(b, loc, type, x);
  }

  OpBuilder &b;
  Location loc;
  const ScoreSpace &space;
  AffineMap identity;
  ScoreForm form;
  std::optional<double> hidden; // what causality and mask put in the place of a score
  Value sum;                    // over the space, with sizes of 1
};
} // namespace

AffineExpr ScoreSpace::heads() const {
  AffineExpr product = getAffineConstantExpr(1, type.getContext());
  for (unsigned dim : headDims())
    product = product * size(dim);
  return canonical(product);
}

SmallVector<unsigned> ScoreSpace::order() const {
  SmallVector<unsigned> dims = batch;
  dims.push_back(query);
  dims.push_back(key);
  return dims;
}

static void addVarying(const Placed &placed, const ScoreSpace &space, std::set<std::pair<Operation *, const void *>> &met,
                       std::set<unsigned> &dims) {
  Placed p = peeled(placed);
  if (splatNumber(p.value))
    return;
  Operation *op = p.value.getDefiningOp();
  if (pointwise(op)) {
    if (met.insert({op, p.map.getAsOpaquePointer()}).second)
      for (Value x : op->getOperands())
        addVarying({x, p.map}, space, met, dims);
    return;
  }
  AffineExpr one = getAffineConstantExpr(1, p.map.getContext());
  SmallVector<AffineExpr> sizes = sizesOf(p.value.getType());
  auto iota = p.value.getDefiningOp<IotaOp>();
  for (unsigned i = 0; i < p.map.getNumResults(); ++i)
    for (unsigned dim = 0; dim < p.map.getNumDims(); ++dim)
      if (sizes[i] != one && (!iota || iota.getDim() == i) && p.map.getResult(i).isFunctionOfDim(dim) && space.size(dim) != one)
        dims.insert(dim);
}

std::set<unsigned> bigm::varies(const Placed &placed, const ScoreSpace &space) {
  std::set<std::pair<Operation *, const void *>> met;
  std::set<unsigned> dims;
  addVarying(placed, space, met, dims);
  return dims;
}

std::optional<ScoreForm> bigm::formOf(OpBuilder &builder, Location loc, const ScoreSpace &space, ArrayRef<ScoreTerm> terms) {
  return Form(builder, loc, space).of(terms);
}
