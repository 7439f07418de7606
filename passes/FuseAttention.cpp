// Attention that is written out becomes bigm.attention, which writes no matrix of scores.
//
//   weights = softmax(keys: terms(scale * sum(d: q * k))),  y = sum(keys: weights * v)
//
// as programs, exporters and ONNX's own decompositions have it: any order of dimensions on the way in and out, the scale on
// queries, keys or scores, masks put in the place of scores or added, biases, keys and values that heads share, guards for rows that
// see nothing. Rows from which all is hidden mean afterwards what they meant before (ScoreTerms.h).
//
// Runs before differentiation, so that training has it too. Weights with another reader are left alone: they would be
// computed twice.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/WrittenAttention.h"
#include <limits>

namespace mlir::bigm {
#define GEN_PASS_DEF_FUSEATTENTION
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
bool elementIsF32(Type type) { return cast<RankedTensorType>(type).getElementType().isF32(); }
constexpr double infinity = std::numeric_limits<double>::infinity();

class Fusion {
public:
  Fusion(ContractOp mix, unsigned weights, unsigned symbols)
      : b(mix), loc(mix.getLoc()), mix(mix), side(weights), symbols(symbols) {}

  LogicalResult run() {
    Value weights = mix->getOperand(side);
    if (!weights.hasOneUse() || !mix.getType().getElementType().isF32() || mix.getReduced().getNumResults() != 1)
      return failure();
    std::optional<Softmax> softmax = softmaxOf(weights);
    if (!softmax)
      return failure();
    std::optional<Scores> found = scoresOf(softmax->scores, softmax->dim);
    if (!found)
      return failure();
    Scores &scores = *found;
    auto type = cast<RankedTensorType>(weights.getType());
    if (!elementIsF32(type) || !elementIsF32(scores.products->getOperand(0).getType()) ||
        !elementIsF32(scores.products->getOperand(1).getType()) || !elementIsF32(mix->getOperand(1 - side).getType()))
      return failure();
    rank = type.getRank();
    if (!readMix(softmax->dim) || !readProducts(scores, type, softmax->dim) || !worthIt())
      return failure();
    AffineMap identity = AffineMap::getMultiDimIdentityMap(rank, b.getContext());
    if (scores.factor && varies({scores.factor, identity}, space).count(space.key))
      return failure();
    std::optional<ScoreForm> form = formOf(b, loc, space, scores.terms);
    if (!form)
      return failure();
    build(scores, *form, softmax->zeros);
    return success();
  }

private:
  /// Which dimension of `mix` each one of the weights is; the elements of a head are the one that is left.
  bool readMix(unsigned key) {
    AffineMap map = side == 0 ? mix.getLhsMap() : mix.getRhsMap();
    valueMap = side == 0 ? mix.getRhsMap() : mix.getLhsMap();
    std::set<unsigned> seen;
    for (AffineExpr at : map.getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(at);
      if (!dim || !seen.insert(dim.getPosition()).second)
        return false;
      places.push_back(dim.getPosition());
    }
    unsigned resultRank = mix.getType().getRank();
    if (places[key] != resultRank || resultRank != rank)
      return false;
    for (unsigned dim = 0; dim < resultRank; ++dim)
      if (!seen.count(dim))
        element = dim;
    return valueMap.isFunctionOfDim(resultRank) && valueMap.isFunctionOfDim(element);
  }

  bool readProducts(const Scores &scores, RankedTensorType type, unsigned key) {
    ContractOp products = scores.products;
    bool keysRight = products.getRhsMap().isFunctionOfDim(key);
    queries = products->getOperand(keysRight ? 0 : 1), keys = products->getOperand(keysRight ? 1 : 0);
    queryMap = keysRight ? products.getLhsMap() : products.getRhsMap();
    keyMap = keysRight ? products.getRhsMap() : products.getLhsMap();
    // The dimension of queries is the last one that neither keys nor values have.
    std::optional<unsigned> query;
    for (unsigned dim = 0; dim < rank; ++dim)
      if (dim != key && !keyMap.isFunctionOfDim(dim) && !valueMap.isFunctionOfDim(places[dim]))
        query = dim;
    if (!query)
      return false;
    SmallVector<unsigned> batch;
    for (unsigned dim = 0; dim < rank; ++dim)
      if (dim != key && dim != *query)
        batch.push_back(dim);
    space = {type, batch, *query, key, symbols};
    width = canonical(products.getReduced().getResult(0));
    return width == sizesOf(mix.getType())[element];
  }

  /// Whether there is a kernel for it that is as fast. One query over many keys is faster as products; it may come wherever the number
  /// of queries is open, but for queries and keys of the same positions, where one query has one key.
  bool worthIt() {
    AffineExpr number = space.size(space.query);
    if (!isa<AffineConstantExpr>(number) && number != space.size(space.key))
      return false;
    auto sizes = tensorType({b.getAffineConstantExpr(1), space.size(space.query), space.heads(), width}, symbols, b.getF32Type());
    return attentionHasKernel(sizes);
  }

  /// The dimensions of the space that make up [N, T or S, heads...]; none for one of size 1.
  SmallVector<std::optional<unsigned>> outer(unsigned position) const {
    SmallVector<std::optional<unsigned>> dims(space.headDims());
    if (dims.empty())
      dims.push_back(std::nullopt);
    dims.insert(dims.begin(), position);
    dims.insert(dims.begin(), space.batch.empty() ? std::nullopt : std::optional(space.batch[0]));
    return dims;
  }
  /// Their sizes and the elements of a head.
  SmallVector<AffineExpr> sizesApart(ArrayRef<std::optional<unsigned>> outer) {
    SmallVector<AffineExpr> sizes;
    for (std::optional<unsigned> dim : outer)
      sizes.push_back(dim ? space.size(*dim) : b.getAffineConstantExpr(1));
    sizes.push_back(width);
    return sizes;
  }

  /// [N, T or S, H, D] of queries, keys or values. `places`: where the dimensions of scores are in `map`.
  Value four(Value x, AffineMap map, unsigned position, ArrayRef<unsigned> places, unsigned element) {
    SmallVector<std::optional<unsigned>> dims = outer(position);
    SmallVector<AffineExpr> at(map.getNumDims(), b.getAffineConstantExpr(0)), sizes = sizesApart(dims);
    for (auto [i, dim] : llvm::enumerate(dims))
      if (dim)
        at[places[*dim]] = b.getAffineDimExpr(i);
    at[element] = b.getAffineDimExpr(dims.size());
    Type of = cast<RankedTensorType>(x.getType()).getElementType();
    Value apart = ViewOp::create(b, loc, tensorType(sizes, symbols, of), x,
                                 map.replaceDimsAndSymbols(at, {}, sizes.size(), 0));
    auto type = tensorType({sizes[0], sizes[1], space.heads(), width}, symbols, of);
    return apart.getType() == type ? apart : ReshapeOp::create(b, loc, type, apart);
  }

  void build(const Scores &scores, const ScoreForm &form, bool zeros) {
    double scale = scores.scale;
    for (Value *x : {&queries, &keys})
      while (auto mul = x->getDefiningOp<MulOp>()) {
        auto number = splatNumber(mul.getY());
        if (!number || *number == 0)
          break;
        scale *= *number;
        *x = mul.getX();
      }
    SmallVector<unsigned> own = llvm::to_vector(llvm::seq<unsigned>(0, rank));
    Value q = four(queries, queryMap, space.query, own, rank), k = four(keys, keyMap, space.key, own, rank);
    Value v = four(mix->getOperand(1 - side), valueMap, space.key, places, element);
    if (scores.factor) {
      SmallVector<AffineExpr> dims(AffineMap::getMultiDimIdentityMap(rank, b.getContext()).getResults());
      dims[space.key] = b.getAffineConstantExpr(0);
      dims.push_back(b.getAffineDimExpr(rank)); // the elements of a head
      AffineMap map = AffineMap::get(rank + 1, 0, ArrayRef(dims).take_front(rank), b.getContext());
      Value spread = four(scores.factor, map, space.query, own, rank);
      q = MulOp::create(b, loc, q, spread);
    }
    auto attention = AttentionOp::create(b, loc, q, k, v, form.mask, form.bias, form.causal, form.strict, scale);
    Value y = attention.getY();
    if (zeros && form.mayBeInfinite) {
      Value statistic = attention.getStatistic();
      Value sees = GtOp::create(b, loc, statistic, constant(b, loc, statistic.getType(), -infinity));
      auto bits = withElement(y.getType(), b.getI1Type());
      AffineExpr n = b.getAffineDimExpr(0), i = b.getAffineDimExpr(1), h = b.getAffineDimExpr(2);
      sees = ViewOp::create(b, loc, bits, sees, AffineMap::get(4, 0, {n, h, i}, b.getContext()));
      y = SelectOp::create(b, loc, sees, y, constant(b, loc, y.getType(), 0));
    }
    mix.replaceAllUsesWith(turnedBack(y));
    mix.erase();
  }

  /// [N, T, H, D] as the result of `mix`.
  Value turnedBack(Value y) {
    SmallVector<std::optional<unsigned>> dims = outer(space.query);
    SmallVector<AffineExpr> at;
    for (std::optional<unsigned> dim : dims)
      at.push_back(dim ? b.getAffineDimExpr(places[*dim]) : b.getAffineConstantExpr(0));
    at.push_back(b.getAffineDimExpr(element));
    auto apart = tensorType(sizesApart(dims), symbols, b.getF32Type());
    if (apart != y.getType())
      y = ReshapeOp::create(b, loc, apart, y);
    return ViewOp::create(b, loc, mix.getType(), y, AffineMap::get(rank, 0, at, b.getContext()));
  }

  OpBuilder b;
  Location loc;
  ContractOp mix;
  unsigned side, symbols, rank = 0;
  SmallVector<unsigned> places; // of the dimensions of scores among those of `mix`
  unsigned element = 0;         // of the result of `mix`: elements of a head
  AffineMap valueMap, queryMap, keyMap;
  Value queries, keys;
  ScoreSpace space;
  AffineExpr width;
};

struct FuseAttention : bigm::impl::FuseAttentionBase<FuseAttention> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    SmallVector<ContractOp> contractions(func.getBody().front().getOps<ContractOp>());
    for (ContractOp mix : contractions)
      for (unsigned side : {0u, 1u})
        if (succeeded(Fusion(mix, side, symbolCount(func)).run()))
          break;
  }
};
} // namespace
